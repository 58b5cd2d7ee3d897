// Server::Impl: the parts of the server component, spread over server_*.cc by what they do:
//   server.cc             start, the commit pipeline, watching, plumbing
//   server_jobs.cc        register, plan, stop, revert
//   server_scale.cc       a group's count, and what was said of it
//   server_children.cc    periodic launches, dispatch
//   server_nodes.cc       the node's link, heartbeats, eligibility
//   server_drain.cc       drains
//   server_schedule.cc    workers: evaluation -> plan -> commit
//   server_admin.cc       access records, saving and restoring
//   server_recover.cc     a node's own record taken into a store that does not have it
//   server_deployments.cc health, promotion, failure, auto-revert
//
// Everything here runs on the control loop. `state_` is ahead of `published_` by the commits that
// are on their way to the store: decisions are made on state_, answers are given from published_.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "orchestrator/broker.h"
#include "orchestrator/plan.h"
#include "orchestrator/schedule.h"
#include "orchestrator/server.h"

namespace sluice::orchestrator {

struct Server::Impl final : NodeLink {
  Impl(Env env, Log& log, Store& store, ServerOptions options);

  // --- server.cc
  Task<Result<void>> start();
  Task<Result<uint64_t>> open_term();
  Task<void> open_term_later();
  Task<void> run();
  Task<Snapshot> wait(Topic topic, uint64_t after_index, int64_t wait_ms);

  /// Applies the commit to state_ in this very turn and returns once it is durable; its index.
  Task<Result<uint64_t>> commit(Commit commit);
  struct Waiter;
  /// The first half: applies it now, or refuses it.
  Result<std::shared_ptr<Waiter>> submit(Commit commit);
  /// A commit that nobody waits for (a timer's); trouble is logged.
  void commit_unwatched(Commit commit);
  Task<void> committer();
  void published(const Commit& commit, const Snapshot& after);
  void fail_all(const Error& error);
  void reload_broker();
  Task<void> checkpoint();
  /// What follows from a commit's changes and belongs into the same commit: deployment counts,
  /// evaluations.
  void complete_commit(Commit& commit);

  std::shared_ptr<Evaluation> make_eval(const Job& job, std::string_view trigger);
  std::shared_ptr<Evaluation> make_eval(const std::string& space, const std::string& job_id,
                                        const std::string& type, int64_t priority,
                                        std::string_view trigger);
  std::string new_id() { return make_uuid(env.random); }
  int64_t now_ms() const { return env.executor.now_ms(); }
  int64_t wall_ns() const { return env.executor.wall_ns(); }

  // --- server_jobs.cc
  /// Fills the defaults; what is worth a warning, or all that is wrong.
  Result<Problems> check_job(Job& job) const;
  Task<Result<RegisterReply>> register_job(RegisterRequest request);
  /// The job as it would be stored: version and indexes follow from what is there.
  std::shared_ptr<Job> next_version(Job job, const JobPtr& existing, bool& changed);
  Task<Result<PlanReply>> plan_job(Job job, bool with_diff);
  /// The text of a job that the commit makes or changes.
  void keep_submission(JobSubmission submission, const Job& job, Commit& commit);
  Plan dry_run(const JobPtr& job, const Snapshot& snapshot);
  Task<Result<EvalReply>> deregister_job(std::string space, std::string id, bool purge,
                                         int64_t eval_priority, bool no_shutdown_delay);
  Task<Result<EvalReply>> evaluate_job(std::string space, std::string id, bool force_reschedule);
  Task<Result<EvalReply>> revert_job(std::string space, std::string id, int64_t version,
                                     std::optional<int64_t> enforce_prior_version);

  // --- server_scale.cc
  Task<Result<RegisterReply>> scale_job(ScaleRequest request);
  /// The job's events with another of a group.
  std::shared_ptr<JobScaling> with_event(const Job& job,
                                         std::pair<std::string, ScalingEvent> event);

  // --- server_children.cc
  Result<void> check_periodic(const Job& job) const;
  /// When the job is launched next; nullopt: not at all.
  std::optional<int64_t> next_launch(const Job& job, int64_t after_ns) const;
  /// Keeps `launches_` right for a job as it is now.
  void follow_periodic(const Job& job);
  void launch_periodic();
  bool has_live_child(const Snapshot& now, const Job& parent) const;
  std::shared_ptr<Job> launch_into(const JobPtr& parent, int64_t at_ns, Commit& commit);
  Task<Result<EvalReply>> force_periodic(std::string space, std::string id);
  Task<Result<DispatchReply>> dispatch_job(DispatchRequest request);
  Task<Result<DispatchReply>> dispatched_before(JobPtr child);

  // --- server_nodes.cc
  Task<Result<NodeRegistration>> register_node(Node node, NodeMemory memory) override;
  Task<Result<Heartbeat>> heartbeat(std::string node_id) override;
  Task<Result<DesiredAllocs>> fetch_allocs(std::string node_id, uint64_t after_index,
                                           int64_t wait_ms) override;
  Task<Result<void>> update_allocs(std::string node_id, std::vector<AllocUpdate> updates) override;
  Task<Result<EvalReply>> set_eligibility(std::string node_id, Eligibility eligibility);
  Task<Result<void>> purge_node(std::string node_id);
  Task<Result<EvalReply>> stop_alloc(std::string alloc_id, bool no_shutdown_delay);
  /// Evaluations for every job with an allocation on the node, and for all system jobs.
  void evaluate_node_jobs(const Node& node, std::string_view trigger, Commit& commit);
  Task<void> watch_heartbeats();
  void check_heartbeats();
  void grant_heartbeat(const std::string& node_id);
  int64_t heartbeat_ttl_ms() const;
  /// An event of the node, as of the commit that is made next; the oldest go first.
  void note(Node& node, std::string message, std::string subsystem, StringMap details = {}) const;

  // --- server_drain.cc
  Task<Result<EvalReply>> drain_node(DrainRequest request);
  void check_drains();
  void release_ports();

  // --- server_schedule.cc
  Task<void> worker();
  double ms_since(int64_t begin_ns) const;  // wall clock
  Task<bool> run_eval(const EvalPtr& eval);
  /// The evaluation's end, and the blocked one that follows where something found no place.
  void finish_eval(const EvalPtr& eval, const Plan& plan, Commit& commit);
  /// The job's other evaluation that is blocked, or nullptr.
  EvalPtr waiting_eval(const Snapshot& now, const Evaluation& eval) const;
  /// What waits for room after a plan that failed to place something. One a job: a newer failure is
  /// written into the one that is `waiting` already.
  std::shared_ptr<Evaluation> blocked_eval(const Evaluation& eval, const Plan& plan,
                                           const EvalPtr& waiting);

  // --- server_deployments.cc
  void count_deployment_changes(Commit& commit);
  void watch_deployments();
  Task<void> watch_timers();
  Task<Result<EvalReply>> promote_deployment(std::string id, bool all, StringList groups);
  Task<Result<EvalReply>> fail_deployment(std::string id, std::string why);
  Task<Result<EvalReply>> pause_deployment(std::string id, bool pause);
  Task<Result<EvalReply>> set_alloc_health(std::string id, StringList healthy,
                                           StringList unhealthy);
  Task<Result<uint64_t>> set_stable(std::string space, std::string id, int64_t version,
                                    bool stable);
  /// Fails it, and with auto_revert puts the last stable version back. Returns that version or -1.
  int64_t fail_into(const DeploymentPtr& deployment, std::string description, bool revert,
                    Commit& commit);
  bool promote_into(const Deployment& deployment, bool all, const StringList& groups,
                    std::string_view description, Commit& commit);
  JobPtr stable_version(const Deployment& deployment) const;

  // --- server_admin.cc
  Task<Result<uint64_t>> change_acl(AclChange change);
  Task<Result<std::string>> save_snapshot();
  Task<Result<void>> restore_snapshot(std::string text);
  void restore_job(const Snapshot& from, const Job& saved, Commit& commit);

  // --- server_recover.cc
  /// Whether all that the node remembers was said from this store.
  bool knows(const NodeMemory& memory) const;
  Task<Result<NodeRegistration>> refuse_node(Node node, NodeMemory memory);
  Task<Result<RecoverReply>> recover(Recovery from);
  Result<void> recover_into(const Recovery& from, RecoverReply& reply, Commit& commit);
  /// The next commit's index is above this one.
  Task<Result<void>> rise_above(uint64_t index);
  Task<void> rise(uint64_t index, std::shared_ptr<Waiter> waiter);

  // --- server_gc.cc
  void gather_garbage(bool force, Commit& commit);
  Task<Result<void>> collect_garbage();

  struct Waiter {
    explicit Waiter(Executor& executor) : done(executor) {}
    Event done;
    Result<uint64_t> result = 0;
  };
  struct Pending {
    std::shared_ptr<const Commit> commit;
    Snapshot after;
    std::shared_ptr<Waiter> waiter;
  };
  struct Watch {
    explicit Watch(Executor& executor) : changed(executor) {}
    Event changed;
    int waiting = 0;
  };
  using TopicView = std::tuple<Topic::Kind, std::string_view, std::string_view>;
  struct TopicLess {
    using is_transparent = void;
    static TopicView view(const Topic& topic) { return {topic.kind, topic.id, topic.space}; }
    static TopicView view(const TopicView& topic) { return topic; }
    bool operator()(const auto& a, const auto& b) const { return view(a) < view(b); }
  };

  Env env;
  Log& log;
  Store& store;
  const ServerOptions options;

  State state_;
  Snapshot published_;
  std::deque<Pending> pending_;
  Event commit_ready_;
  std::string trouble_;
  bool outcome_unknown_ = false;  // an append of unknown outcome: no further write until a restart
  int64_t retry_write_at_ms_ = 0;
  bool checkpointing_ = false;
  bool rising_ = false;  // no commits meanwhile
  /// What the store had when this server began with it: (term, index).
  std::pair<uint64_t, uint64_t> begun_after_;

  Broker broker_;
  Event work_ready_;
  std::map<Topic, std::unique_ptr<Watch>, TopicLess> watches_;
  /// When each periodic job is launched next (wall clock, ns), by namespace and id.
  std::map<std::pair<std::string, std::string>, int64_t> launches_;
  std::map<std::string, int64_t> heartbeat_deadlines_;  // monotonic, by node id
  std::set<std::string> unsaid_nodes_;  // whose last registration could not be written
  Scope background_;
  bool started_ = false;
};

std::unexpected<Error> no_node(std::string_view id);
std::unexpected<Error> no_job(std::string_view id);
/// As Nomad lists them; "" for none.
std::string warnings_text(const Problems& warnings);

}  // namespace sluice::orchestrator
