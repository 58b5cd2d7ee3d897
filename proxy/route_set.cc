#include "proxy/route_set.h"

#include <algorithm>
#include <unordered_set>

#include "core/check.h"
#include "core/log.h"

namespace sluice::proxy {

RouteSet::RouteSet(const PublisherOptions& options, EndpointRegistry& endpoints,
                   UpstreamNames* names, Log* log)
    : settings_(options), endpoints_(endpoints), names_(names), log_(log) {}

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
    const std::vector<RouteRule>& some = sources_.at({key, ""}).rules;
    rules.insert(rules.end(), some.begin(), some.end());
  }
  std::sort(rules.begin(), rules.end(),
            [](const RouteRule& a, const RouteRule& b) { return a.line < b.line; });
  if (rules == rules_) return false;
  rules_ = std::move(rules);
  return true;
}

std::set<std::string> RouteSet::keys() const {
  std::set<std::string> all;
  for (const auto& [source, routes] : sources_) all.insert(source.key);
  return all;
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
  std::vector<Change> changes;
  for (RouteEdit& edit : edits) diff_key(edit, changes);
  forget_options();
  return finish(std::move(changes), current);
}

RouteSet::Outcome RouteSet::finish(std::vector<Change> changes, const RouteTable& current) {
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
  old_specs_.clear();
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
