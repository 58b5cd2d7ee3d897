// Store: where commits become durable. A log of commits, with checkpoints behind it.
//
// Implementations: MemoryStore (-dev: nothing is kept), drivers/sqlite (one machine), Consul KV
// (later). Owner: main.cc. Thread: the control loop calls; the work is done on the pool.
//
// Rules: nothing is published or acknowledged before append() said so. Commits come in order, each
// index one above the last. An append that fails leaves none of its commits, or reports kInternal
// where that cannot be known; the server then stops writing (tasks go on).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"
#include "core/task.h"
#include "orchestrator/state.h"

namespace sluice::orchestrator {

class Store {
 public:
  virtual ~Store() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;

  /// What is durable: the newest checkpoint and the commits after it. An empty snapshot (index 0)
  /// is a new store. kInvalid: it is there and cannot be read; nothing was changed.
  virtual Task<Result<Snapshot>> load() = 0;
  /// All of these or none, durably. The records do not change any more.
  virtual Task<Result<void>> append(std::vector<std::shared_ptr<const Commit>> commits) = 0;
  /// Whether enough log has grown to be worth a checkpoint.
  [[nodiscard]] virtual bool wants_checkpoint() const = 0;
  /// Writes the snapshot, then forgets the commits up to its index. Appends may go on meanwhile.
  /// One that fails leaves what was there. With a snapshot of a higher index than any append so far
  /// (none may be under way then), the commits go on from that index.
  virtual Task<Result<void>> checkpoint(Snapshot snapshot) = 0;
};

/// Keeps nothing: `-dev`, tests and benchmarks.
class MemoryStore final : public Store {
 public:
  MemoryStore() = default;
  /// Starts empty, as the same cluster after this term and index: what a node has of earlier is
  /// over.
  MemoryStore(ClusterMeta after, uint64_t index) : after_(std::move(after)), index_(index) {}

  [[nodiscard]] std::string_view name() const override { return "memory"; }
  Task<Result<Snapshot>> load() override {
    auto tables = std::make_shared<Tables>();
    tables->meta = after_;
    tables->index = index_;
    co_return Snapshot(std::move(tables));
  }
  Task<Result<void>> append(std::vector<std::shared_ptr<const Commit>>) override {
    co_return Result<void>();
  }
  [[nodiscard]] bool wants_checkpoint() const override { return false; }
  Task<Result<void>> checkpoint(Snapshot) override { co_return Result<void>(); }

 private:
  ClusterMeta after_;
  uint64_t index_ = 0;
};

// The form of what a store keeps: JSON, whose members are the field tables of the records, with
// what equals their defaults left out. Pure; any thread.

/// The format's number. A change that an older sluice would misread makes it grow; all older ones
/// are read. 2: access tokens, launches and dispatched jobs, which format 1 has no members for.
inline constexpr int64_t kStoreFormat = 2;

/// One JSON object. An allocation names its job's version instead of holding it.
std::string encode_commit(const Commit& commit);
/// `before`: where the versions that its allocations name are, if they are not in the commit
/// itself. For State::replay.
Result<Commit> decode_commit(std::string_view text, const Snapshot& before);
/// The whole snapshot as commits of at most `max_records` records, in the order in which they are
/// to be replayed; all carry the snapshot's index. Stops at the sink's first error and returns it.
Result<void> encode_snapshot(const Snapshot& snapshot, size_t max_records,
                             const std::function<Result<void>(std::string)>& sink);

}  // namespace sluice::orchestrator
