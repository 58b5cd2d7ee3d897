// RouteSet's last step: the targets of one place become a Route (proxy/route_set.h).
#include <algorithm>
#include <unordered_map>

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
                      endpoint == nullptr ? uint16_t{0} : endpoint->port(), target.instance());
  };
  return rank(*a) < rank(*b);
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
        const auto count = std::count_if(targets.begin(), targets.end(), matches);
        for (Ref<Target>& target : targets) {
          if (!matches(target)) continue;
          Target::Parts parts = target->parts();
          parts.fixed_weight = rule.weight / static_cast<double>(count);
          target = Target::make(std::move(parts));
        }
        break;
      }
    }
  }
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
    parts.strategy = any_fixed && settings_.strategy == Strategy::kLeastConnections
                         ? Strategy::kRandom
                         : settings_.strategy;
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

}  // namespace sluice::proxy
