// The SQLite store where something is wrong: damage, other formats, no room.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include "test/drivers/sqlite_folder.h"

using namespace sluice;
using namespace sluice::drivers;
using namespace sluice::drivers::test;

namespace {

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_at(const std::string& path, off_t at, std::string_view bytes) {
  const int fd = ::open(path.c_str(), O_WRONLY);
  REQUIRE(fd >= 0);
  REQUIRE(::pwrite(fd, bytes.data(), bytes.size(), at) == static_cast<ssize_t>(bytes.size()));
  ::close(fd);
}

}  // namespace

TEST_CASE("sqlite: a damaged file is refused by name, with a next step, and is not touched") {
  const Folder folder;
  {
    Opened opened(folder, {.records_per_part = 10});
    REQUIRE(opened.append(64).has_value());
    REQUIRE(opened.checkpoint().has_value());
    REQUIRE(opened.append(64).has_value());
  }
  const std::string good = bytes_of(folder.file());
  const size_t pages = good.size() / 4096;
  REQUIRE(pages > 10);
  const auto refused = [&](const std::string& what) {
    const std::string bad = bytes_of(folder.file());
    Opened opened(folder);
    INFO(what);
    REQUIRE(!opened.loaded.has_value());
    const std::string message = opened.loaded.error().message;
    INFO(message);
    EXPECT(opened.loaded.error().code == Code::kInvalid);
    EXPECT(says(message, folder.file() + " is damaged: "));
    EXPECT(says(message, "Nothing was changed"));
    EXPECT(says(message, "Put back a good copy"));
    EXPECT(bytes_of(folder.file()) == bad);
  };
  const std::string noise(4096, '\x5a');
  // Any page but those that hold nothing now.
  size_t unnoticed = 0;
  for (size_t page = 0; page < pages; ++page) {
    write_at(folder.file(), static_cast<off_t>(page * 4096), noise);
    if (Opened probe(folder); probe.loaded.has_value()) {
      ++unnoticed;
    } else {
      refused("page " + std::to_string(page + 1));
    }
    std::ofstream(folder.file(), std::ios::binary) << good;
  }
  EXPECT(unnoticed < pages / 2);
  // One letter of a text: still a page, and still JSON.
  const auto flipped = [&](std::string_view where, std::string_view word) {
    const size_t at = good.find(word, good.find(where));
    REQUIRE(at < good.size());
    write_at(folder.file(), static_cast<off_t>(at), "_");
    refused(std::string(word));
    std::ofstream(folder.file(), std::ios::binary) << good;
  };
  flipped("{\"Index\":64", "linux");               // a checkpoint's part
  flipped("{\"Index\":100", "Tasks are running");  // a commit
  for (const char* sql : {"DELETE FROM log WHERE idx = 90", "DELETE FROM log WHERE idx = 65",
                          "DELETE FROM part WHERE part = 1", "DELETE FROM checkpoint",
                          "UPDATE log SET idx = 200 WHERE idx = 128", "DROP TABLE part"}) {
    {
      Other(folder.file()).run(sql);
    }
    refused(sql);
    std::ofstream(folder.file(), std::ios::binary) << good;
  }
  Opened opened(folder);  // and the good one is good
  REQUIRE_MESSAGE(opened.loaded.has_value(), message_of(opened.loaded));
  EXPECT_EQ(opened.loaded->index(), 128u);
}

TEST_CASE("sqlite: what was never a state, and what is of a newer sluice") {
  const Folder folder;
  SUBCASE("another program's database") {
    std::filesystem::create_directory(folder.path + "/server");
    {
      Other(folder.file()).run("CREATE TABLE notes (text)");
    }
    Opened opened(folder);
    EXPECT(opened.loaded.error().code == Code::kUnsupported);
    EXPECT(says(message_of(opened.loaded), "another program"));
  }
  SUBCASE("no database at all") {
    std::filesystem::create_directory(folder.path + "/server");
    std::ofstream(folder.file()) << std::string(10'000, 'x');
    Opened opened(folder);
    EXPECT(opened.loaded.error().code == Code::kInvalid);
    EXPECT(says(message_of(opened.loaded), "file is not a database"));
    EXPECT_EQ(bytes_of(folder.file()), std::string(10'000, 'x'));
  }
  SUBCASE("a newer format") {
    Opened(folder).append(2).value();
    {
      Other(folder.file()).run("PRAGMA user_version = " + std::to_string(kStoreFormat + 1));
    }
    const std::string before = bytes_of(folder.file());
    Opened opened(folder);
    EXPECT(opened.loaded.error().code == Code::kUnsupported);
    EXPECT_EQ(message_of(opened.loaded),
              folder.file() +
                  " has format 3, and this sluice reads formats up to 2: start the "
                  "newer sluice that wrote it. Nothing was changed");
    EXPECT(bytes_of(folder.file()) == before);
  }
  SUBCASE("a log without its file") {
    std::filesystem::create_directory(folder.path + "/server");
    std::ofstream(folder.file("-wal")) << "something";
    Opened opened(folder);
    EXPECT(opened.loaded.error().code == Code::kInvalid);
    EXPECT(says(message_of(opened.loaded), "-wal is there without it"));
    EXPECT(!std::filesystem::exists(folder.file()));
    EXPECT_EQ(bytes_of(folder.file("-wal")), "something");
  }
}

TEST_CASE("sqlite: a full disk refuses the whole append, and writing goes on once there is room") {
  const Folder folder;
  std::string before;
  uint64_t index = 0;
  {
    Opened opened(folder, {.file = {.format = kStoreFormat, .max_pages = 40}});
    Result<void> done;
    while (done) {
      before = opened.dump();
      index = opened.state.index();
      REQUIRE(index < 1'000);
      done = opened.append(3);
    }
    EXPECT(done.error().code == Code::kLimit);
    EXPECT(says(done.error().message, folder.file() + ": database or disk is full"));
    EXPECT(says(done.error().message, "free some space"));
    EXPECT_EQ(opened.state.index(), index);
    EXPECT(!opened.append(3).has_value());
    EXPECT(!opened.checkpoint().has_value());  // has no room either, and takes none
  }
  Opened again(folder);
  REQUIRE_MESSAGE(again.loaded.has_value(), message_of(again.loaded));
  EXPECT_EQ(again.dump(), before);
  EXPECT(again.append(3).has_value());
}

TEST_CASE("sqlite: a file size limit in the middle of a write leaves none of it") {
  const Folder folder;
  Opened opened(folder);
  REQUIRE(opened.append(5).has_value());
  const std::string before = opened.dump();
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit old = {};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &old) == 0);
  rlimit small = old;
  small.rlim_cur = std::filesystem::file_size(folder.file("-wal")) + 6'000;  // a page and a half
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  const Result<void> done = opened.append(20);
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &old) == 0);
  REQUIRE(!done.has_value());
  INFO(done.error().message);
  EXPECT(done.error().code == Code::kIo);
  EXPECT(says(done.error().message, "File too large"));
  REQUIRE(opened.append(2).has_value());
  const std::string after = opened.dump();
  std::filesystem::create_directory(folder.path + "/copy");
  const Folder copy;
  std::filesystem::copy(folder.path + "/server", copy.path + "/server");
  Opened again(copy);
  REQUIRE_MESSAGE(again.loaded.has_value(), message_of(again.loaded));
  EXPECT_EQ(again.loaded->index(), 7u);
  EXPECT_EQ(again.dump(), after);
  EXPECT(before != after);
}
