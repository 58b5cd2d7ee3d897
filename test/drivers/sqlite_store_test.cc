// The SQLite store with real files: what it keeps, also over kill -9.
#include "drivers/sqlite/store.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/drivers/sqlite_folder.h"

using namespace sluice;
using namespace sluice::drivers;
using namespace sluice::drivers::test;

TEST_CASE("sqlite: a new store is empty, private, and keeps every kind of record") {
  const Folder folder;
  std::string before;
  {
    Opened opened(folder);
    REQUIRE_MESSAGE(opened.loaded.has_value(), message_of(opened.loaded));
    EXPECT_EQ(opened.loaded->index(), 0u);
    REQUIRE(opened.append(1).has_value());
    REQUIRE(opened.append(30).has_value());
    before = opened.dump();
  }
  struct stat info = {};
  REQUIRE(::stat(folder.file().c_str(), &info) == 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT(!std::filesystem::exists(folder.file("-wal")));  // written back at the end
  EXPECT(!std::filesystem::exists(folder.file("-shm")));
  Opened again(folder);
  REQUIRE_MESSAGE(again.loaded.has_value(), message_of(again.loaded));
  EXPECT_EQ(again.loaded->index(), 31u);
  EXPECT_EQ(again.dump(), before);
}

TEST_CASE("sqlite: a folder behind a link is as good as another") {
  const Folder folder, link;
  std::filesystem::create_directory(folder.path + "/real");
  std::filesystem::create_directory_symlink(folder.path + "/real", link.path + "/server");
  {
    Opened opened(link);
    REQUIRE_MESSAGE(opened.loaded.has_value(), message_of(opened.loaded));
    REQUIRE(opened.append(3).has_value());
  }
  EXPECT(std::filesystem::exists(folder.path + "/real/state.db"));
  EXPECT_EQ(Opened(link).loaded->index(), 3u);
}

TEST_CASE("sqlite: WAL mode, full synchronisation, its own number and format") {
  const Folder folder;
  Opened(folder).append(3).value();
  Other other(folder.file());
  EXPECT_EQ(other.ask("PRAGMA journal_mode"), "wal");
  EXPECT_EQ(other.ask("PRAGMA user_version"), std::to_string(kStoreFormat));
  EXPECT_EQ(other.ask("PRAGMA application_id"), std::to_string(0x736c7563));
}

TEST_CASE("sqlite: a store of an older format is read, and is of this one once it is written to") {
  const Folder folder;
  const SqliteOptions older{.file = {.format = 1}};
  std::string before;
  {
    Opened opened(folder, older);
    REQUIRE(opened.append(40).has_value());
    REQUIRE(opened.checkpoint().has_value());
    REQUIRE(opened.append(5).has_value());
    before = opened.dump();
  }
  const auto format = [&] { return Other(folder.file()).ask("PRAGMA user_version"); };
  {
    Opened opened(folder);
    REQUIRE_MESSAGE(opened.loaded.has_value(), message_of(opened.loaded));
    EXPECT_EQ(opened.dump(), before);
  }
  EXPECT_EQ(format(), "1");  // the older sluice could still go on
  {
    Opened opened(folder);
    REQUIRE(opened.append(1).has_value());
  }
  EXPECT_EQ(format(), std::to_string(kStoreFormat));
  EXPECT(Opened(folder, older).loaded.error().code == Code::kUnsupported);
  EXPECT_EQ(Opened(folder).loaded->index(), 46u);
}

TEST_CASE("sqlite: a checkpoint stands for the commits before it, and more come after") {
  const Folder folder;
  std::string before;
  {
    Opened opened(folder, {.records_per_part = 3});
    REQUIRE(opened.append(40).has_value());
    REQUIRE(opened.checkpoint().has_value());
    REQUIRE(opened.append(5).has_value());
    before = opened.dump();
  }
  {
    Other other(folder.file());
    const auto count = [&](const std::string& from) {
      return std::stoll(other.ask("SELECT count(*) FROM " + from));
    };
    EXPECT_EQ(count("log"), 5);
    EXPECT_EQ(count("checkpoint"), 1);
    EXPECT(count("part") > 5);
    EXPECT_EQ(count("part WHERE idx <> 40"), 0);
    // One that was cut off: its parts are there, and nothing says that it is whole.
    other.run("INSERT INTO part (idx, part, sum, text) VALUES (43, 0, x'00', x'00')");
  }
  Opened again(folder);
  REQUIRE_MESSAGE(again.loaded.has_value(), message_of(again.loaded));
  EXPECT_EQ(again.dump(), before);
  REQUIRE(again.append(2).has_value());
  REQUIRE(again.checkpoint().has_value());
  REQUIRE(again.checkpoint().has_value());  // nothing new
  REQUIRE(again.append(1).has_value());
  before = again.dump();
  Opened third(folder);  // the file is the first one's
  EXPECT(!third.loaded.has_value());
  EXPECT(says(message_of(third.loaded), "another program has it open"));
}

TEST_CASE("sqlite: after a checkpoint above every commit so far, the commits go on from it") {
  const Folder folder;
  std::string before;
  {
    Opened opened(folder);
    REQUIRE(opened.append(3).has_value());
    auto high = std::make_shared<orchestrator::Tables>(opened.state.snapshot().tables());
    high->index = 1'000;
    opened.state.reset(orchestrator::Snapshot(std::move(high)));
    REQUIRE(opened.checkpoint().has_value());
    REQUIRE(opened.append(2).has_value());
    before = opened.dump();
  }
  Opened again(folder);
  REQUIRE_MESSAGE(again.loaded.has_value(), message_of(again.loaded));
  EXPECT_EQ(again.loaded->index(), 1'002u);
  EXPECT_EQ(again.dump(), before);
  REQUIRE(again.append(1).has_value());
}

TEST_CASE("sqlite: a checkpoint is wanted when the log has outgrown the last one") {
  const Folder folder;
  Opened opened(folder, {.min_checkpoint_bytes = 20'000});
  int commits = 0;
  while (!opened.store.wants_checkpoint()) {
    REQUIRE(opened.append(1).has_value());
    REQUIRE(++commits < 1'000);
  }
  EXPECT(commits > 10);
  REQUIRE(opened.checkpoint().has_value());
  EXPECT(!opened.store.wants_checkpoint());
}

TEST_CASE("sqlite: appends go on between the parts of a checkpoint") {
  const Folder folder;
  std::string before;
  {
    Opened opened(folder, {.records_per_part = 1});
    REQUIRE(opened.append(200).has_value());
    Scope scope(opened.loop);
    std::optional<Result<void>> checkpointed;
    auto checkpoint = [](SqliteStore& store, Snapshot snapshot,
                         std::optional<Result<void>>& out) -> Task<void> {
      out.emplace(co_await store.checkpoint(std::move(snapshot)));
    };
    scope.spawn(checkpoint(opened.store, opened.state.snapshot(), checkpointed));
    int during = 0;
    for (int i = 0; i < 50; ++i) {
      REQUIRE(opened.append(1).has_value());
      during += checkpointed ? 0 : 1;
    }
    EXPECT(during > 0);
    run_to_end(opened.loop, [](Scope& all) -> Task<bool> {
      co_await all.join();
      co_return true;
    }(scope));
    REQUIRE(checkpointed.has_value());
    EXPECT_MESSAGE(checkpointed->has_value(), message_of(*checkpointed));
    before = opened.dump();
  }
  Opened again(folder);
  REQUIRE_MESSAGE(again.loaded.has_value(), message_of(again.loaded));
  EXPECT_EQ(again.dump(), before);
}

// Not a test by itself: the process that the next one kills.
DOCTEST_TEST_CASE("sqlite child: appends and checkpoints until it is killed" * doctest::skip()) {
  const char* path = ::getenv("SLUICE_STORE_CHILD");
  REQUIRE(path != nullptr);
  UvLoop loop;
  SqliteStore store(loop, std::string(path) + "/server", {.records_per_part = 5});
  State state(*run_to_end(loop, store.load()));
  for (;;) {
    const int batch = 1 + static_cast<int>(state.index() % 5);
    REQUIRE(run_to_end(loop, store.append(sample_commits(state, batch))).has_value());
    // Acknowledged: from here on it must not be lost.
    const uint64_t index = state.index();
    if (::write(1, &index, sizeof(index)) != sizeof(index)) return;
    if (index % 16 < 4) REQUIRE(run_to_end(loop, store.checkpoint(state.snapshot())).has_value());
  }
}

namespace {

/// Runs the child above until it has acknowledged `commits` more, kills it -9 `delay_us` after
/// that, and returns the last index that it acknowledged.
uint64_t run_and_kill(const Folder& folder, int commits, useconds_t delay_us) {
  int pipe_fds[2];
  REQUIRE(::pipe2(pipe_fds, O_CLOEXEC) == 0);
  ::setenv("SLUICE_STORE_CHILD", folder.path.c_str(), 1);
  char self[] = "/proc/self/exe", which[] = "-tc=sqlite child*", skipped[] = "-ns", quiet[] = "-m";
  char* arguments[] = {self, which, skipped, quiet, nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], 1);
  pid_t child = 0;
  REQUIRE(::posix_spawn(&child, self, &actions, nullptr, arguments, environ) == 0);
  posix_spawn_file_actions_destroy(&actions);
  ::close(pipe_fds[1]);
  uint64_t last = 0, index = 0;
  for (int i = 0; i < commits && ::read(pipe_fds[0], &index, sizeof(index)) == sizeof(index); ++i) {
    last = index;
  }
  ::usleep(delay_us);
  ::kill(child, SIGKILL);
  while (::read(pipe_fds[0], &index, sizeof(index)) == sizeof(index)) last = index;
  ::close(pipe_fds[0]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
  return last;
}

}  // namespace

TEST_CASE("sqlite: kill -9 at any time loses nothing that was acknowledged") {
  const Folder folder;
  for (int round = 0; round < 8; ++round) {
    const uint64_t acknowledged =
        run_and_kill(folder, 5 + round, static_cast<useconds_t>(round * 700));
    Opened opened(folder);
    REQUIRE_MESSAGE(opened.loaded.has_value(), message_of(opened.loaded));
    EXPECT(acknowledged > 0);
    EXPECT(opened.loaded->index() >= acknowledged);
    // And what is there is what those commits make.
    State expected;
    sample_commits(expected, static_cast<int>(opened.loaded->index()));
    EXPECT_EQ(opened.dump(), dump(expected.snapshot()));
  }
}

TEST_CASE("sqlite: a log that was cut off in a write loads up to the last whole commit") {
  const Folder folder, copy;
  std::vector<std::pair<uintmax_t, std::string>> whole;  // size of the -wal, state by then
  {
    Opened opened(folder);
    for (int i = 0; i < 12; ++i) {
      REQUIRE(opened.append(2).has_value());
      whole.emplace_back(std::filesystem::file_size(folder.file("-wal")), opened.dump());
    }
    std::filesystem::copy(folder.path + "/server", copy.path + "/server");
  }
  const auto [full, last] = whole.back();
  for (size_t i = 0; i + 1 < whole.size(); ++i) {
    for (const uintmax_t extra : {uintmax_t{0}, uintmax_t{1}, uintmax_t{4'000}}) {
      const Folder cut;
      std::filesystem::copy(copy.path + "/server", cut.path + "/server");
      std::filesystem::resize_file(cut.file("-wal"), whole[i].first + extra);
      Opened opened(cut);
      REQUIRE_MESSAGE(opened.loaded.has_value(), message_of(opened.loaded));
      EXPECT_EQ(opened.loaded->index(), 2 * (i + 1));
      EXPECT_EQ(opened.dump(), whole[i].second);
      EXPECT(opened.append(1).has_value());
    }
  }
}
