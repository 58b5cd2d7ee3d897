#include "proxy/route_set.h"

#include <algorithm>
#include <unordered_set>

#include "core/check.h"
#include "core/log.h"

namespace sluice::proxy {

RouteSet::RouteSet(const PublisherOptions& options, EndpointRegistry& endpoints, Log* log)
    : settings_(options), endpoints_(endpoints), log_(log) {}

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

bool same(const Target& target, const RouteSpec& spec, uint32_t position) {
  if (target.service() != spec.service || target.instance() != spec.instance ||
      target.healthy() != spec.healthy || target.position() != position ||
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

Ref<Target> RouteSet::make_target(RouteSpec& spec, uint32_t position, Reuse& reuse) {
  Target::Parts parts;
  if (spec.options.redirect_code == 0) {
    parts.endpoint = endpoints_.find_or_add(endpoint_key(spec.destination, spec.options));
  }
  parts.service = reuse.label(spec.service);
  parts.instance = get_instance(spec.instance);
  parts.fixed_weight = spec.options.weight;
  parts.options = share_options(std::move(spec.options));
  parts.tags = reuse.tags(std::move(spec.tags));
  parts.position = position;
  parts.healthy = spec.healthy;
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
  const Ref<Target>* take(const Place& place, const RouteSpec& spec, uint32_t position) {
    const auto fits = [&](size_t i) {
      return !kept_[i] && places_[i] == place && same(*targets_[i], spec, position);
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

void RouteSet::read_commands(RouteEdit& edit, std::vector<uint32_t>& positions,
                             KeyRoutes& now) const {
  positions.assign(edit.routes.size(), 0);
  if (edit.commands.empty()) return;
  constexpr unsigned kLineBits = 24;
  RouteCommands commands = parse_commands(edit.commands, {.lines = (1 << kLineBits) - 1});
  // Lines matter to rules alone; without them a line that is put in front changes no other target.
  const uint32_t layer = uint32_t{edit.layer} << kLineBits;
  const uint32_t line_mask = commands.rules.empty() ? 0 : ~0u;
  for (RouteAdd& add : commands.adds) {
    edit.routes.push_back(std::move(add.spec));
    positions.push_back(layer | std::max(1u, add.line & line_mask));
  }
  for (RouteRule& rule : commands.rules) {
    rule.line |= layer;
    now.rules.push_back(std::move(rule));
  }
  for (RejectedRoute& each : commands.rejected) edit.rejected.push_back(std::move(each));
}

void RouteSet::diff_key(RouteEdit& edit, std::vector<Change>& changes) {
  KeyRoutes before;
  if (const auto at = keys_.find(edit.key); at != keys_.end()) {
    before = std::move(at->second);
    target_count_ -= before.targets.size();
    for_each_place(before.places, [this](size_t, std::string_view host, std::string_view, Matcher) {
      count_glob(host, -1);
    });
  }
  old_texts_.push_back(std::move(before.places));
  Old old(std::move(before.targets), old_texts_.back());

  KeyRoutes now;
  std::vector<uint32_t> positions;
  read_commands(edit, positions, now);
  Reuse reuse;
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
    const Place place = place_of(spec);
    if (const Ref<Target>* target = old.take(place, spec, positions[i])) {
      now.targets.push_back(*target);
      reuse.remember(**target);
    } else {
      now.targets.push_back(make_target(spec, positions[i], reuse));
      changes.push_back({place, now.targets.back(), true});
    }
    now.places.append(place.host).append(1, '\0').append(place.path).append(1, '\0');
    now.places += static_cast<char>(place.matcher);
    ++target_count_;
    count_glob(place.host, 1);
  }
  old.append_removed(changes);
  set_rejected(edit.key, std::move(edit.rejected));
  if (now.rules.empty()) {
    rule_keys_.erase(edit.key);
  } else {
    rule_keys_.insert(edit.key);
  }
  if (now.targets.empty() && now.rules.empty()) {
    keys_.erase(edit.key);
  } else {
    now.targets.shrink_to_fit();
    now.places.shrink_to_fit();
    keys_[edit.key] = std::move(now);
  }
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

std::vector<RejectedRoute> RouteSet::rejected() const {
  std::vector<RejectedRoute> out;
  for (const auto& [key, list] : rejected_) out.insert(out.end(), list.begin(), list.end());
  return out;
}

// ---- from changes to a table

/// True: they are not what they were.
bool RouteSet::collect_rules() {
  std::vector<RouteRule> rules;
  for (const std::string& key : rule_keys_) {
    const std::vector<RouteRule>& some = keys_.at(key).rules;
    rules.insert(rules.end(), some.begin(), some.end());
  }
  std::sort(rules.begin(), rules.end(),
            [](const RouteRule& a, const RouteRule& b) { return a.line < b.line; });
  if (rules == rules_) return false;
  rules_ = std::move(rules);
  return true;
}

/// Every target of every key as if it were new, and what was removed.
std::vector<RouteSet::Change> RouteSet::everything(std::span<const Change> changes) const {
  std::vector<Change> out;
  for (const auto& [key, routes] : keys_) {
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

/// Slow start is for what has served before and failed, not for what is new.
void RouteSet::note_recoveries(const Outcome& outcome) {
  std::unordered_set<const Endpoint*> sick;
  for (const Ref<Target>& target : outcome.removed) {
    if (!target->healthy() && target->endpoint() != nullptr) sick.insert(target->endpoint());
  }
  for (const Ref<Target>& target : outcome.added) {
    const Endpoint* endpoint = target->endpoint();
    if (endpoint == nullptr || !target->healthy()) continue;
    if (endpoint->note_healthy() && sick.contains(endpoint)) endpoint->recover();
  }
}

RouteSet::Outcome RouteSet::apply(std::vector<RouteEdit> edits, const RouteTable& current) {
  old_texts_.reserve(edits.size());  // views look into them: they do not move
  std::vector<Change> changes;
  for (RouteEdit& edit : edits) diff_key(edit, changes);
  forget_options();

  Outcome outcome;
  for (const Change& change : changes) {
    (change.added ? outcome.added : outcome.removed).push_back(change.target);
  }
  note_recoveries(outcome);
  const bool other_rules = collect_rules();
  if (other_rules) {
    changes = everything(changes);
    places_.clear();
  }
  if (!changes.empty()) {
    // What is added comes first: a key that two edits name may remove what it has just added.
    std::sort(changes.begin(), changes.end(), [](const Change& a, const Change& b) {
      return a.place != b.place ? a.place < b.place : a.added > b.added;
    });
    TableBuilder builder(current);
    const std::span<const Change> all(changes);
    for (size_t begin = 0; begin < all.size();) {
      size_t end = begin + 1;
      while (end < all.size() && all[end].place.host == all[begin].place.host) ++end;
      rebuild_host(builder, all.subspan(begin, end - begin), other_rules);
      begin = end;
    }
    outcome.table = builder.finish(current.version() + 1);
  }
  changes.clear();
  old_texts_.clear();
  return outcome;
}

RouteSet::Targets RouteSet::targets_at(const Place& place, std::span<const Change> changes,
                                       const Route* before, bool from_nothing) {
  Targets targets;
  auto own = places_.end();
  if (!rules_.empty()) {
    own = places_.find(place);
    if (own != places_.end()) targets = own->second;
  } else if (before != nullptr && !from_nothing) {
    for (Target* target : before->all_targets()) targets.push_back(Ref<Target>::share(target));
  }
  for (const Change& change : changes) {
    if (change.added) {
      targets.push_back(change.target);
    } else if (!from_nothing) {
      const auto at = std::find(targets.begin(), targets.end(), change.target);
      CHECK(at != targets.end());
      targets.erase(at);
    }
  }
  if (!rules_.empty()) {
    if (own != places_.end()) {
      own->second = targets;
    } else {
      own = places_
                .emplace(OwnPlace(std::string(place.host), std::string(place.path), place.matcher),
                         targets)
                .first;
    }
    if (targets.empty()) places_.erase(own);
    apply_rules(place, targets);
  }
  return targets;
}

void RouteSet::rebuild_host(TableBuilder& builder, std::span<const Change> changes,
                            bool from_nothing) {
  const std::string_view pattern = changes.front().place.host;
  const Host* host = builder.table().find_host(pattern);
  std::vector<RouteUpdate> updates;
  for (size_t begin = 0; begin < changes.size();) {
    const Place& place = changes[begin].place;
    size_t end = begin + 1;
    while (end < changes.size() && changes[end].place == place) ++end;
    const Route* before = host == nullptr ? nullptr : host->find({place.path, place.matcher});
    Targets targets = targets_at(place, changes.subspan(begin, end - begin), before, from_nothing);
    updates.push_back({place.path, place.matcher, build_route(place, std::move(targets), before)});
    begin = end;
  }
  auto done = builder.update_host(pattern, std::move(updates));
  CHECK(done.has_value());  // check() has seen to it
}

}  // namespace sluice::proxy
