#include "orchestrator/api/log_files.h"

#include <stdlib.h>
#include <unistd.h>

#include "core/disk.h"
#include "test/test.h"

namespace sluice::orchestrator::api {
namespace {

/// A folder with the log of a task that was rotated.
struct Folder {
  PosixDisk disk;
  std::string path;

  Folder() {
    char name[] = "/tmp/sluice-log-files-XXXXXX";
    REQUIRE(mkdtemp(name) != nullptr);
    path = name;
  }
  ~Folder() { (void)disk.remove_tree(path); }
  void write(const std::string& name, std::string_view text) {
    REQUIRE(disk.write_file(path + "/" + name, text, 0600));
  }
};

std::string rest(LogFiles& files, size_t limit = 3) {
  std::string text;
  while (true) {
    Result<LogFiles::Piece> piece = files.read(limit);
    REQUIRE(piece);
    if (piece->bytes.empty()) return text;
    text += piece->bytes;
  }
}

}  // namespace

TEST_CASE("a rotated log reads as one run of bytes, in the order of the numbers") {
  Folder folder;
  folder.write("web.stdout.9", "nine ");
  folder.write("web.stdout.10", "ten ");
  folder.write("web.stdout.11", "eleven");
  folder.write("web.stderr.9", "other");
  folder.write("web.stdout.x", "no");
  LogFiles files(folder.path, "web.stdout");
  REQUIRE(files.seek_from_start(0));
  EXPECT_EQ(rest(files), "nine ten eleven");
  EXPECT_EQ(rest(files), "");
  for (const auto& [offset, text] : {std::pair<uint64_t, const char*>{3, "e ten eleven"},
                                     {5, "ten eleven"},
                                     {9, "eleven"},
                                     {99, ""}}) {
    REQUIRE(files.seek_from_start(offset));
    EXPECT_EQ(rest(files), text);
  }
  for (const auto& [offset, text] : {std::pair<uint64_t, const char*>{0, ""},
                                     {6, "eleven"},
                                     {8, "n eleven"},
                                     {99, "nine ten eleven"}}) {
    REQUIRE(files.seek_from_end(offset));
    EXPECT_EQ(rest(files), text);
  }
}

TEST_CASE("pieces name their file and the offset behind them") {
  Folder folder;
  folder.write("web.stdout.0", "abcd");
  folder.write("web.stdout.1", "ef");
  LogFiles files(folder.path, "web.stdout");
  REQUIRE(files.seek_from_start(1));
  const Result<LogFiles::Piece> first = files.read(64);
  EXPECT_EQ(first->bytes, "bcd");
  EXPECT_EQ(first->file, "web.stdout.0");
  EXPECT_EQ(first->offset, 4u);
  const Result<LogFiles::Piece> second = files.read(64);
  EXPECT_EQ(second->file, "web.stdout.1");
  EXPECT_EQ(second->offset, 2u);
}

TEST_CASE("following: what is written later comes, over a rotation and a removal") {
  Folder folder;
  LogFiles files(folder.path, "web.stdout");
  REQUIRE(files.seek_from_end(0));
  EXPECT_EQ(rest(files), "");
  folder.write("web.stdout.0", "one\n");
  EXPECT_EQ(rest(files), "one\n");
  folder.write("web.stdout.0", "one\ntwo\n");
  folder.write("web.stdout.1", "three\n");
  EXPECT_EQ(rest(files), "two\nthree\n");
  unlink((folder.path + "/web.stdout.0").c_str());
  unlink((folder.path + "/web.stdout.1").c_str());
  folder.write("web.stdout.5", "six\n");
  EXPECT_EQ(rest(files), "six\n");
}

TEST_CASE("a folder that is not there yet is an empty log") {
  LogFiles files("/tmp/sluice-no-such-folder", "web.stdout");
  EXPECT(files.seek_from_end(10));
  EXPECT_EQ(rest(files), "");
}

}  // namespace sluice::orchestrator::api
