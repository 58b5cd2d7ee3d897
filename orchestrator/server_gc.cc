// Garbage: records that are over and that nobody needs any more.
#include <algorithm>
#include <set>
#include <string_view>

#include "orchestrator/server_impl.h"

namespace sluice::orchestrator {

namespace {

constexpr size_t kMaxDeletesPerCommit = 5'000;

/// When something of the job last changed.
int64_t last_news(const Job& job, const JobIndex& index) {
  int64_t latest = job.submit_time_ns;
  index.allocs.each(
      [&](const AllocPtr& alloc) { latest = std::max(latest, alloc->modify_time_ns); });
  index.evals.each([&](const EvalPtr& eval) { latest = std::max(latest, eval->modify_time_ns); });
  return latest;
}

}  // namespace

void Server::Impl::gather_garbage(bool force, Commit& commit) {
  const Snapshot now = state_.snapshot();
  const int64_t wall = wall_ns();
  const auto old = [&](int64_t time_ns, int64_t threshold_ns) {
    return force || time_ns + threshold_ns < wall;
  };
  const auto full = [&] { return commit.deletes.size() >= kMaxDeletesPerCommit; };
  now.tables().by_job.each([&](const std::shared_ptr<const JobIndex>& index) {
    if (full()) return;
    const JobPtr job = now.job(index->space, index->id);
    // A batch job that ran to its end goes as a whole: without its allocations it would run again.
    const bool done = job && job->is_batch() && !job->is_template() &&
                      now.job_status(*job) == "dead" &&
                      old(last_news(*job, *index), options.job_gc_threshold_ns);
    const bool job_over = !job || job->stop || done;
    bool all_allocs_gone = true;
    std::set<std::string_view> made;  // evaluations that placed what is still there
    index->allocs.each([&](const AllocPtr& alloc) {
      // A batch job's finished allocations say that it is done, as long as it is there.
      const bool needed = !job_over && job->is_batch() && !alloc->server_terminal();
      const bool over = alloc->client_terminal() &&
                        (alloc->server_terminal() || job_over || !alloc->next_alloc.empty());
      if (!needed && (over || done) && alloc->client_terminal() &&
          old(alloc->modify_time_ns, options.eval_gc_threshold_ns)) {
        commit.deletes.push_back({RecordKind::kAlloc, alloc->id, {}});
      } else {
        all_allocs_gone = false;
        made.insert(alloc->eval_id);
      }
    });
    bool all_evals_gone = true;
    index->evals.each([&](const EvalPtr& eval) {
      if (eval->is_terminal() && !made.contains(eval->id) &&
          old(eval->modify_time_ns, options.eval_gc_threshold_ns)) {
        commit.deletes.push_back({RecordKind::kEval, eval->id, {}});
      } else {
        all_evals_gone = false;
      }
    });
    index->deployments.each([&](const DeploymentPtr& deployment) {
      if (!deployment->active() && old(deployment->create_time_ns, options.eval_gc_threshold_ns) &&
          (all_allocs_gone || deployment->job_version != (job ? job->version : -1))) {
        commit.deletes.push_back({RecordKind::kDeployment, deployment->id, {}});
      }
    });
    if (job && (job->stop || done) && all_allocs_gone && all_evals_gone &&
        old(job->submit_time_ns, options.job_gc_threshold_ns)) {
      commit.deletes.push_back({RecordKind::kJob, job->id, job->namespace_});
    }
  });
  // A periodic or parameterized job that was stopped has nothing but itself.
  now.tables().jobs.each([&](const JobPtr& job) {
    if (full() || !job->stop || now.of_job(job->namespace_, job->id)) return;
    if (old(job->submit_time_ns, options.job_gc_threshold_ns)) {
      commit.deletes.push_back({RecordKind::kJob, job->id, job->namespace_});
    }
  });
  now.tables().nodes.each([&](const NodePtr& node) {
    if (full() || node->status != NodeStatus::kDown) return;
    const auto index = now.of_node(node->id);
    if ((!index || index->allocs.empty()) &&
        old(node->status_updated_at_s * kSecondNs, 24 * kHourNs)) {
      commit.deletes.push_back({RecordKind::kNode, node->id, {}});
    }
  });
}

Task<Result<void>> Server::Impl::collect_garbage() {
  while (true) {
    Commit commit;
    gather_garbage(true, commit);
    const bool more = commit.deletes.size() >= kMaxDeletesPerCommit;
    if (commit.empty()) co_return Result<void>();
    auto done = co_await this->commit(std::move(commit));
    if (!done) co_return pass(done);
    if (!more) co_return Result<void>();
  }
}

}  // namespace sluice::orchestrator
