// SimDisk: a disk in memory. It survives the processes that use it; what a dead process had still
// under way on its pool does not reach it.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/disk.h"

namespace sluice::sim {

struct SimFiles {
  std::map<std::string, std::string> files;
  std::set<std::string> folders;
  uint64_t writes = 0;
};

/// One process's view of the files.
class SimDisk final : public Disk {
 public:
  explicit SimDisk(SimFiles& files) : files_(files) {}

  /// The process is gone: nothing of it is written any more.
  void cut_off() { alive_ = false; }

  Result<std::string> read_file(const std::string& path, size_t limit_bytes) override {
    const auto found = files_.files.find(path);
    if (found == files_.files.end()) return fail(Code::kNotFound, "open {}: no such file", path);
    if (found->second.size() > limit_bytes) return fail(Code::kLimit, "{} is too long", path);
    return found->second;
  }
  Result<void> write_file(const std::string& path, std::string_view content, uint32_t) override {
    if (!alive_) return fail(Code::kClosed, "the process is gone");
    const std::string folder = path.substr(0, path.rfind('/'));
    if (!files_.folders.contains(folder)) return fail(Code::kNotFound, "{}: no folder", folder);
    files_.files[path] = content;
    ++files_.writes;
    return {};
  }
  Result<void> make_folders(const std::string& path, uint32_t) override {
    if (!alive_) return fail(Code::kClosed, "the process is gone");
    for (size_t end = path.find('/', 1); end != std::string::npos; end = path.find('/', end + 1)) {
      files_.folders.insert(path.substr(0, end));
    }
    files_.folders.insert(path);
    return {};
  }
  Result<void> remove_tree(const std::string& path) override {
    if (!alive_) return fail(Code::kClosed, "the process is gone");
    const auto below = [&](const std::string& name) {
      return name == path || name.starts_with(path + "/");
    };
    std::erase_if(files_.files, [&](const auto& entry) { return below(entry.first); });
    std::erase_if(files_.folders, below);
    return {};
  }
  Result<std::vector<std::string>> list(const std::string& path) override {
    if (!files_.folders.contains(path)) return fail(Code::kNotFound, "{}: no folder", path);
    std::set<std::string> names;
    const auto take = [&](const std::string& name) {
      if (!name.starts_with(path + "/")) return;
      names.insert(name.substr(path.size() + 1, name.find('/', path.size() + 1) - path.size() - 1));
    };
    for (const auto& [name, content] : files_.files) take(name);
    for (const std::string& name : files_.folders) take(name);
    return std::vector<std::string>(names.begin(), names.end());
  }
  bool exists(const std::string& path) override {
    return files_.files.contains(path) || files_.folders.contains(path);
  }
  Result<DiskSpace> space(const std::string&) override { return DiskSpace(); }

 private:
  SimFiles& files_;
  bool alive_ = true;
};

}  // namespace sluice::sim
