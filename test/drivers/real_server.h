// A real server for a test, at the other end of two pipes: one of the Python tools in test/tools,
// which says a line for each command.
#pragma once

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <string>

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

}  // namespace sluice::drivers
