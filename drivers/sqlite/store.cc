#include "drivers/sqlite/store.h"

#include <algorithm>
#include <utility>

#include "core/disk.h"
#include "core/scope.h"

namespace sluice::drivers {

using namespace orchestrator;
using sqlite::LogEntry;
using sqlite::LogFile;

namespace {

/// What work on the pool brings back: the control loop does not wait for the file's lock.
template <class T>
struct Done {
  Result<T> result;
  LogFile::Sizes sizes;
};

Result<Snapshot> load_state(LogFile& file, const std::string& folder) {
  PosixDisk disk;
  Result<void> made = disk.make_folders(folder, 0700);
  if (!made) return pass(made);
  State state;
  Result<void> loaded = file.load([&](uint64_t index, std::string_view text) -> Result<void> {
    Result<Commit> commit = decode_commit(text, state.snapshot());
    if (!commit) return pass(commit);
    if (commit->index != index) {
      return fail(Code::kInvalid, "it says that it is commit {}", commit->index);
    }
    state.replay(*commit);
    return {};
  });
  if (!loaded) return pass(loaded);
  return state.snapshot();
}

}  // namespace

SqliteStore::SqliteStore(Executor& executor, const std::string& folder, SqliteOptions options)
    : executor_(executor),
      folder_(folder),
      options_(options),
      file_(std::make_shared<LogFile>(folder + "/state.db", options.file)) {}

Task<Result<Snapshot>> SqliteStore::load() {
  Done<Snapshot> done =
      co_await on_pool(executor_, [file = file_, folder = folder_]() -> Done<Snapshot> {
        Result<Snapshot> loaded = load_state(*file, folder);
        return {std::move(loaded), file->sizes()};
      });
  sizes_ = done.sizes;
  no_checkpoint_below_ = 0;
  co_return std::move(done.result);
}

Task<Result<void>> SqliteStore::append(std::vector<std::shared_ptr<const Commit>> commits) {
  Done<void> done =
      co_await on_pool(executor_, [file = file_, commits = std::move(commits)]() -> Done<void> {
        std::vector<LogEntry> entries;
        entries.reserve(commits.size());
        for (const auto& commit : commits)
          entries.push_back({commit->index, encode_commit(*commit)});
        Result<void> appended = file->append(entries);
        return {std::move(appended), file->sizes()};
      });
  if (done.result) sizes_ = done.sizes;
  co_return std::move(done.result);
}

bool SqliteStore::wants_checkpoint() const {
  return sizes_.log >
         std::max({options_.min_checkpoint_bytes, sizes_.checkpoint, no_checkpoint_below_});
}

Task<Result<void>> SqliteStore::checkpoint(Snapshot snapshot) {
  Done<void> done = co_await on_pool(
      executor_,
      [file = file_, snapshot = std::move(snapshot),
       limit = options_.records_per_part]() mutable -> Done<void> {
        Result<void> written = file->checkpoint(snapshot.index(), [&](const LogFile::Sink& sink) {
          return encode_snapshot(snapshot, limit, sink);
        });
        snapshot = Snapshot();  // the last to hold it frees it, here and not on the control loop
        return {std::move(written), file->sizes()};
      });
  // A failed one is tried again once the log has grown by as much again.
  no_checkpoint_below_ = done.result ? 0 : sizes_.log + options_.min_checkpoint_bytes;
  sizes_ = done.sizes;
  co_return std::move(done.result);
}

}  // namespace sluice::drivers
