// A store in a folder of the test's own, and the state that goes with it.
#pragma once

#include <sqlite3.h>
#include <stdlib.h>

#include <filesystem>
#include <string>

#include "core/loop.h"
#include "drivers/sqlite/store.h"
#include "test/drivers/run_to_end.h"
#include "test/orchestrator/sample_state.h"
#include "test/test.h"

namespace sluice::drivers::test {

using namespace orchestrator;
using namespace orchestrator::test;

struct Folder {
  Folder() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string file(const char* suffix = "") const { return path + "/server/state.db" + suffix; }
  std::string path = "/tmp/sluice-store-XXXXXX";
};

/// A store over the folder and the state that goes with it.
struct Opened {
  explicit Opened(const Folder& folder, SqliteOptions options = {})
      : store(loop, folder.path + "/server", options) {
    loaded = run_to_end(loop, store.load());
    if (loaded) state.reset(*loaded);
  }
  Result<void> append(int commits) {
    const Snapshot before = state.snapshot();
    Result<void> done = run_to_end(loop, store.append(sample_commits(state, commits)));
    if (!done) state.reset(before);
    return done;
  }
  Result<void> checkpoint() { return run_to_end(loop, store.checkpoint(state.snapshot())); }
  std::string dump() { return orchestrator::test::dump(state.snapshot()); }

  UvLoop loop;
  SqliteStore store;
  Result<Snapshot> loaded;
  State state;
};

inline std::string message_of(const auto& result) {
  return result ? std::string() : result.error().message;
}

inline bool says(const std::string& text, std::string_view words) {
  return text.find(words) != std::string::npos;
}

/// Another program with the file.
struct Other {
  explicit Other(const std::string& path) {
    REQUIRE(sqlite3_open(path.c_str(), &handle) == SQLITE_OK);
  }
  ~Other() { sqlite3_close(handle); }
  void run(const std::string& sql) {
    INFO(sql << ": " << sqlite3_errmsg(handle));
    REQUIRE(sqlite3_exec(handle, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
  }
  /// The first column of the first row.
  std::string ask(const std::string& sql) {
    sqlite3_stmt* row = nullptr;
    REQUIRE(sqlite3_prepare_v2(handle, sql.c_str(), -1, &row, nullptr) == SQLITE_OK);
    REQUIRE(sqlite3_step(row) == SQLITE_ROW);
    const std::string text = reinterpret_cast<const char*>(sqlite3_column_text(row, 0));
    sqlite3_finalize(row);
    return text;
  }
  sqlite3* handle = nullptr;
};

}  // namespace sluice::drivers::test
