#include "orchestrator/api/alloc_files.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/disk.h"
#include "test/test.h"

namespace sluice::orchestrator::api {
namespace {

struct Folder {
  PosixDisk disk;
  std::string top, root;

  Folder() {
    char name[] = "/tmp/sluice-alloc-files-XXXXXX";
    REQUIRE(mkdtemp(name) != nullptr);
    top = name;
    root = top + "/alloc-1";
    REQUIRE(disk.make_folders(root + "/alloc/logs", 0755));
    REQUIRE(disk.make_folders(root + "/web/secrets", 0755));
    write(root + "/alloc/a.txt", "hello");
    write(root + "/web/secrets/token", "secret");
    write(top + "/outside", "other");
  }
  ~Folder() { (void)disk.remove_tree(top); }
  void write(const std::string& path, std::string_view text) {
    REQUIRE(disk.write_file(path, text, 0644));
  }
  Code refusal(const std::string& path) {
    Result<AllocFile> file = AllocFile::open(root, path);
    return file ? Code::kInternal : file.error().code;
  }
};

}  // namespace

TEST_CASE("files and folders of an allocation are read") {
  Folder folder;
  const Result<AllocFile> file = AllocFile::open(folder.root, "/alloc/a.txt");
  REQUIRE(file);
  EXPECT_EQ(file->read(0, 64).value_or("?"), "hello");
  EXPECT_EQ(file->read(3, 1).value_or("?"), "l");
  EXPECT_EQ(file->read(9, 1).value_or("?"), "");
  const Result<FileInfo> info = file->info();
  EXPECT_EQ(info->name, "a.txt");
  EXPECT_EQ(info->size, 5u);
  EXPECT_EQ(info->mode, "-rw-r--r--");
  EXPECT_EQ(file->list().error().code, Code::kInvalid);

  const Result<AllocFile> listed = AllocFile::open(folder.root, "alloc");
  REQUIRE(listed);
  const Result<std::vector<FileInfo>> files = listed->list();
  REQUIRE(files);
  REQUIRE(files->size() == 2);
  EXPECT_EQ((*files)[0].name, "a.txt");
  EXPECT_EQ((*files)[1].name, "logs");
  EXPECT((*files)[1].is_folder);
  EXPECT_EQ((*files)[1].mode, "drwxr-xr-x");
  EXPECT_EQ(listed->read(0, 1).error().code, Code::kInvalid);
}

TEST_CASE("nothing outside the folder and no secret is reached, by no path and no link") {
  Folder folder;
  REQUIRE(symlink((folder.top + "/outside").c_str(), (folder.root + "/alloc/out").c_str()) == 0);
  REQUIRE(symlink("../web/secrets/token", (folder.root + "/alloc/sneak").c_str()) == 0);
  REQUIRE(symlink("a.txt", (folder.root + "/alloc/fine").c_str()) == 0);
  EXPECT_EQ(folder.refusal("../outside"), Code::kInvalid);
  EXPECT_EQ(folder.refusal("alloc/../../outside"), Code::kInvalid);
  EXPECT_EQ(folder.refusal("alloc/out"), Code::kInvalid);
  EXPECT_EQ(folder.refusal("web/secrets/token"), Code::kDenied);
  EXPECT_EQ(folder.refusal("web/secrets"), Code::kDenied);
  EXPECT_EQ(folder.refusal("alloc/../web/secrets/token"), Code::kDenied);
  EXPECT_EQ(folder.refusal("alloc/sneak"), Code::kDenied);
  EXPECT_EQ(folder.refusal("nope"), Code::kNotFound);
  EXPECT_EQ(AllocFile::open(folder.root, "alloc/fine")->read(0, 9).value_or("?"), "hello");
}

TEST_CASE("a FIFO that nobody writes does not block the reader") {
  Folder folder;
  REQUIRE(mkfifo((folder.root + "/alloc/pipe").c_str(), 0644) == 0);
  const Result<AllocFile> file = AllocFile::open(folder.root, "alloc/pipe");
  REQUIRE(file);
  EXPECT(!file->read(0, 1));
}

}  // namespace sluice::orchestrator::api
