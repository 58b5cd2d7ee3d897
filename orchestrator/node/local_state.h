// LocalState: what a node keeps on its own disk of each allocation, to take its tasks over after a
// restart of the agent: <data_folder>/client/allocs/<alloc id>.json, written whole
// (Disk::write_file).
//
// Owner: the NodeAgent. Thread: the control loop; saves run on the pool. Limit: kFileBytes a file.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "core/env.h"
#include "core/result.h"
#include "core/task.h"
#include "orchestrator/node/task_runner.h"

namespace sluice::orchestrator {

struct LocalAlloc {
  std::string alloc_id;
  std::map<std::string, LocalTask> tasks;
  std::string deployment_id;    // that `healthy` is of
  std::optional<bool> healthy;  // deployment health that was reported; sticky
  int64_t healthy_at_ns = 0;
  /// The allocation and its job as the server last ordered it (encode_order), and its
  /// alloc_modify_index then: what `operator recover` goes by. "": written by an older sluice.
  std::string order;
  uint64_t order_index = 0;

  /// Every task of it is dead for good.
  [[nodiscard]] bool over() const;
  /// The drivers that may hold a run of it; nullopt: that cannot be told.
  [[nodiscard]] std::optional<std::set<std::string>> drivers() const;
  /// Of the last of its tasks (Unix).
  [[nodiscard]] int64_t finished_at_ns() const;
};

/// What of the cluster a node must not forget.
struct LocalCluster {
  std::string cluster_id;
  uint64_t term = 0;  // of the last complete list acted on
  uint64_t index = 0;
};

std::string encode_order(const Allocation& alloc);
/// The allocation as ordered, with what became of its tasks.
Result<AllocPtr> decode_order(const LocalAlloc& local);

std::string encode_local_alloc(const LocalAlloc& alloc);
Result<LocalAlloc> decode_local_alloc(std::string_view text);

class LocalState {
 public:
  static constexpr size_t kFileBytes = 16 * 1024 * 1024;

  LocalState(Env& env, std::string folder) : env_(env), folder_(std::move(folder)) {}

  /// Makes the folders. The node's id is made once and kept.
  Result<std::string> load_node_id();
  Result<LocalCluster> load_cluster();
  Result<void> save_cluster(const LocalCluster& cluster);
  /// A file that cannot be read is an error: guessing would start a task twice.
  Result<std::map<std::string, LocalAlloc>> load_allocs();
  Task<Result<void>> save(const LocalAlloc& alloc);
  std::string alloc_path(const std::string& alloc_id) const {
    return folder_ + "/allocs/" + alloc_id + ".json";
  }

 private:
  Env& env_;
  std::string folder_;
};

}  // namespace sluice::orchestrator
