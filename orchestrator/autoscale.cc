#include "orchestrator/autoscale.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace sluice::orchestrator {

namespace {

constexpr int64_t kSampleMs = 1'000;
constexpr int64_t kWakingMs = 60'000;  // an instance that was asked for may take as long

uint64_t answers_of(const std::vector<GroupService>& services, const ServiceLoads& loads) {
  uint64_t sum = 0;
  for (const GroupService& service : services) {
    const auto found = loads.find(service.name);
    if (found != loads.end()) sum += found->second.answers;
  }
  return sum;
}

}  // namespace

void Autoscaler::take(const Snapshot& snapshot, const Job& job, const TaskGroup& group,
                      std::map<Key, Group>& into) {
  if (!group.scaling || !group.scaling->enabled) return;
  const Result<std::optional<ScalePolicy>> policy = parse_scale_policy(group.scaling->policy);
  if (!policy || !*policy) return;  // validated, and not ours
  const Key key{job.namespace_, job.id, group.name};
  const auto known = groups_.find(key);
  Group taken = known == groups_.end() ? Group{} : std::move(known->second);
  taken.policy = **policy;
  taken.min = std::max<int64_t>(group.scaling->min, 0);
  taken.max = std::max(group.scaling->max, taken.min);
  taken.count = group.count;
  taken.services = group_services(job, group);
  const DeploymentPtr deployment = snapshot.latest_deployment(job.namespace_, job.id);
  taken.waits = deployment && deployment->active() && deployment->needs_promotion();
  if (taken.count > 0 && !taken.changing) taken.resting = false;
  into.emplace(key, std::move(taken));
}

/// The groups as the newest state has them; what was measured of them stays.
void Autoscaler::follow() {
  const Snapshot snapshot = server_.snapshot();
  if (snapshot.index() == seen_index_) return;
  seen_index_ = snapshot.index();
  std::map<Key, Group> now;
  snapshot.tables().jobs.each([&](const JobPtr& job) {
    if (job->stop || job->is_system()) return;
    for (const TaskGroup& group : job->groups) take(snapshot, *job, group, now);
  });
  groups_ = std::move(now);
  say_sleeping();
}

void Autoscaler::say_sleeping() {
  const int64_t now_ms = env_.executor.now_ms();
  std::vector<GroupService> asleep;
  for (const auto& [key, group] : groups_) {
    const bool waking = group.woken_at_ms > now_ms - kWakingMs;
    if (group.min > 0 || (group.count > 0 && !waking && !group.resting)) continue;
    asleep.insert(asleep.end(), group.services.begin(), group.services.end());
  }
  if (asleep == said_) return;
  said_ = asleep;
  tell_sleeping_(std::move(asleep));
}

void Autoscaler::look(const Key& key, Group& group, const ServiceLoads& loads) {
  const int64_t now_ms = env_.executor.now_ms();
  const uint64_t answers = answers_of(group.services, loads);
  if (group.since_ms == 0) {
    group.since_ms = now_ms;
    group.answers = answers;
  }
  for (const GroupService& service : group.services) {
    const auto found = loads.find(service.name);
    if (found != loads.end()) group.in_flight += found->second.in_flight;
  }
  ++group.samples;
  const int64_t passed_ms = now_ms - group.since_ms;
  if (passed_ms < group.policy.interval_ms) return;
  // A balancer that began anew counts from zero.
  const uint64_t answered = answers >= group.answers ? answers - group.answers : answers;
  const MeasuredLoad load{
      .requests = static_cast<double>(group.in_flight) / static_cast<double>(group.samples),
      .request_rate = static_cast<double>(answered) * 1000 / static_cast<double>(passed_ms),
      .any = group.in_flight > 0 || answered > 0};
  group.since_ms = now_ms;
  group.samples = group.in_flight = 0;
  group.answers = answers;
  if (group.changing || group.waits) return;
  // What sleeps is woken by whoever asks for it, and by nothing that was measured before.
  if (group.count == 0) return;
  const int64_t wanted = std::clamp(group.policy.wanted(load), group.min, group.max);
  const int64_t next = group.window.next(now_ms, wanted, group.count, group.policy.cooldown_ms);
  if (next == group.count) return;
  change(
      key, group, next,
      fmt::format("{:.4g} requests under way, {:.4g} a second", load.requests, load.request_rate));
}

void Autoscaler::change(const Key& key, Group& group, int64_t count, std::string why) {
  group.changing = true;
  group.resting = count == 0;
  // Before its last instance leaves the balancers: no request in between is without a place.
  if (group.resting) say_sleeping();
  scope_.spawn(scale(key, count, std::move(why)));
}

Task<void> Autoscaler::scale(Key key, int64_t count, std::string why) {
  const auto& [space, job, name] = key;
  const Result<RegisterReply> done = co_await server_.scale_job({.space = space,
                                                                 .id = job,
                                                                 .group = name,
                                                                 .count = count,
                                                                 .message = why,
                                                                 .error = false,
                                                                 .meta = {},
                                                                 .at_once = true});
  if (done) {
    log_.info("scaling: job {} group {} to {}: {}", job, name, count, why);
  } else {
    log_.warn("scaling: job {} group {} to {}: {}", job, name, count, done.error().message);
  }
  const auto found = groups_.find(key);
  if (found != groups_.end()) {
    found->second.changing = false;
    found->second.resting = done && count == 0;
  }
  follow();
}

void Autoscaler::wake(const std::string& service) {
  follow();
  for (auto& [key, group] : groups_) {
    const bool has_it = std::ranges::any_of(
        group.services, [&](const GroupService& each) { return each.name == service; });
    if (!has_it || group.count > 0 || group.changing) continue;
    group.woken_at_ms = env_.executor.now_ms();
    group.window = {};  // what it was used for before says nothing about now
    change(key, group, std::max<int64_t>(group.min, 1),
           fmt::format("a request for service {} came", service));
  }
}

Task<void> Autoscaler::measure() {
  std::set<std::string> services;
  for (const auto& [key, group] : groups_) {
    for (const GroupService& service : group.services) services.insert(service.name);
  }
  const ServiceLoads loads = co_await meter_.read(std::move(services));
  for (auto& [key, group] : groups_) look(key, group, loads);
}

Task<void> Autoscaler::run() {
  for (;;) {
    follow();
    if (!groups_.empty()) co_await measure();
    say_sleeping();
    co_await sleep_for(env_.executor, kSampleMs);
  }
}

}  // namespace sluice::orchestrator
