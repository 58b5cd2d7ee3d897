// LogStore: a Store whose disk is a list of texts, which outlive the server. What was on its way at
// a crash is there or not, as virtual time had it; trouble comes when a test says so.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/scope.h"
#include "orchestrator/store.h"

namespace sluice::sim {

class LogStore final : public orchestrator::Store {
 public:
  explicit LogStore(Executor& executor) : executor_(executor) {}

  [[nodiscard]] std::string_view name() const override { return "log"; }
  Task<Result<orchestrator::Snapshot>> load() override {
    ++disk_->generation;  // what an earlier server's process had begun is not written any more
    orchestrator::State state;
    for (const auto* texts : {&disk_->checkpoint, &disk_->log}) {
      for (const std::string& text : *texts) {
        auto commit = orchestrator::decode_commit(text, state.snapshot());
        if (!commit) co_return pass(commit);
        state.replay(*commit);
      }
    }
    co_return state.snapshot();
  }
  Task<Result<void>> append(
      std::vector<std::shared_ptr<const orchestrator::Commit>> commits) override {
    co_return co_await on_pool(
        executor_,
        [disk = disk_, generation = disk_->generation, commits, error = trouble]() -> Result<void> {
          if (disk->generation != generation) return {};
          if (!error.message.empty()) return std::unexpected(error);
          for (const auto& commit : commits) disk->log.push_back(encode_commit(*commit));
          disk->commits += commits.size();
          return {};
        });
  }
  [[nodiscard]] bool wants_checkpoint() const override { return disk_->log.size() > 20; }
  Task<Result<void>> checkpoint(orchestrator::Snapshot snapshot) override {
    co_return co_await on_pool(
        executor_, [disk = disk_, generation = disk_->generation, snapshot]() -> Result<void> {
          if (disk->generation != generation) return {};
          const size_t first = disk->commits - disk->log.size();
          disk->log.erase(disk->log.begin(),
                          disk->log.begin() + static_cast<int64_t>(snapshot.index() - first));
          disk->checkpoint.clear();
          ++disk->checkpoints;
          return encode_snapshot(snapshot, 3, [&](std::string text) -> Result<void> {
            disk->checkpoint.push_back(std::move(text));
            return {};
          });
        });
  }
  [[nodiscard]] size_t checkpoints() const { return disk_->checkpoints; }

  Error trouble{Code::kLimit, ""};  // of the next appends; "": none

 private:
  struct Disk {
    std::vector<std::string> checkpoint;
    std::vector<std::string> log;
    size_t commits = 0;  // ever; the last one's index
    size_t checkpoints = 0;
    uint64_t generation = 0;
  };
  Executor& executor_;
  std::shared_ptr<Disk> disk_ = std::make_shared<Disk>();
};

}  // namespace sluice::sim
