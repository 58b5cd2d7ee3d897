#include "orchestrator/server.h"

#include <algorithm>

#include "orchestrator/server_impl.h"

namespace sluice::orchestrator {

namespace {

constexpr size_t kMaxCommitsPerAppend = 256;
constexpr size_t kMaxRecordsPerAppend = 20'000;
constexpr int64_t kWriteRetryMs = 1'000;

}  // namespace

Server::Impl::Impl(Env environment, Log& logger, Store& storage, ServerOptions server_options)
    : env(environment),
      log(logger),
      store(storage),
      options(std::move(server_options)),
      commit_ready_(env.executor),
      broker_({.nack_timeout_ms = options.nack_timeout_ms,
               .retry_delay_ms = 1'000,
               .delivery_limit = options.eval_delivery_limit}),
      work_ready_(env.executor),
      background_(env.executor) {}

Task<Result<void>> Server::Impl::start() {
  auto loaded = co_await store.load();
  if (!loaded) co_return pass(loaded, "load state from store {}", store.name());
  published_ = *loaded;
  state_.reset(published_);
  begun_after_ = {published_.meta().term, published_.index()};
  background_.spawn(committer());
  started_ = true;
  auto opened = co_await open_term();
  if (!opened) {
    if (published_.meta().cluster_id.empty()) co_return pass(opened, "open a new term");
    // A full disk stops no task and no traffic: both go on from what is there.
    log.error("server: no new term yet: {}", opened.error().message);
    background_.spawn(open_term_later());
  }

  published_.tables().nodes.each([&](const NodePtr& node) {
    if (node->status == NodeStatus::kReady) grant_heartbeat(node->id);
  });
  reload_broker();
  published_.tables().jobs.each([&](const JobPtr& job) { follow_periodic(*job); });
  log.info("server: cluster {} term {} at index {}: {} nodes, {} jobs, {} allocations",
           published_.meta().cluster_id, published_.meta().term, published_.index(),
           published_.tables().nodes.size(), published_.tables().jobs.size(),
           published_.tables().allocs.size());
  co_return Result<void>();
}

/// A new term: what this server says comes after all that was said before.
Task<Result<uint64_t>> Server::Impl::open_term() {
  Commit opening;
  opening.meta = std::make_shared<ClusterMeta>(published_.meta());
  if (opening.meta->cluster_id.empty()) opening.meta->cluster_id = new_id();
  ++opening.meta->term;
  co_return co_await commit(std::move(opening));
}

Task<void> Server::Impl::open_term_later() {
  while (!outcome_unknown_) {
    co_await sleep_for(env.executor, kWriteRetryMs);
    auto opened = co_await open_term();
    if (opened) co_return;
  }
}

Task<void> Server::Impl::run() {
  CHECK(started_);
  Scope scope(env.executor);
  constexpr int kWorkers = 2;
  for (int i = 0; i < kWorkers; ++i) scope.spawn(worker());
  scope.spawn(watch_timers());
  scope.spawn(watch_heartbeats());
  co_await scope.join();
}

void Server::Impl::reload_broker() {
  broker_.clear();
  published_.tables().evals.each([&](const EvalPtr& eval) {
    if (!eval->is_terminal()) broker_.update(eval, now_ms(), wall_ns());
  });
  work_ready_.set();
}

// --------------------------------------------------------------------------- the commit pipeline

Result<std::shared_ptr<Server::Impl::Waiter>> Server::Impl::submit(Commit commit) {
  if (outcome_unknown_) {
    return fail(Code::kUnavailable, "no writes until the agent restarts: {}", trouble_);
  }
  if (!trouble_.empty() && now_ms() < retry_write_at_ms_) {
    return fail(Code::kUnavailable, "the store takes no writes: {}", trouble_);
  }
  if (rising_) return fail(Code::kUnavailable, "a recovery is under way; try again");
  if (pending_.size() >= options.max_pending_commits) {
    return fail(Code::kLimit, "{} commits wait for the store already", pending_.size());
  }
  commit.time_ns = wall_ns();
  complete_commit(commit);
  state_.apply(commit);
  auto waiter = std::make_shared<Waiter>(env.executor);
  auto shared = std::make_shared<const Commit>(std::move(commit));
  pending_.push_back({std::move(shared), state_.snapshot(), waiter});
  commit_ready_.set();
  return waiter;
}

Task<Result<uint64_t>> Server::Impl::commit(Commit commit) {
  auto waiter = submit(std::move(commit));
  if (!waiter) co_return pass(waiter);
  co_await (*waiter)->done.wait();
  co_return (*waiter)->result;
}

void Server::Impl::commit_unwatched(Commit commit) {
  if (commit.empty()) return;
  auto waiter = submit(std::move(commit));
  if (!waiter) log.warn("server: {}", waiter.error().message);
}

Task<void> Server::Impl::committer() {
  while (true) {
    co_await commit_ready_.wait();
    std::vector<std::shared_ptr<const Commit>> batch;
    size_t records = 0;
    for (const Pending& item : pending_) {
      records += item.commit->allocs.size() + item.commit->evals.size() + 1;
      if (!batch.empty() &&
          (records > kMaxRecordsPerAppend || batch.size() == kMaxCommitsPerAppend)) {
        break;
      }
      batch.push_back(item.commit);
    }
    if (batch.empty()) {
      commit_ready_.clear();
      continue;
    }
    const int64_t begin_ns = wall_ns();
    auto stored = co_await store.append(batch);
    if (options.metrics) options.metrics->sample("nomad.raft.commitTime", ms_since(begin_ns));
    log.debug("server: commits {} to {}: {}", batch.front()->index, batch.back()->index,
              stored ? "durable" : stored.error().message);
    if (!stored) {
      fail_all(stored.error());
      continue;
    }
    if (!trouble_.empty()) {
      log.info("server: the store takes writes again");
      trouble_.clear();
    }
    for (size_t i = 0; i < batch.size(); ++i) {
      Pending item = std::move(pending_.front());
      pending_.pop_front();
      published(*item.commit, item.after);
      item.waiter->result = item.commit->index;
      item.waiter->done.set();
    }
    if (store.wants_checkpoint() && !checkpointing_) background_.spawn(checkpoint());
  }
}

Task<void> Server::Impl::checkpoint() {
  checkpointing_ = true;
  auto done = co_await store.checkpoint(published_);
  if (!done)
    log.warn("server: checkpoint at index {}: {}", published_.index(), done.error().message);
  checkpointing_ = false;
}

void Server::Impl::fail_all(const Error& error) {
  if (trouble_ != error.message) {
    log.error("server: writes are refused, tasks go on: {}", error.message);
  }
  trouble_ = error.message;
  retry_write_at_ms_ = now_ms() + kWriteRetryMs;
  outcome_unknown_ = error.code == Code::kInternal;
  // What was planned over these commits falls with them.
  state_.reset(published_);
  auto failed = std::exchange(pending_, {});
  for (Pending& item : failed) {
    item.waiter->result = fail(Code::kUnavailable, "the store takes no writes: {}", trouble_);
    item.waiter->done.set();
  }
}

void Server::Impl::published(const Commit& commit, const Snapshot& after) {
  published_ = after;
  for (const auto& eval : commit.evals) broker_.update(eval, now_ms(), wall_ns());
  if (!commit.evals.empty()) work_ready_.set();
  for (const auto& job : commit.jobs) {
    if (const JobPtr now = after.job(job->namespace_, job->id)) follow_periodic(*now);
  }
  for (const Commit::Delete& what : commit.deletes) {
    if (what.kind == RecordKind::kJob) launches_.erase({what.space, what.id});
  }

  const bool room = std::any_of(commit.nodes.begin(), commit.nodes.end(),
                                [](const auto& node) { return node->accepts_work(); }) ||
                    std::any_of(commit.allocs.begin(), commit.allocs.end(),
                                [](const auto& alloc) { return alloc->terminal(); });
  if (room) {
    broker_.unblock(commit.index);
    if (broker_.ready() > 0) work_ready_.set();
  }

  if (watches_.empty()) return;
  const auto wake = [&](const TopicView& topic) {
    const auto found = watches_.find(topic);
    if (found != watches_.end()) found->second->changed.pulse();
  };
  visit_touched(commit, [&](Topic::Kind kind, std::string_view id, std::string_view space) {
    wake({kind, id, space});
  });
  using Kind = Topic::Kind;
  constexpr std::pair<RecordKind, Kind> kWhole[] = {{RecordKind::kNode, Kind::kNodes},
                                                    {RecordKind::kJob, Kind::kJobs},
                                                    {RecordKind::kEval, Kind::kEvals},
                                                    {RecordKind::kAlloc, Kind::kAllocs},
                                                    {RecordKind::kDeployment, Kind::kDeployments}};
  for (const auto& [record, kind] : kWhole) {
    if (commit.touches(record)) wake({kind, {}, {}});
  }
  if (!commit.deletes.empty()) {
    for (const auto& [topic, watch] : watches_) watch->changed.pulse();
  }
}

Task<Snapshot> Server::Impl::wait(Topic topic, uint64_t after_index, int64_t wait_ms) {
  if (published_.last_change(topic) > after_index || wait_ms <= 0) co_return published_;
  auto& slot = watches_[topic];
  if (!slot) slot = std::make_unique<Watch>(env.executor);
  struct Leave {
    Impl& impl;
    const Topic& topic;
    ~Leave() {
      const auto found = impl.watches_.find(topic);
      if (--found->second->waiting == 0) impl.watches_.erase(found);
    }
  };
  ++slot->waiting;
  Watch& watch = *slot;
  const Leave leave{*this, topic};

  Scope scope(env.executor);
  bool over = false;
  auto alarm = [](Executor& executor, int64_t delay_ms, Watch& on, bool& flag) -> Task<void> {
    co_await sleep_for(executor, delay_ms);
    flag = true;
    on.changed.pulse();
  };
  scope.spawn(alarm(env.executor, wait_ms, watch, over));
  while (!over && published_.last_change(topic) <= after_index) co_await watch.changed.wait();
  co_return published_;
}

void Server::Impl::complete_commit(Commit& commit) {
  count_deployment_changes(commit);
}

std::shared_ptr<Evaluation> Server::Impl::make_eval(const Job& job, std::string_view trigger) {
  auto eval = make_eval(job.namespace_, job.id, job.type, job.priority, trigger);
  eval->job_modify_index = job.modify_index;
  return eval;
}

std::shared_ptr<Evaluation> Server::Impl::make_eval(const std::string& space,
                                                    const std::string& job_id,
                                                    const std::string& type, int64_t priority,
                                                    std::string_view trigger) {
  auto eval = std::make_shared<Evaluation>();
  eval->id = new_id();
  eval->namespace_ = space;
  eval->priority = priority;
  eval->type = type;
  eval->triggered_by = trigger;
  eval->job_id = job_id;
  return eval;
}

// ----------------------------------------------------------------------------------- the outside

Server::Server(Env env, Log& log, Store& store, ServerOptions options)
    : impl_(std::make_unique<Impl>(env, log, store, std::move(options))) {}
Server::~Server() = default;

Task<Result<void>> Server::start() {
  return impl_->start();
}
Task<void> Server::run() {
  return impl_->run();
}
Snapshot Server::snapshot() const {
  return impl_->published_;
}
Task<Snapshot> Server::wait(Topic topic, uint64_t after_index, int64_t wait_ms) {
  return impl_->wait(std::move(topic), after_index, wait_ms);
}
const ServerOptions& Server::options() const {
  return impl_->options;
}
std::string_view Server::write_trouble() const {
  return impl_->trouble_;
}
Task<Result<RegisterReply>> Server::register_job(RegisterRequest request) {
  return impl_->register_job(std::move(request));
}
Task<Result<PlanReply>> Server::plan_job(Job job, bool with_diff) {
  return impl_->plan_job(std::move(job), with_diff);
}
Result<std::string> Server::validate_job(Job job) const {
  Result<Problems> warned = impl_->check_job(job);
  if (!warned) return pass(warned);
  return warnings_text(*warned);
}
Task<Result<EvalReply>> Server::deregister_job(std::string space, std::string id, bool purge,
                                               int64_t eval_priority, bool no_shutdown_delay) {
  return impl_->deregister_job(std::move(space), std::move(id), purge, eval_priority,
                               no_shutdown_delay);
}
Task<Result<EvalReply>> Server::evaluate_job(std::string space, std::string id,
                                             bool force_reschedule) {
  return impl_->evaluate_job(std::move(space), std::move(id), force_reschedule);
}
Task<Result<EvalReply>> Server::revert_job(std::string space, std::string id, int64_t version,
                                           std::optional<int64_t> enforce_prior_version) {
  return impl_->revert_job(std::move(space), std::move(id), version, enforce_prior_version);
}
Task<Result<RegisterReply>> Server::scale_job(ScaleRequest request) {
  return impl_->scale_job(std::move(request));
}
Task<Result<EvalReply>> Server::force_periodic(std::string space, std::string id) {
  return impl_->force_periodic(std::move(space), std::move(id));
}
Task<Result<Server::DispatchReply>> Server::dispatch_job(DispatchRequest request) {
  return impl_->dispatch_job(std::move(request));
}
Task<Result<uint64_t>> Server::set_stable(std::string space, std::string id, int64_t version,
                                          bool stable) {
  return impl_->set_stable(std::move(space), std::move(id), version, stable);
}
Task<Result<EvalReply>> Server::set_eligibility(std::string node_id, Eligibility eligibility) {
  return impl_->set_eligibility(std::move(node_id), eligibility);
}
Task<Result<EvalReply>> Server::drain_node(DrainRequest request) {
  return impl_->drain_node(std::move(request));
}
Task<Result<void>> Server::purge_node(std::string node_id) {
  return impl_->purge_node(std::move(node_id));
}
Task<Result<EvalReply>> Server::stop_alloc(std::string alloc_id, bool no_shutdown_delay) {
  return impl_->stop_alloc(std::move(alloc_id), no_shutdown_delay);
}
Task<Result<EvalReply>> Server::promote_deployment(std::string id, bool all, StringList groups) {
  return impl_->promote_deployment(std::move(id), all, std::move(groups));
}
Task<Result<EvalReply>> Server::fail_deployment(std::string id, std::string why) {
  return impl_->fail_deployment(std::move(id), std::move(why));
}
Task<Result<EvalReply>> Server::pause_deployment(std::string id, bool pause) {
  return impl_->pause_deployment(std::move(id), pause);
}
Task<Result<EvalReply>> Server::set_alloc_health(std::string id, StringList healthy,
                                                 StringList unhealthy) {
  return impl_->set_alloc_health(std::move(id), std::move(healthy), std::move(unhealthy));
}
Task<Result<uint64_t>> Server::change_acl(AclChange change) {
  return impl_->change_acl(std::move(change));
}
Task<Result<std::string>> Server::save_snapshot() {
  return impl_->save_snapshot();
}
Task<Result<void>> Server::restore_snapshot(std::string text) {
  return impl_->restore_snapshot(std::move(text));
}
Task<Result<RecoverReply>> Server::recover(Recovery from) {
  return impl_->recover(std::move(from));
}
Task<Result<void>> Server::collect_garbage() {
  return impl_->collect_garbage();
}
NodeLink& Server::node_link() {
  return *impl_;
}

}  // namespace sluice::orchestrator
