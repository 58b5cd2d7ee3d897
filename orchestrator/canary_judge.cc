#include "orchestrator/canary_judge.h"

#include <fmt/format.h>

#include <vector>

#include "orchestrator/group_services.h"

namespace sluice::orchestrator {

namespace {

constexpr int64_t kLookMs = 1'000;

}  // namespace

/// The deployments whose canaries wait, and are measured.
void CanaryJudge::follow() {
  const Snapshot snapshot = server_.snapshot();
  if (snapshot.index() == seen_index_) return;
  seen_index_ = snapshot.index();
  std::map<std::string, Trial> now;
  snapshot.tables().deployments.each([&](const DeploymentPtr& deployment) {
    if (deployment->status != DeploymentStatus::kRunning || !deployment->needs_promotion()) return;
    const JobPtr job = snapshot.job(deployment->namespace_, deployment->job_id);
    if (!job || job->stop || job->version != deployment->job_version) return;
    const auto known = trials_.find(deployment->id);
    Trial trial;
    trial.promotes = true;
    for (const auto& [name, group] : deployment->groups) {
      const TaskGroup* of = job->group(name);
      if (!of || group.desired_canaries == 0 || group.promoted) continue;
      trial.promotes &= group.auto_promote;
      for (const GroupService& service : group_services(*job, *of)) {
        const auto policy = parse_canary_policy(service.canary_meta);
        if (policy && *policy) trial.services[service.name].policy = **policy;
      }
    }
    if (trial.services.empty()) return;
    if (known != trials_.end()) {
      trial.said = known->second.said;
      for (auto& [service, watched] : trial.services) {
        const auto before = known->second.services.find(service);
        if (before != known->second.services.end()) watched.before = before->second.before;
      }
    }
    now.emplace(deployment->id, std::move(trial));
  });
  trials_ = std::move(now);
}

Task<void> CanaryJudge::look(const std::string& id, const ServiceLoads& loads) {
  Trial& trial = trials_[id];
  bool good = true;
  std::string bad;
  for (auto& [service, watched] : trial.services) {
    const auto found = loads.find(service);
    const ServiceLoad load = found == loads.end() ? ServiceLoad{} : found->second;
    // A balancer that began anew counts from zero.
    if (!watched.before || load.canary_answers < watched.before->answers) {
      watched.before = Count{load.canary_answers, load.canary_errors};
    }
    const uint64_t answers = load.canary_answers - watched.before->answers;
    const uint64_t errors = load.canary_errors - watched.before->errors;
    const CanaryVerdict verdict = watched.policy.judge(answers, errors);
    good = good && verdict == CanaryVerdict::kGood;
    if (verdict != CanaryVerdict::kBad) continue;
    bad = fmt::format("canaries of service {} answered {} of {} requests with an error", service,
                      errors, answers);
  }
  if (!bad.empty()) {
    log_.warn("deployment {}: {}", id.substr(0, 8), bad);
    const auto failed = co_await server_.fail_deployment(id, "Failed because " + bad);
    if (!failed) log_.warn("deployment {}: {}", id.substr(0, 8), failed.error().message);
    co_return;
  }
  if (!good || trial.said) co_return;
  if (!trial.promotes) {
    trial.said = true;
    log_.info("deployment {}: its canaries answer as they should, and wait for their promotion",
              id.substr(0, 8));
    co_return;
  }
  // Refused as long as one of them is not healthy.
  if (co_await server_.promote_deployment(id, true, {})) {
    log_.info("deployment {}: promoted, for its canaries answer as they should", id.substr(0, 8));
  }
}

Task<void> CanaryJudge::run() {
  for (;;) {
    follow();
    std::set<std::string> services;
    std::vector<std::string> ids;
    for (const auto& [id, trial] : trials_) {
      ids.push_back(id);
      for (const auto& [service, watched] : trial.services) services.insert(service);
    }
    if (!ids.empty()) {
      const ServiceLoads loads = co_await meter_.read(std::move(services));
      for (const std::string& id : ids) co_await look(id, loads);
    }
    co_await sleep_for(env_.executor, kLookMs);
  }
}

}  // namespace sluice::orchestrator
