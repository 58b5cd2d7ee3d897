// A folder of the test's own, and what a task's log files in one hold.
#pragma once

#include <stdlib.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <string_view>

#include "test/test.h"

namespace sluice::drivers {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "slt-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

/// The files `<stream>.<number>` put together, in the order of their numbers.
inline std::string content(const std::string& folder, std::string_view stream) {
  std::map<int, std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(stream) || name.size() <= stream.size() || name[stream.size()] != '.') {
      continue;
    }
    int number = 0;
    const char* end = name.data() + name.size();
    const auto read = std::from_chars(name.data() + stream.size() + 1, end, number);
    if (read.ec == std::errc() && read.ptr == end) files[number] = entry.path();
  }
  std::string all;
  for (const auto& [number, path] : files) {
    std::ifstream in(path, std::ios::binary);
    all.append(std::istreambuf_iterator<char>(in), {});
  }
  return all;
}

}  // namespace sluice::drivers
