// Files that the node makes in a task's folder: payloads, templates, artifacts. The task may own
// the folder and change it meanwhile, so no path is followed through a symbolic link.
//
// Blocks on the disk. Thread: any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/result.h"

namespace sluice::orchestrator {

/// Where a destination of the job file leads: the folder that it must stay in, and the path below
/// it. `path` has its `${...}` filled in; it is relative to the task's folder, or an absolute path
/// below the task's or the allocation's.
struct TaskPath {
  std::string root;
  std::string below;

  [[nodiscard]] std::string whole() const { return below.empty() ? root : root + "/" + below; }
};
Result<TaskPath> task_path(const std::string& task_folder, const std::string& alloc_folder,
                           std::string_view path);

/// Writes the file, old content or new, never a part; makes the folders on the way. kDenied: a
/// symbolic link stands in the way.
Result<void> write_inside(const TaskPath& path, std::string_view content, uint32_t mode);
Result<std::string> read_inside(const TaskPath& path, size_t limit_bytes);
/// Makes the folder and those on the way.
Result<void> make_folder_inside(const TaskPath& path, uint32_t mode);

/// "0644", "644"; nullopt: no such mode.
std::optional<uint32_t> parse_mode(std::string_view text);

}  // namespace sluice::orchestrator
