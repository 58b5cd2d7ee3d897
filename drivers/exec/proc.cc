#include "drivers/exec/proc.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

namespace sluice::drivers::exec {
namespace {

constexpr size_t kMaxTreeProcesses = 1 << 16;

/// The next blank-separated number, or nullopt.
template <class T>
std::optional<T> next_number(std::string_view& text) {
  size_t begin = text.find_first_not_of(' ');
  if (begin == std::string_view::npos) return std::nullopt;
  text.remove_prefix(begin);
  T value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return value;
}

}  // namespace

std::string read_boot_id() {
  Result<std::string> text = read_small_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id");
  if (!text) return {};
  while (!text->empty() && text->back() == '\n') text->pop_back();
  return *text;
}

std::optional<ProcStat> parse_proc_stat(std::string_view text) {
  size_t close = text.rfind(')');
  if (close == std::string_view::npos || close + 2 >= text.size()) return std::nullopt;
  text.remove_prefix(close + 2);
  ProcStat stat;
  stat.state = text[0];
  text.remove_prefix(1);
  // Fields by their number in proc(5); the state is field 3.
  for (int field = 4; field <= 24; ++field) {
    auto value = next_number<int64_t>(text);
    if (!value) return std::nullopt;
    if (field == 4) stat.parent = static_cast<pid_t>(*value);
    if (field == 14 || field == 15) stat.cpu_ticks += static_cast<uint64_t>(*value);
    if (field == 22) stat.start_ticks = static_cast<uint64_t>(*value);
    if (field == 24) stat.rss_pages = static_cast<uint64_t>(*value);
  }
  return stat;
}

std::optional<ProcStat> read_proc_stat(pid_t pid) {
  if (pid <= 0) return std::nullopt;
  std::string path = "/proc/" + std::to_string(pid) + "/stat";
  Result<std::string> text = read_small_file(AT_FDCWD, path.c_str());
  if (!text) return std::nullopt;
  return parse_proc_stat(*text);
}

Fd open_process(pid_t pid, uint64_t start_ticks) {
  if (pid <= 0) return {};
  // First the descriptor, then the look: were the number reused in between, the start would differ.
  Fd fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!fd) return {};
  std::optional<ProcStat> stat = read_proc_stat(pid);
  if (!stat || stat->start_ticks != start_ticks) return {};
  return fd;
}

std::vector<pid_t> process_tree(pid_t root) {
  std::vector<pid_t> tree{root};
  for (size_t i = 0; i < tree.size() && tree.size() < kMaxTreeProcesses; ++i) {
    std::string pid = std::to_string(tree[i]);
    // Only the main thread's children are looked up: a child that another thread forked is listed
    // under that thread, and is found below only if its parent exits. Good enough for figures.
    std::string path = "/proc/" + pid + "/task/" + pid + "/children";
    Result<std::string> text = read_small_file(AT_FDCWD, path.c_str());
    if (!text) continue;
    std::string_view rest = *text;
    while (auto child = next_number<pid_t>(rest)) tree.push_back(*child);
  }
  return tree;
}

Result<std::string> read_small_file(int folder_fd, const char* name, size_t limit) {
  Fd fd(openat(folder_fd, name, O_RDONLY | O_CLOEXEC));
  if (!fd) return fail_errno(errno, name);
  std::string text;
  char buffer[4096];
  while (text.size() < limit) {
    ssize_t count = read(fd.get(), buffer, std::min(sizeof buffer, limit - text.size()));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, name);
    if (count == 0) break;
    text.append(buffer, static_cast<size_t>(count));
  }
  return text;
}

Result<void> replace_file(int folder_fd, const std::string& name, std::string_view content,
                          mode_t mode) {
  std::string temporary = name + ".new";
  Fd fd(openat(folder_fd, temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
  if (!fd) return fail_errno(errno, "create " + temporary);
  while (!content.empty()) {
    ssize_t count = write(fd.get(), content.data(), content.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, "write " + temporary);
    content.remove_prefix(static_cast<size_t>(count));
  }
  if (renameat(folder_fd, temporary.c_str(), folder_fd, name.c_str()) != 0) {
    return fail_errno(errno, "rename to " + name);
  }
  return {};
}

std::optional<int> signal_number(std::string_view name) {
  int number = 0;
  auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error == std::errc() && end == name.data() + name.size()) {
    return number > 0 && number < NSIG ? std::optional<int>(number) : std::nullopt;
  }
  if (name.starts_with("SIG")) name.remove_prefix(3);
  for (int candidate = 1; candidate < NSIG; ++candidate) {
    const char* abbreviation = sigabbrev_np(candidate);
    if (abbreviation != nullptr && name == abbreviation) return candidate;
  }
  return std::nullopt;
}

}  // namespace sluice::drivers::exec
