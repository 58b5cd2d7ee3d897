// SqliteStore: the Store of one machine: <folder>/state.db.
//
// Owner: main.cc. Thread: the control loop; encoding, decoding and the file's work run on the pool.
// The work owns the file together with the store, so it may outlive it. Limits: SqliteOptions.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/executor.h"
#include "drivers/sqlite/log_file.h"
#include "orchestrator/store.h"

namespace sluice::drivers {

struct SqliteOptions {
  sqlite::LogFileOptions file = {.format = orchestrator::kStoreFormat};
  /// A checkpoint is due when the log after the last one is larger than this and than it.
  uint64_t min_checkpoint_bytes = 16u << 20;
  size_t records_per_part = 1'000;
};

class SqliteStore final : public orchestrator::Store {
 public:
  SqliteStore(Executor& executor, const std::string& folder, SqliteOptions options = {});

  [[nodiscard]] std::string_view name() const override { return "sqlite"; }
  Task<Result<orchestrator::Snapshot>> load() override;
  Task<Result<void>> append(
      std::vector<std::shared_ptr<const orchestrator::Commit>> commits) override;
  [[nodiscard]] bool wants_checkpoint() const override;
  Task<Result<void>> checkpoint(orchestrator::Snapshot snapshot) override;

 private:
  Executor& executor_;
  const std::string folder_;
  const SqliteOptions options_;
  std::shared_ptr<sqlite::LogFile> file_;
  sqlite::LogFile::Sizes sizes_;      // as of the last work that came back
  uint64_t no_checkpoint_below_ = 0;  // after one that failed
};

}  // namespace sluice::drivers
