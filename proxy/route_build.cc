// RouteSet's last step: the targets of one place become a Route (proxy/route_set.h).
#include <algorithm>
#include <unordered_map>

#include "proxy/maglev.h"
#include "proxy/route_set.h"
#include "proxy/weights.h"

namespace sluice::proxy {

namespace {

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
                      endpoint == nullptr ? uint16_t{0} : endpoint->port(),
                      endpoint == nullptr ? std::array<uint8_t, 16>() : endpoint->ip(),
                      target.instance());
  };
  return rank(*a) < rank(*b);
}

/// Of a route without a target that can be picked, where an instance can be asked for.
LimitOptions limits_of_sleeping(std::span<const Ref<Target>> targets) {
  for (const Ref<Target>& target : targets) {
    LimitOptions limits = target->options().limits;
    if (!limits.wakes) continue;
    limits.queue = std::max(limits.queue, kWakingQueue);
    return limits;
  }
  return {};
}

bool acts_on(const RouteRule& rule, const Target& target) {
  if (target.position() >= rule.line) return false;  // it came later
  if (!rule.service.empty() && target.service() != rule.service) return false;
  if (rule.destination && target.destination() != *rule.destination) return false;
  return std::all_of(rule.tags.begin(), rule.tags.end(), [&](const std::string& tag) {
    return std::find(target.tags().begin(), target.tags().end(), tag) != target.tags().end();
  });
}

}  // namespace

void RouteSet::apply_rules(const Place& place, Targets& targets) const {
  for (const RouteRule& rule : rules_) {
    if (rule.source && (rule.source->host != place.host || rule.source->path != place.path)) {
      continue;
    }
    const auto matches = [&](const Ref<Target>& target) { return acts_on(rule, *target); };
    switch (rule.kind) {
      case RouteRule::Kind::kDelete: std::erase_if(targets, matches); break;
      case RouteRule::Kind::kWeight: {
        double count = 0;  // of destinations, however many addresses they have
        for (const Ref<Target>& target : targets) {
          if (matches(target)) count += 1.0 / target->among();
        }
        for (Ref<Target>& target : targets) {
          if (!matches(target)) continue;
          Target::Parts parts = target->parts();
          parts.fixed_weight = rule.weight / count;
          target = Target::make(std::move(parts));
        }
        break;
      }
    }
  }
}

std::unique_ptr<RouteExtra> RouteSet::build_extra(const Place& place, const Targets& live,
                                                  const Targets& others, Strategy& strategy,
                                                  const Route* before) const {
  auto extra = std::make_unique<RouteExtra>();
  bool needed = false;
  std::vector<Portion> portions;
  bool any_fixed = false;
  bool uneven = false;
  strategy = Strategy::kDefault;
  LimitOptions limits;
  for (const Ref<Target>& target : live) {
    const RouteOptions& options = target->options();
    portions.push_back({target->fixed_weight(), target->among()});
    any_fixed = any_fixed || target->fixed_weight() > 0;
    uneven = uneven || target->among() != live.front()->among();
    // What is one for the whole route is said by the first target that says it.
    if (strategy == Strategy::kDefault && options.strategy != Strategy::kDefault) {
      strategy = options.strategy;
      extra->hash_input = options.hash_input;
      extra->hash_name = options.hash_name;
    }
    if (extra->sticky_cookie.empty()) extra->sticky_cookie = options.sticky_cookie;
    if (limits == LimitOptions()) limits = options.limits;
  }
  if (strategy == Strategy::kDefault) {
    strategy = settings_.strategy;
    if (strategy == Strategy::kHash) extra->hash_input = HashInput::kAddress;
  }
  // A fixed share is a promise that only a weighted draw keeps.
  if (any_fixed && strategy == Strategy::kLeastConnections) strategy = Strategy::kRandom;
  if (any_fixed || uneven) {
    extra->weights = share_weights(portions);
    extra->slots = share_slots(extra->weights);
    needed = true;
  }
  const auto id_of = [](const Target& target) { return stable_hash(target.identity()); };
  if (strategy == Strategy::kHash && live.size() > 1) {
    std::vector<MaglevTarget> members;
    for (size_t i = 0; i < live.size(); ++i) {
      members.push_back({id_of(*live[i]), extra->weights.empty() ? 1 : extra->weights[i]});
    }
    extra->maglev = build_maglev(members);
    needed = true;
  }
  if (!extra->sticky_cookie.empty()) {
    for (const Ref<Target>& target : live) extra->ids.push_back(id_of(*target));
    needed = true;
  }
  if (live.empty()) limits = limits_of_sleeping(others);
  if (limits != LimitOptions()) {
    const RouteExtra* had = before == nullptr ? nullptr : before->extra();
    extra->limits = had != nullptr && had->limits && had->limits->options() == limits
                        ? had->limits
                        : RouteLimits::make(limits, settings_.seed);
    needed = true;
  }
  if (place.matcher == Matcher::kGlob) {
    extra->glob = std::move(Glob::compile(place.path)).value();  // check() has seen to it
    needed = true;
  }
  if (place.matcher == Matcher::kRegex) {
    extra->regex = std::move(Regex::compile(place.path)).value();
    needed = true;
  }
  return needed ? std::move(extra) : nullptr;
}

Ref<Route> RouteSet::build_route(const Place& place, Targets targets, const Route* before) const {
  if (targets.empty()) return {};
  std::sort(targets.begin(), targets.end(), target_before);
  Route::Parts parts;
  parts.matcher = place.matcher;
  Targets others;
  std::unordered_multimap<const Endpoint*, const Target*> live;
  for (Ref<Target>& target : targets) {
    const auto [begin, end] = live.equal_range(target->endpoint());
    const bool repeated = std::any_of(
        begin, end, [&](const auto& each) { return same_traffic(*each.second, *target); });
    if (target->healthy() && target->resolved() && !repeated) {
      live.emplace(target->endpoint(), target.get());
      parts.targets.push_back(std::move(target));
    } else {
      others.push_back(std::move(target));
    }
  }
  parts.live = static_cast<uint32_t>(parts.targets.size());

  parts.extra = build_extra(place, parts.targets, others, parts.strategy, before);
  for (Ref<Target>& target : others) parts.targets.push_back(std::move(target));
  Ref<Route> route = Route::make(place.path, std::move(parts));
  if (before != nullptr) route->continue_turn(*before);
  return route;
}

}  // namespace sluice::proxy
