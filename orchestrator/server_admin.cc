// What concerns the state as a whole: access records, saving what the operator said and restoring
// it.
#include <fmt/format.h>

#include <algorithm>

#include "core/digest.h"
#include "orchestrator/server_impl.h"

namespace sluice::orchestrator {

namespace {

// The first line of a saved state; then a commit a line, then a line with the digest of all before.
constexpr std::string_view kSnapshotHead = "sluice snapshot 1";
constexpr size_t kRecordsPerLine = 1'000;

std::string digest_line(std::string_view text) {
  return to_hex(digest(DigestKind::kSha256, text));
}

/// The line up to the next newline, which `rest` moves past.
std::string_view next_line(std::string_view& rest) {
  const size_t end = std::min(rest.find('\n'), rest.size());
  const std::string_view line = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return line;
}

/// What the operator said: jobs with their versions, nodes, access. What followed from it
/// (evaluations, allocations, deployments) follows again.
Result<std::string> write_snapshot(const Snapshot& snapshot) {
  auto tables = std::make_shared<Tables>(snapshot.tables());
  tables->evals = {};
  tables->allocs = {};
  tables->deployments = {};
  tables->by_node = {};
  tables->by_job = {};
  std::string text(kSnapshotHead);
  text += '\n';
  Result<void> written = encode_snapshot(Snapshot(std::move(tables)), kRecordsPerLine,
                                         [&](std::string line) -> Result<void> {
                                           text += line;
                                           text += '\n';
                                           return {};
                                         });
  if (!written) return pass(written);
  return text + digest_line(text) + "\n";
}

Result<Snapshot> read_snapshot(std::string_view text) {
  std::string_view body = text;
  if (next_line(body) != kSnapshotHead) {
    return fail(Code::kInvalid, "this is no snapshot that `operator snapshot save` made");
  }
  while (text.ends_with('\n')) text.remove_suffix(1);
  const size_t last = text.rfind('\n');
  const std::string_view sum = last == std::string_view::npos ? text : text.substr(last + 1);
  const std::string_view before =
      last == std::string_view::npos ? std::string_view() : text.substr(0, last + 1);
  if (before.size() <= kSnapshotHead.size() || digest_line(before) != sum) {
    return fail(Code::kInvalid, "the snapshot is damaged or cut short: its digest is another one");
  }
  body = before.substr(kSnapshotHead.size() + 1);
  State state;
  while (!body.empty()) {
    auto commit = decode_commit(next_line(body), state.snapshot());
    if (!commit) return pass(commit, "snapshot");
    state.replay(*commit);
  }
  return state.snapshot();
}

}  // namespace

Task<Result<uint64_t>> Server::Impl::change_acl(Server::AclChange change) {
  Commit commit;
  commit.meta = std::make_shared<ClusterMeta>(state_.snapshot().meta());
  Result<void> done = change(commit.meta->acl, state_.index() + 1);
  if (!done) co_return pass(done);
  co_return co_await this->commit(std::move(commit));
}

Task<Result<std::string>> Server::Impl::save_snapshot() {
  auto write = [snapshot = published_] { return write_snapshot(snapshot); };
  co_return co_await on_pool(env.executor, std::move(write));
}

void Server::Impl::restore_job(const Snapshot& from, const Job& saved, Commit& commit) {
  const JobPtr current = state_.snapshot().job(saved.namespace_, saved.id);
  if (!current && saved.stop) return;
  if (current && current->stop == saved.stop && (saved.stop || same_spec(*current, saved))) return;
  bool changed = false;
  std::shared_ptr<Job> back;
  if (saved.stop) {
    back = std::make_shared<Job>(*current);
    ++back->version;
    back->stop = true;
    back->stable = false;
    back->job_modify_index = 0;
  } else {
    back = next_version(saved, current, changed);
  }
  back->periodic_launch_ns = std::max(saved.periodic_launch_ns, back->periodic_launch_ns);
  if (!back->is_template()) {
    auto eval = make_eval(*back, saved.stop ? kTriggerJobDeregister : kTriggerJobRegister);
    eval->job_modify_index = state_.index() + 1;
    commit.evals.push_back(std::move(eval));
  }
  if (const auto text = from.submission(saved.namespace_, saved.id, saved.version)) {
    keep_submission(*text, *back, commit);
  }
  commit.jobs.push_back(std::move(back));
}

/// One commit, on top of this state: each job becomes again what it was, as a new version of it,
/// and one that was not there is stopped. What runs follows by the evaluations; what is right runs
/// on untouched.
Task<Result<void>> Server::Impl::restore_snapshot(std::string text) {
  auto read = [text = std::move(text)] { return read_snapshot(text); };
  Result<Snapshot> saved = co_await on_pool(env.executor, std::move(read));
  if (!saved) co_return pass(saved);
  const Snapshot now = state_.snapshot();
  Commit commit;
  commit.meta = std::make_shared<ClusterMeta>(now.meta());
  commit.meta->acl = saved->meta().acl;
  saved->tables().jobs.each([&](const JobPtr& job) { restore_job(*saved, *job, commit); });
  now.tables().jobs.each([&](const JobPtr& job) {
    if (job->stop || saved->job(job->namespace_, job->id)) return;
    Job gone = *job;
    gone.stop = true;
    restore_job(*saved, gone, commit);
  });
  now.tables().nodes.each([&](const NodePtr& node) {
    const NodePtr before = saved->node(node->id);
    if (!before || (before->eligibility == node->eligibility && before->drain == node->drain)) {
      return;
    }
    auto back = std::make_shared<Node>(*node);
    back->eligibility = before->eligibility;
    back->drain = before->drain;
    commit.nodes.push_back(std::move(back));
  });
  const size_t jobs = commit.jobs.size();
  auto done = co_await this->commit(std::move(commit));
  if (!done) co_return pass(done);
  log.info("server: a snapshot of index {} was restored at index {}: {} jobs changed",
           saved->index(), *done, jobs);
  co_return Result<void>();
}

}  // namespace sluice::orchestrator
