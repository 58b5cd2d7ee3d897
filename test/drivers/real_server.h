// A real server for a test, at the other end of two pipes: one of the Python tools in test/tools,
// which says a line for each command. Also what the real tests share.
#pragma once

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "core/loop.h"
#include "core/scope.h"
#include "test/test.h"

namespace sluice::drivers {

class RealServer {
 public:
  RealServer(std::string script, std::string argument) {
    int to[2], from[2];
    REQUIRE(::pipe2(to, O_CLOEXEC) == 0);
    REQUIRE(::pipe2(from, O_CLOEXEC) == 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, to[0], 0);
    posix_spawn_file_actions_adddup2(&actions, from[1], 1);
    std::string python = "/usr/bin/python3";
    char* arguments[] = {python.data(), script.data(), argument.data(), nullptr};
    REQUIRE(::posix_spawn(&pid_, python.c_str(), &actions, nullptr, arguments, environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    ::close(to[0]);
    ::close(from[1]);
    to_ = to[1];
    from_ = ::fdopen(from[0], "r");
  }
  RealServer(const RealServer&) = delete;
  ~RealServer() {
    ::close(to_);
    int status = 0;
    ::waitpid(pid_, &status, 0);
    EXPECT_EQ(status, 0);
    std::fclose(from_);
  }

  /// Blocks until it is done; what it says behind "ok ".
  std::string command(const std::string& text) {
    std::string line = text + "\n";
    REQUIRE(::write(to_, line.data(), line.size()) == static_cast<ssize_t>(line.size()));
    return answer();
  }

 private:
  std::string answer() {
    char line[512];
    REQUIRE(std::fgets(line, sizeof line, from_) != nullptr);
    std::string text = line;
    text.pop_back();
    REQUIRE(text.starts_with("ok"));
    return text.size() > 3 ? text.substr(3) : "";
  }

  pid_t pid_ = 0;
  int to_ = -1;
  FILE* from_ = nullptr;
};

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

/// Runs the loop until the task has ended.
template <class T>
T run_to_end(UvLoop& loop, Task<T> task) {
  std::optional<T> result;
  Scope scope(loop);
  auto body = [](Task<T> inner, std::optional<T>& out, UvLoop& on) -> Task<void> {
    out.emplace(co_await inner);
    on.stop();
  };
  scope.spawn(body(std::move(task), result, loop));
  loop.run();
  REQUIRE(result.has_value());
  return *std::move(result);
}

/// The same for a call that must succeed.
template <class T>
T run_good(UvLoop& loop, Task<Result<T>> task) {
  Result<T> result = run_to_end(loop, std::move(task));
  if (!result) DOCTEST_MESSAGE(result.error().message);
  REQUIRE(result.has_value());
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

}  // namespace sluice::drivers
