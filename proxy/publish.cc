#include "proxy/publish.h"

#include <algorithm>

#include "core/check.h"
#include "core/log.h"
#include "proxy/weights.h"

namespace sluice::proxy {

// ---- from specs to targets

/// What the specs of one edit can share: a service's instances have the same name, options and
/// tags.
class Publisher::Reuse {
 public:
  Ref<Label> label(std::string_view text) {
    if (!label_ || label_->text() != text) label_ = Label::make(text);
    return label_;
  }
  Ref<SharedOptions> options(RouteOptions options) {
    if (!options_ || options_->value != options) {
      options_ = Ref<SharedOptions>::adopt(new SharedOptions(std::move(options)));
    }
    return options_;
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
    options_ = target.parts().options;
    if (target.parts().tags) tags_ = target.parts().tags;
  }

 private:
  Ref<Label> label_;
  Ref<SharedOptions> options_;
  Ref<SharedTags> tags_;
};

namespace {

bool same(const Target& target, const RouteSpec& spec) {
  if (target.service() != spec.service || target.instance() != spec.instance ||
      target.healthy() != spec.healthy || target.options() != spec.options ||
      !std::equal(target.tags().begin(), target.tags().end(), spec.tags.begin(), spec.tags.end())) {
    return false;
  }
  if (target.endpoint() == nullptr) return spec.options.redirect_code != 0;
  return spec.options.redirect_code == 0 && target.endpoint()->destination() == spec.destination;
}

/// Equal in what a client can see: the second of two gets no share of its own, as in fabio.
bool same_traffic(const Target& a, const Target& b) {
  return a.endpoint() == b.endpoint() && a.fixed_weight() == b.fixed_weight() &&
         a.service() == b.service() && a.options() == b.options() &&
         std::equal(a.tags().begin(), a.tags().end(), b.tags().begin(), b.tags().end());
}

/// The order in a route and in listings: that of the commands, then by service and address.
bool target_before(const Ref<Target>& a, const Ref<Target>& b) {
  const auto rank = [](const Target& target) {
    const Endpoint* endpoint = target.endpoint();
    return std::tuple(target.position(), target.service(),
                      endpoint == nullptr ? std::string_view() : endpoint->host(),
                      endpoint == nullptr ? uint16_t{0} : endpoint->port(), target.instance());
  };
  return rank(*a) < rank(*b);
}

}  // namespace

Publisher::Place Publisher::place_of(const RouteSpec& spec) const {
  const Matcher matcher =
      spec.options.matcher == Matcher::kDefault ? options_.matcher : spec.options.matcher;
  return {spec.host, spec.path, spec.path.empty() ? Matcher::kPrefix : matcher};
}

Result<void> Publisher::check(const RouteSpec& spec) {
  if (spec.service.empty()) return fail(Code::kInvalid, "the service has no name");
  if (spec.host.size() > options_.host_bytes || spec.path.size() > options_.path_bytes ||
      spec.destination.host.size() > options_.host_bytes) {
    return fail(Code::kLimit, "the host or the path is too long");
  }
  if (spec.host.find('\0') != std::string::npos || spec.path.find('\0') != std::string::npos) {
    return fail(Code::kInvalid, "NUL in the host or the path");
  }
  if (spec.options.redirect_code == 0 && spec.destination.host.empty()) {
    return fail(Code::kInvalid, "the destination has no host");
  }
  const HostPattern pattern = parse_pattern(spec.host);
  if (pattern.kind != HostKind::kGlob) return {};
  auto glob = Glob::compile(pattern.name);
  if (!glob) return pass(glob);
  if (table().find_host(spec.host) == nullptr && !new_globs_.contains(spec.host)) {
    if (table().glob_count() + new_globs_.size() >= TableBuilder::kGlobHosts) {
      return fail(Code::kLimit, "more than {} hosts hold a general glob", TableBuilder::kGlobHosts);
    }
    new_globs_.insert(spec.host);
  }
  return {};
}

Ref<Instance> Publisher::find_instance(std::string_view id) {
  if (id.empty()) return {};
  const auto at = instances_.find(id);
  if (at != instances_.end()) return at->second;
  Ref<Instance> instance = Instance::make(id);
  instances_.emplace(instance->id(), instance);
  return instance;
}

Ref<Target> Publisher::make_target(RouteSpec& spec, Reuse& reuse) {
  Target::Parts parts;
  if (spec.options.redirect_code == 0) {
    parts.endpoint = endpoints_.find_or_add(endpoint_key(spec.destination, spec.options));
  }
  parts.service = reuse.label(spec.service);
  parts.instance = find_instance(spec.instance);
  parts.fixed_weight = spec.options.weight;
  parts.options = reuse.options(std::move(spec.options));
  parts.tags = reuse.tags(std::move(spec.tags));
  parts.healthy = spec.healthy;
  return Target::make(std::move(parts));
}

// ---- what an edit changes

namespace {

size_t hash_of(std::string_view host, std::string_view path) {
  return hash_name(host, 0) ^ (hash_name(path, 0) * 31);
}

std::string_view until_nul(std::string_view& text) {
  const size_t end = text.find('\0');
  const std::string_view out = text.substr(0, end);
  text.remove_prefix(end + 1);
  return out;
}

}  // namespace

void Publisher::diff_key(RouteEdit& edit, std::vector<Change>& changes) {
  KeyRoutes old;
  if (const auto at = keys_.find(edit.key); at != keys_.end()) old = std::move(at->second);
  std::vector<Place> old_places;
  old_places.reserve(old.targets.size());
  // The views below go into `changes`, which outlives this call: keep the old text where it is.
  auto old_text = std::make_shared<std::string>(std::move(old.places));
  std::string_view rest = *old_text;
  for (size_t i = 0; i < old.targets.size(); ++i) {
    Place place;
    place.host = until_nul(rest);
    place.path = until_nul(rest);
    place.matcher = static_cast<Matcher>(rest.front());
    rest.remove_prefix(1);
    old_places.push_back(place);
  }
  std::unordered_multimap<size_t, size_t> by_place;  // filled when the order has changed
  std::vector<bool> kept(old.targets.size(), false);
  const auto find_old = [&](size_t hint, const RouteSpec& spec, const Place& place) -> size_t {
    const auto fits = [&](size_t i) {
      return !kept[i] && old_places[i] == place && same(*old.targets[i], spec);
    };
    if (hint < old.targets.size() && fits(hint)) return hint;
    if (by_place.empty()) {
      for (size_t i = 0; i < old_places.size(); ++i)
        by_place.emplace(hash_of(old_places[i].host, old_places[i].path), i);
    }
    const auto [begin, end] = by_place.equal_range(hash_of(place.host, place.path));
    for (auto at = begin; at != end; ++at) {
      if (fits(at->second)) return at->second;
    }
    return old.targets.size();
  };

  KeyRoutes now;
  Reuse reuse;
  std::vector<RejectedRoute> rejected = std::move(edit.rejected);
  size_t hint = 0;
  for (RouteSpec& spec : edit.routes) {
    auto good = check(spec);
    if (!good) {
      rejected.push_back({spec.service, spec.host + spec.path, good.error().message});
      continue;
    }
    const Place place = place_of(spec);
    const size_t index = find_old(hint, spec, place);
    if (index < old.targets.size()) {
      kept[index] = true;
      hint = index + 1;
      now.targets.push_back(old.targets[index]);
      reuse.remember(*old.targets[index]);
    } else {
      now.targets.push_back(make_target(spec, reuse));
      changes.push_back({place, now.targets.back(), true});
    }
    now.places.append(place.host).append(1, '\0').append(place.path).append(1, '\0');
    now.places += static_cast<char>(place.matcher);
  }
  for (size_t i = 0; i < old.targets.size(); ++i) {
    if (!kept[i]) changes.push_back({old_places[i], old.targets[i], false});
  }
  retired_texts_.push_back(std::move(old_text));
  set_rejected(edit.key, std::move(rejected));
  if (now.targets.empty()) {
    keys_.erase(edit.key);
  } else {
    now.targets.shrink_to_fit();
    now.places.shrink_to_fit();
    keys_[edit.key] = std::move(now);
  }
}

void Publisher::set_rejected(const std::string& key, std::vector<RejectedRoute> rejected) {
  const auto at = rejected_.find(key);
  if (log_ != nullptr) {
    for (const RejectedRoute& each : rejected) {
      const bool known = at != rejected_.end() &&
                         std::find(at->second.begin(), at->second.end(), each) != at->second.end();
      if (!known) {
        log_->warn("route {:?} of service {:?} is left out: {}", each.tag, each.service,
                   each.reason);
      }
    }
  }
  if (rejected.empty()) {
    if (at != rejected_.end()) rejected_.erase(at);
  } else {
    rejected_[key] = std::move(rejected);
  }
}

std::vector<RejectedRoute> Publisher::rejected() const {
  std::vector<RejectedRoute> out;
  for (const auto& [key, list] : rejected_) out.insert(out.end(), list.begin(), list.end());
  return out;
}

// ---- from changes to a table

Ref<Route> Publisher::build_route(const Place& place, std::vector<Ref<Target>> targets,
                                  const Route* before) const {
  if (targets.empty()) return {};
  std::sort(targets.begin(), targets.end(), target_before);
  Route::Parts parts;
  parts.matcher = place.matcher;
  std::vector<Ref<Target>> others;
  std::unordered_multimap<const Endpoint*, const Target*> live;
  for (Ref<Target>& target : targets) {
    const auto [begin, end] = live.equal_range(target->endpoint());
    const bool repeated = std::any_of(
        begin, end, [&](const auto& each) { return same_traffic(*each.second, *target); });
    if (target->healthy() && !repeated) {
      live.emplace(target->endpoint(), target.get());
      parts.targets.push_back(std::move(target));
    } else {
      others.push_back(std::move(target));
    }
  }
  parts.live = static_cast<uint32_t>(parts.targets.size());

  std::vector<double> fixed;
  bool any_fixed = false;
  parts.strategy = Strategy::kDefault;
  for (const Ref<Target>& target : parts.targets) {
    fixed.push_back(target->fixed_weight());
    any_fixed = any_fixed || target->fixed_weight() > 0;
    if (parts.strategy == Strategy::kDefault) parts.strategy = target->options().strategy;
  }
  if (parts.strategy == Strategy::kDefault) {
    // A fixed share is a promise that only a weighted draw keeps.
    parts.strategy = any_fixed && options_.strategy == Strategy::kLeastConnections
                         ? Strategy::kRandom
                         : options_.strategy;
  }
  if (any_fixed) {
    parts.extra = std::make_unique<RouteExtra>();
    parts.extra->weights = share_weights(fixed);
    parts.extra->slots = share_slots(parts.extra->weights);
  }
  for (Ref<Target>& target : others) parts.targets.push_back(std::move(target));
  Ref<Route> route = Route::make(place.path, std::move(parts));
  if (before != nullptr) route->continue_turn(*before);
  return route;
}

void Publisher::rebuild_host(TableBuilder& builder, std::span<Change> changes) {
  const std::string_view pattern = changes.front().place.host;
  const Host* host = builder.table().find_host(pattern);
  std::vector<RouteUpdate> updates;
  for (size_t begin = 0; begin < changes.size();) {
    const Place place = changes[begin].place;
    const Route* before = host == nullptr ? nullptr : host->find({place.path, place.matcher});
    std::vector<Ref<Target>> targets;
    if (before != nullptr) {
      for (Target* target : before->all_targets()) targets.push_back(Ref<Target>::share(target));
    }
    size_t end = begin;
    for (; end < changes.size() && changes[end].place == place; ++end) {
      if (changes[end].added) {
        targets.push_back(changes[end].target);
      } else {
        const auto at = std::find(targets.begin(), targets.end(), changes[end].target);
        CHECK(at != targets.end());
        targets.erase(at);
      }
    }
    updates.push_back({place.path, place.matcher, build_route(place, std::move(targets), before)});
    begin = end;
  }
  auto done = builder.update_host(pattern, std::move(updates));
  CHECK(done.has_value());
}

uint64_t Publisher::apply(std::vector<RouteEdit> edits) {
  std::vector<Change> changes;
  for (RouteEdit& edit : edits) diff_key(edit, changes);
  new_globs_.clear();
  const uint64_t version = table().version();
  if (changes.empty()) {
    retired_texts_.clear();
    return version;
  }
  // What is added comes first: a key that two edits name may remove what it has just added.
  std::sort(changes.begin(), changes.end(), [](const Change& a, const Change& b) {
    return a.place != b.place ? a.place < b.place : a.added > b.added;
  });
  TableBuilder builder(table());
  for (size_t begin = 0; begin < changes.size();) {
    size_t end = begin + 1;
    while (end < changes.size() && changes[end].place.host == changes[begin].place.host) ++end;
    rebuild_host(builder, std::span(changes).subspan(begin, end - begin));
    begin = end;
  }
  count_targets(changes, version + 1);
  changes.clear();
  retired_texts_.clear();
  publish(builder.finish(version + 1));
  return version + 1;
}

void Publisher::count_targets(std::span<const Change> changes, uint64_t version) {
  for (const Change& change : changes) {
    if (!change.added) continue;
    const Target::Parts& parts = change.target->parts();
    if (parts.endpoint) parts.endpoint.get()->add_route();
    if (parts.instance) ++parts.instance->targets;
  }
  for (const Change& change : changes) {
    if (change.added) continue;
    const Target::Parts& parts = change.target->parts();
    const bool unrouted = parts.endpoint && parts.endpoint.get()->drop_route();
    if (!parts.instance) continue;
    CHECK(parts.instance->targets > 0);
    --parts.instance->targets;
    Leaving& leaving = leaving_[parts.instance.get()];
    leaving.version = version;
    if (unrouted) leaving.endpoints.push_back(parts.endpoint);
  }
}

// ---- readers, retirement, drains

Publisher::Publisher(PublisherOptions options, Post post_control, Log* log)
    : options_(options),
      post_control_(std::move(post_control)),
      log_(log),
      alive_(std::make_shared<Alive>(this)),
      endpoints_([this] { wake(); }) {
  publish(RouteTable::make_empty());
}

Publisher::~Publisher() {
  CHECK(readers_.empty());
  alive_->publisher = nullptr;
}

TableReader& Publisher::add_reader(Post post) {
  newest_->readers.fetch_add(1, std::memory_order_relaxed);
  readers_.push_back(
      std::unique_ptr<TableReader>(new TableReader(*newest_, std::move(post), [this] { wake(); })));
  return *readers_.back();
}

void Publisher::remove_reader(TableReader& reader) {
  const auto at = std::find_if(readers_.begin(), readers_.end(),
                               [&](const auto& each) { return each.get() == &reader; });
  CHECK(at != readers_.end());
  // What was posted and not adopted will not be any more.
  const uint64_t adopted = reader.acknowledged_.load(std::memory_order_acquire);
  for (const auto& held : held_) {
    if (held->table->version() >= adopted) held->readers.fetch_sub(1, std::memory_order_acq_rel);
  }
  readers_.erase(at);
  collect();
}

void Publisher::publish(Ref<RouteTable> table) {
  held_.push_back(std::make_unique<Held>(std::move(table)));
  newest_ = held_.back().get();
  newest_->readers.store(static_cast<uint32_t>(readers_.size()), std::memory_order_relaxed);
  for (const auto& reader : readers_) {
    reader->post_([reader = reader.get(), held = newest_] { reader->adopt(*held); });
  }
  if (readers_.empty()) wake();
}

void Publisher::wake() {
  if (alive_->waking.exchange(true, std::memory_order_acq_rel)) return;
  post_control_([alive = alive_] {
    // Before looking, so that what changes from here on wakes again.
    alive->waking.store(false, std::memory_order_release);
    if (alive->publisher != nullptr) alive->publisher->collect();
  });
}

uint64_t Publisher::acknowledged_by_all() const {
  uint64_t least = table().version();
  for (const auto& reader : readers_) {
    least = std::min(least, reader->acknowledged_.load(std::memory_order_acquire));
  }
  return least;
}

void Publisher::free_tables() {
  std::erase_if(held_, [this](const std::unique_ptr<Held>& held) {
    return held.get() != newest_ && held->readers.load(std::memory_order_acquire) == 0;
  });
}

bool Publisher::all_idle(const std::vector<EndpointRef>& endpoints) {
  bool idle = true;
  for (const EndpointRef& endpoint : endpoints) idle = endpoints_.watch_idle(*endpoint) && idle;
  return idle;
}

bool Publisher::is_drained(std::string_view id, uint64_t acknowledged) {
  const auto at = instances_.find(id);
  if (at == instances_.end()) return true;
  if (at->second->targets > 0) return false;
  const auto leaving = leaving_.find(at->second.get());
  return leaving == leaving_.end() ||
         (leaving->second.version <= acknowledged && all_idle(leaving->second.endpoints));
}

void Publisher::when_drained(std::vector<std::string> instances, uint64_t version,
                             std::move_only_function<void()> done) {
  waiters_.push_back({std::move(instances), version, std::move(done)});
  wake();
}

void Publisher::collect() {
  free_tables();
  endpoints_.sweep();
  const uint64_t acknowledged = acknowledged_by_all();
  std::erase_if(waiters_, [&](Waiter& waiter) {
    if (waiter.version > acknowledged) return false;
    for (const std::string& id : waiter.instances) {
      if (!is_drained(id, acknowledged)) return false;
    }
    post_control_(std::move(waiter.done));
    return true;
  });
  // What has left and is idle needs no memory any more.
  std::erase_if(leaving_, [&](auto& each) {
    auto& [instance, leaving] = each;
    if (instance->targets == 0) {
      if (leaving.version > acknowledged || !all_idle(leaving.endpoints)) return false;
      instances_.erase(instance->id());
      return true;
    }
    // It is back. An endpoint that it left meanwhile matters until it is idle.
    return leaving.version <= acknowledged && all_idle(leaving.endpoints);
  });
}

}  // namespace sluice::proxy
