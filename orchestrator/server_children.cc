// Children: what periodic and parameterized jobs make. A child is a job of its own, with
// `ID/periodic-<time>` or `ID/dispatch-<time>-<random>` as its id and the parent's id in ParentID.
//
// A launch is one commit: the child, its evaluation, and the time of the launch in the parent's
// record, so that a server that starts again launches nothing twice and knows what it missed: of
// several missed launches one is made up for.
#include <fmt/format.h>

#include <algorithm>

#include "core/base64.h"
#include "orchestrator/cron.h"
#include "orchestrator/server_impl.h"

namespace sluice::orchestrator {

namespace {

constexpr size_t kMaxPayloadBytes = 16 * 1024;
constexpr int64_t kDurablePollMs = 100;

std::string join(const StringList& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

bool holds(const StringList& list, const std::string& item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

/// A child's record; its id, payload and meta are the caller's to set.
std::shared_ptr<Job> child_of(const Job& parent) {
  auto child = std::make_shared<Job>(parent);
  child->parent_id = parent.id;
  child->stop = child->stable = false;
  child->idempotency_token.clear();
  child->version = 0;
  child->periodic_launch_ns = 0;
  child->create_index = child->modify_index = child->job_modify_index = 0;
  return child;
}

}  // namespace

Result<void> Server::Impl::check_periodic(const Job& job) const {
  if (!job.periodic) return {};
  for (const std::string& spec : job.periodic->specs) {
    auto cron = Cron::parse(spec);
    if (!cron) return fail(Code::kInvalid, "periodic: {}", cron.error().message);
  }
  auto zone = load_time_zone(env.disk, job.periodic->time_zone);
  if (!zone) return fail(Code::kInvalid, "periodic: time_zone: {}", zone.error().message);
  return {};
}

std::optional<int64_t> Server::Impl::next_launch(const Job& job, int64_t after_ns) const {
  if (!job.periodic || !job.periodic->enabled || job.stop) return std::nullopt;
  auto zone = load_time_zone(env.disk, job.periodic->time_zone);
  if (!zone) {
    log.error("server: periodic job {}: {}", job.id, zone.error().message);
    return std::nullopt;
  }
  const auto next = next_of(job.periodic->specs, after_ns / kSecondNs, *zone);
  return next ? std::optional(*next * kSecondNs) : std::nullopt;
}

void Server::Impl::follow_periodic(const Job& job) {
  const auto key = std::pair(job.namespace_, job.id);
  if (!job.periodic) {
    launches_.erase(key);
    return;
  }
  const auto next = next_launch(job, std::max(job.submit_time_ns, job.periodic_launch_ns));
  if (next) {
    launches_[key] = *next;
  } else {
    launches_.erase(key);
  }
}

bool Server::Impl::has_live_child(const Snapshot& now, const Job& parent) const {
  return now.job_children(parent).live() > 0;
}

std::shared_ptr<Job> Server::Impl::launch_into(const JobPtr& parent, int64_t at_ns,
                                               Commit& commit) {
  const Snapshot now = state_.snapshot();
  auto child = child_of(*parent);
  child->periodic.reset();
  // Two launches of one second (a forced one) are two children.
  int64_t second = at_ns / kSecondNs;
  do {
    child->id = fmt::format("{}/periodic-{}", parent->id, second++);
  } while (now.job(parent->namespace_, child->id));
  child->name = child->id;
  child->submit_time_ns = wall_ns();
  commit.jobs.push_back(child);
  auto eval = make_eval(*child, kTriggerPeriodic);
  eval->job_modify_index = state_.index() + 1;
  commit.evals.push_back(std::move(eval));
  return child;
}

void Server::Impl::launch_periodic() {
  const int64_t wall = wall_ns();
  std::vector<std::pair<std::string, std::string>> due;
  for (const auto& [key, at_ns] : launches_) {
    if (at_ns <= wall) due.push_back(key);
  }
  for (const auto& key : due) {
    const int64_t at_ns = std::exchange(launches_[key], INT64_MAX);  // until the commit says more
    const Snapshot now = state_.snapshot();
    const JobPtr parent = now.job(key.first, key.second);
    if (!parent || !parent->periodic) {
      launches_.erase(key);
      continue;
    }
    Commit commit;
    auto launched = std::make_shared<Job>(*parent);
    launched->periodic_launch_ns = wall;
    commit.jobs.push_back(launched);
    if (parent->periodic->prohibit_overlap && has_live_child(now, *parent)) {
      log.info("server: periodic job {}: not launched, its last run is not over", parent->id);
    } else {
      launch_into(parent, at_ns, commit);
    }
    auto waiter = submit(std::move(commit));
    if (waiter) continue;
    log.warn("server: periodic job {}: {}", parent->id, waiter.error().message);
    launches_[key] = at_ns;  // tried again at the next look
  }
}

Task<Result<EvalReply>> Server::Impl::force_periodic(std::string space, std::string id) {
  const JobPtr parent = state_.snapshot().job(space, id);
  if (!parent) co_return fail(Code::kNotFound, "job not found");
  if (!parent->periodic) co_return fail(Code::kInvalid, "can't force launch non-periodic job");
  if (parent->stop) co_return fail(Code::kInvalid, "job \"{}\" is stopped", id);
  Commit commit;
  launch_into(parent, wall_ns(), commit);
  EvalReply reply{.eval_id = commit.evals.back()->id};
  auto done = co_await this->commit(std::move(commit));
  if (!done) co_return pass(done);
  reply.index = *done;
  co_return reply;
}

namespace {

/// What a dispatch may not say, in Nomad's words.
Result<void> check_dispatch(const Job& parent, const StringMap& meta, size_t payload_bytes) {
  const Parameterized& asked = *parent.parameterized;
  if (asked.payload == "required" && payload_bytes == 0) {
    return fail(Code::kInvalid, "Payload is not provided but required by parameterized job");
  }
  if (asked.payload == "forbidden" && payload_bytes > 0) {
    return fail(Code::kInvalid, "Payload provided but forbidden by parameterized job");
  }
  if (payload_bytes > kMaxPayloadBytes) {
    return fail(Code::kInvalid, "Payload exceeds maximum size; {} > {}", payload_bytes,
                kMaxPayloadBytes);
  }
  StringList unknown, missing;
  for (const auto& [key, value] : meta) {
    if (!holds(asked.meta_required, key) && !holds(asked.meta_optional, key)) {
      unknown.push_back(key);
    }
  }
  if (!unknown.empty()) {
    return fail(Code::kInvalid, "Dispatch request included unpermitted metadata keys: [{}]",
                join(unknown));
  }
  for (const std::string& key : asked.meta_required) {
    if (!meta.contains(key)) missing.push_back(key);
  }
  if (!missing.empty()) {
    return fail(Code::kInvalid, "Dispatch did not provide required meta keys: [{}]", join(missing));
  }
  return {};
}

/// The parent's child that was dispatched with this token.
JobPtr child_with(const Snapshot& now, const Job& parent, std::string_view token) {
  JobPtr found;
  if (token.empty()) return found;
  now.tables().jobs.each([&](const JobPtr& job) {
    if (job->idempotency_token == token && job->parent_id == parent.id &&
        job->namespace_ == parent.namespace_) {
      found = job;
    }
  });
  return found;
}

}  // namespace

/// Its reply is as durable as the first one's.
Task<Result<Server::DispatchReply>> Server::Impl::dispatched_before(JobPtr child) {
  const Topic topic{Topic::Kind::kJobs, child->id, child->namespace_};
  while (!published_.job(child->namespace_, child->id)) {
    if (!state_.snapshot().job(child->namespace_, child->id)) {
      co_return fail(Code::kUnavailable, "the dispatch with this idempotency token failed");
    }
    (void)co_await wait(topic, published_.last_change(topic), kDurablePollMs);
  }
  co_return DispatchReply{
      .child_id = child->id, .job_create_index = child->create_index, .index = child->modify_index};
}

Task<Result<Server::DispatchReply>> Server::Impl::dispatch_job(DispatchRequest request) {
  const auto& [space, id, meta, payload_base64, token, prefix] = request;
  const Snapshot now = state_.snapshot();
  const JobPtr parent = now.job(space, id);
  if (!parent) co_return fail(Code::kNotFound, "parameterized job not found");
  if (!parent->parameterized || parent->dispatched) {
    co_return fail(Code::kInvalid, "Specified job \"{}\" is not a parameterized job", id);
  }
  if (parent->stop) co_return fail(Code::kInvalid, "Specified job \"{}\" is stopped", id);
  if (prefix.find_first_of(std::string_view(" \0", 2)) != std::string::npos) {
    co_return fail(Code::kInvalid, "IdPrefixTemplate \"{}\" contains a space or a NUL", prefix);
  }
  Result<std::string> payload = base64_decode(payload_base64);
  if (!payload) co_return fail(Code::kInvalid, "Payload: {}", payload.error().message);
  Result<void> allowed = check_dispatch(*parent, meta, payload->size());
  if (!allowed) co_return pass(allowed);
  if (const JobPtr before = child_with(now, *parent, token)) {
    co_return co_await dispatched_before(before);
  }

  auto child = child_of(*parent);
  child->dispatched = true;
  child->idempotency_token = token;
  if (!payload_base64.empty()) child->payload = payload_base64;
  for (const auto& [key, value] : meta) child->meta[key] = value;
  do {
    child->id = fmt::format("{}/dispatch-{}{}{}-{}", id, prefix, prefix.empty() ? "" : "-",
                            wall_ns() / kSecondNs, new_id().substr(0, 8));
  } while (now.job(space, child->id));
  child->name = child->id;
  child->submit_time_ns = wall_ns();
  Commit commit;
  commit.jobs.push_back(child);
  auto eval = make_eval(*child, kTriggerJobRegister);
  eval->job_modify_index = state_.index() + 1;
  DispatchReply reply{.child_id = child->id, .eval_id = eval->id};
  commit.evals.push_back(std::move(eval));
  auto done = co_await this->commit(std::move(commit));
  if (!done) co_return pass(done);
  reply.index = reply.job_create_index = reply.eval_create_index = *done;
  co_return reply;
}

}  // namespace sluice::orchestrator
