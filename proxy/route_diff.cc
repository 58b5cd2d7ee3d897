// RouteSet's middle step: what a key says now against what it said before (proxy/route_set.h).
#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "core/log.h"
#include "proxy/route_set.h"

namespace sluice::proxy {

// ---- from specs to targets

/// What the specs of one edit can share: a service's instances have the same name and tags.
class RouteSet::Reuse {
 public:
  Ref<Label> label(std::string_view text) {
    if (!label_ || label_->text() != text) label_ = Label::make(text);
    return label_;
  }
  Ref<SharedTags> tags(std::vector<std::string> tags) {
    if (tags.empty()) return {};
    if (!tags_ || tags_->value != tags) {
      tags_ = Ref<SharedTags>::adopt(new SharedTags(std::move(tags)));
    }
    return tags_;
  }
  void remember(const Target& target) {
    label_ = target.parts().service;
    if (target.parts().tags) tags_ = target.parts().tags;
  }

 private:
  Ref<Label> label_;
  Ref<SharedTags> tags_;
};

namespace {

/// But for the address of a host name.
bool same(const Target& target, const RouteSpec& spec, uint32_t position) {
  if (target.service() != spec.service || target.instance() != spec.instance ||
      target.healthy() != spec.healthy || target.parts().draining != spec.draining ||
      target.parts().canary != spec.canary || target.position() != position ||
      target.options() != spec.options ||
      !std::equal(target.tags().begin(), target.tags().end(), spec.tags.begin(), spec.tags.end())) {
    return false;
  }
  if (target.endpoint() == nullptr) return spec.options.redirect_code != 0;
  return spec.options.redirect_code == 0 && target.endpoint()->destination() == spec.destination;
}

size_t hash_place(std::string_view host, std::string_view path) {
  return hash_name(host, 0) ^ (hash_name(path, 0) * 31);
}

std::string_view until_nul(std::string_view& text) {
  const size_t end = text.find('\0');
  const std::string_view out = text.substr(0, end);
  text.remove_prefix(end + 1);
  return out;
}

template <class Visit>
void for_each_place(std::string_view places, Visit visit) {
  for (size_t i = 0; !places.empty(); ++i) {
    const std::string_view host = until_nul(places);
    const std::string_view path = until_nul(places);
    const auto matcher = static_cast<Matcher>(places.front());
    places.remove_prefix(1);
    visit(i, host, path, matcher);
  }
}

}  // namespace

RouteSet::Place RouteSet::place_of(const RouteSpec& spec) const {
  const Matcher matcher =
      spec.options.matcher == Matcher::kDefault ? settings_.matcher : spec.options.matcher;
  return {spec.host, spec.path, spec.path.empty() ? Matcher::kPrefix : matcher};
}

void RouteSet::count_glob(std::string_view host, int change) {
  if (parse_pattern(host).kind != HostKind::kGlob) return;
  const auto at = glob_hosts_.try_emplace(std::string(host), 0).first;
  at->second += static_cast<uint32_t>(change);
  if (at->second == 0) glob_hosts_.erase(at);
}

const Instance* RouteSet::find_instance(std::string_view id) const {
  const auto at = instances_.find(id);
  return at == instances_.end() ? nullptr : at->second.get();
}

Ref<Instance> RouteSet::get_instance(std::string_view id) {
  if (id.empty()) return {};
  const auto at = instances_.find(id);
  if (at != instances_.end()) return at->second;
  Ref<Instance> instance = Instance::make(id);
  instances_.emplace(instance->id(), instance);
  return instance;
}

/// Most routes have the same options: none.
Ref<SharedOptions> RouteSet::share_options(RouteOptions options) {
  const size_t hash = std::hash<std::string>()(options.text);
  const auto [begin, end] = options_pool_.equal_range(hash);
  for (auto at = begin; at != end; ++at) {
    if (at->second->value == options) return at->second;
  }
  auto shared = Ref<SharedOptions>::adopt(new SharedOptions(std::move(options)));
  options_pool_.emplace(hash, shared);
  return shared;
}

void RouteSet::forget_options() {
  if (options_pool_.size() < pool_limit_) return;
  std::erase_if(options_pool_, [](const auto& each) { return each.second->unique(); });
  pool_limit_ = std::max<size_t>(64, options_pool_.size() * 2);
}

Ref<Target> RouteSet::make_target(RouteSpec& spec, uint32_t position, const Spread& spread,
                                  Reuse& reuse) {
  Target::Parts parts;
  if (spec.options.redirect_code == 0) {
    EndpointKey key = endpoint_key(spec.destination, spec.options);
    key.address = spread.address;
    parts.endpoint = endpoints_.find_or_add(key);
  }
  parts.service = reuse.label(spec.service);
  parts.instance = get_instance(spec.instance);
  parts.fixed_weight = spec.options.weight;
  parts.options = share_options(std::move(spec.options));
  parts.tags = reuse.tags(std::move(spec.tags));
  parts.position = position;
  parts.healthy = spec.healthy;
  parts.draining = spec.draining;
  parts.canary = spec.canary;
  parts.among = spread.among;
  return Target::make(std::move(parts));
}

// ---- what an edit changes

/// The targets that a key had, to be found again among those that it says now.
class RouteSet::Old {
 public:
  Old(Targets targets, std::string_view places)
      : targets_(std::move(targets)), kept_(targets_.size(), false) {
    places_.reserve(targets_.size());
    for_each_place(places, [this](size_t, std::string_view host, std::string_view path,
                                  Matcher matcher) { places_.push_back({host, path, matcher}); });
    CHECK(places_.size() == targets_.size());
  }

  /// Null: there is none that is equal.
  const Ref<Target>* take(const Place& place, const RouteSpec& spec, uint32_t position,
                          const Spread& spread) {
    const auto fits = [&](size_t i) {
      const Target& target = *targets_[i];
      return !kept_[i] && places_[i] == place && same(target, spec, position) &&
             target.among() == spread.among &&
             (target.endpoint() == nullptr || target.endpoint()->address() == spread.address);
    };
    size_t index = targets_.size();
    if (next_ < targets_.size() && fits(next_)) {
      index = next_;
    } else {
      if (by_place_.empty()) {
        for (size_t i = 0; i < places_.size(); ++i) {
          by_place_.emplace(hash_place(places_[i].host, places_[i].path), i);
        }
      }
      const auto [begin, end] = by_place_.equal_range(hash_place(place.host, place.path));
      const auto at = std::find_if(begin, end, [&](const auto& each) { return fits(each.second); });
      if (at == end) return nullptr;
      index = at->second;
    }
    kept_[index] = true;
    next_ = index + 1;
    return &targets_[index];
  }

  void append_removed(std::vector<Change>& changes) const {
    for (size_t i = 0; i < targets_.size(); ++i) {
      if (!kept_[i]) changes.push_back({places_[i], targets_[i], false});
    }
  }

 private:
  Targets targets_;
  std::vector<Place> places_;
  std::vector<bool> kept_;
  std::unordered_multimap<size_t, size_t> by_place_;  // filled once the order has changed
  size_t next_ = 0;                                   // most edits keep the order
};

/// From what a source said to what it says now.
class RouteSet::Diff {
 public:
  Diff(RouteSet& set, const Source& source)
      : set_(set), source_(source), old_(set.take_old(source)) {}

  /// `spec` may be moved from. Changes look into the texts of `place`.
  void add(const Place& place, RouteSpec& spec, uint32_t position, const Spread& spread,
           std::vector<Change>& changes) {
    if (const Ref<Target>* target = old_.take(place, spec, position, spread)) {
      now_.targets.push_back(*target);
      reuse_.remember(**target);
    } else {
      now_.targets.push_back(set_.make_target(spec, position, spread, reuse_));
      changes.push_back({place, now_.targets.back(), true});
    }
    now_.places.append(place.host).append(1, '\0').append(place.path).append(1, '\0');
    now_.places += static_cast<char>(place.matcher);
    ++set_.target_count_;
    set_.count_glob(place.host, 1);
  }

  void finish(std::vector<RouteRule> rules, std::vector<PlacedSpec> specs,
              std::vector<Change>& changes) {
    old_.append_removed(changes);
    if (now_.targets.empty() && rules.empty()) {
      set_.sources_.erase(source_);
      return;
    }
    now_.rules = std::move(rules);
    now_.specs = std::move(specs);
    now_.targets.shrink_to_fit();
    now_.places.shrink_to_fit();
    set_.sources_[source_] = std::move(now_);
  }

 private:
  RouteSet& set_;
  const Source& source_;
  Old old_;
  SourceRoutes now_;
  Reuse reuse_;
};

RouteSet::Old RouteSet::take_old(const Source& source) {
  SourceRoutes before;
  if (const auto at = sources_.find(source); at != sources_.end()) {
    before = std::move(at->second);
    target_count_ -= before.targets.size();
    for_each_place(before.places, [this](size_t, std::string_view host, std::string_view, Matcher) {
      count_glob(host, -1);
    });
  }
  // Changes look into both until they are a table.
  old_specs_.push_back(std::move(before.specs));
  old_texts_.push_back(std::move(before.places));
  return Old(std::move(before.targets), old_texts_.back());
}

std::vector<RouteRule> RouteSet::read_commands(RouteEdit& edit, std::vector<uint32_t>& positions) {
  positions.assign(edit.routes.size(), 0);
  if (edit.commands.empty()) return {};
  constexpr unsigned kLineBits = 24;
  RouteCommands commands = parse_commands(edit.commands, {.lines = (1 << kLineBits) - 1});
  // Lines matter to rules alone; without them a line that is put in front changes no other target.
  const uint32_t layer = uint32_t{edit.layer} << kLineBits;
  const uint32_t line_mask = commands.rules.empty() ? 0 : ~0u;
  for (RouteAdd& add : commands.adds) {
    edit.routes.push_back(std::move(add.spec));
    positions.push_back(layer | std::max(1u, add.line & line_mask));
  }
  for (RouteRule& rule : commands.rules) rule.line |= layer;
  for (RejectedRoute& each : commands.rejected) edit.rejected.push_back(std::move(each));
  return std::move(commands.rules);
}

void RouteSet::diff_key(RouteEdit& edit, std::vector<Change>& changes) {
  const Source source{edit.key, ""};
  Diff diff(*this, source);
  std::vector<uint32_t> positions;
  std::vector<RouteRule> rules = read_commands(edit, positions);
  std::map<std::string, std::vector<PlacedSpec>> named;
  for (size_t i = 0; i < edit.routes.size(); ++i) {
    RouteSpec& spec = edit.routes[i];
    auto good = check(spec);
    if (!good) {
      edit.rejected.push_back({spec.service, spec.host + spec.path, good.error().message});
      continue;
    }
    if (std::string idle = without_effect(spec.options); !idle.empty()) {
      edit.rejected.push_back({spec.service, spec.host + spec.path, std::move(idle)});
    }
    if (spec.options.redirect_code == 0 && !is_ip_literal(spec.destination.host)) {
      std::string name = spec.destination.host;
      named[std::move(name)].push_back({std::move(spec), positions[i]});
    } else {
      diff.add(place_of(spec), spec, positions[i], {}, changes);
    }
  }
  if (rules.empty()) {
    rule_keys_.erase(edit.key);
  } else {
    rule_keys_.insert(edit.key);
  }
  diff.finish(std::move(rules), {}, changes);
  diff_names(edit, std::move(named), changes);
  set_rejected(edit.key, std::move(edit.rejected));
}

/// `named`: what the key says now, by host name.
void RouteSet::diff_names(RouteEdit& edit, std::map<std::string, std::vector<PlacedSpec>> named,
                          std::vector<Change>& changes) {
  for (auto at = sources_.upper_bound({edit.key, ""});
       at != sources_.end() && at->first.key == edit.key; ++at) {
    named.try_emplace(at->first.name);  // said before, and perhaps no more
  }
  for (auto& [name, specs] : named) {
    const Source source{edit.key, name};
    const bool known = sources_.contains(source);
    if (!known && !watch(source)) {
      for (const auto& [spec, position] : specs) {
        edit.rejected.push_back({spec.service, spec.host + spec.path,
                                 fmt::format("{}: there are too many host names", name)});
      }
      continue;
    }
    const bool gone = specs.empty();
    diff_name(source, std::move(specs), changes);
    if (gone) unwatch(source);
  }
}

void RouteSet::diff_name(const Source& source, std::vector<PlacedSpec> specs,
                         std::vector<Change>& changes) {
  Diff diff(*this, source);
  std::vector<Spread> spreads;
  if (names_ != nullptr) {
    const std::span<const std::string> addresses = names_->addresses(source.name);
    for (const std::string& address : addresses) {
      spreads.push_back({address, static_cast<uint16_t>(addresses.size())});
    }
  }
  if (spreads.empty()) spreads.emplace_back();
  for (PlacedSpec& placed : specs) {
    for (const Spread& spread : spreads) {
      RouteSpec copy = placed.spec;
      diff.add(place_of(placed.spec), copy, placed.position, spread, changes);
    }
  }
  diff.finish({}, std::move(specs), changes);
}

/// False: there are too many names.
bool RouteSet::watch(const Source& source) {
  if (names_ != nullptr && !names_->watch(source.name)) return false;
  keys_of_name_[source.name].insert(source.key);
  return true;
}

void RouteSet::unwatch(const Source& source) {
  const auto at = keys_of_name_.find(source.name);
  CHECK(at != keys_of_name_.end());
  at->second.erase(source.key);
  if (at->second.empty()) keys_of_name_.erase(at);
  if (names_ != nullptr) names_->unwatch(source.name);
}

RouteSet::Outcome RouteSet::readdress(const std::string& name, const RouteTable& current) {
  std::vector<Change> changes;
  if (const auto at = keys_of_name_.find(name); at != keys_of_name_.end()) {
    for (const std::string& key : at->second) {
      const Source source{key, name};
      std::vector<PlacedSpec> specs = std::exchange(sources_.at(source).specs, {});
      diff_name(source, std::move(specs), changes);
    }
  }
  return finish(std::move(changes), current);
}

void RouteSet::set_rejected(const std::string& key, std::vector<RejectedRoute> rejected) {
  const auto at = rejected_.find(key);
  if (log_ != nullptr) {
    for (const RejectedRoute& each : rejected) {
      const bool known = at != rejected_.end() &&
                         std::find(at->second.begin(), at->second.end(), each) != at->second.end();
      if (known) continue;
      log_->warn("route {:?} of service {:?} is left out: {}", each.tag, each.service, each.reason);
    }
  }
  if (rejected.empty()) {
    if (at != rejected_.end()) rejected_.erase(at);
  } else {
    rejected_[key] = std::move(rejected);
  }
}

/// Every target of every key as if it were new, and what was removed.
std::vector<RouteSet::Change> RouteSet::everything(std::span<const Change> changes) const {
  std::vector<Change> out;
  for (const auto& [source, routes] : sources_) {
    for_each_place(routes.places,
                   [&](size_t i, std::string_view host, std::string_view path, Matcher matcher) {
                     out.push_back({{host, path, matcher}, routes.targets[i], true});
                   });
  }
  for (const Change& change : changes) {
    if (!change.added) out.push_back(change);
  }
  return out;
}

}  // namespace sluice::proxy
