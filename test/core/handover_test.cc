#include "core/handover.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>

#include "test/test.h"

namespace sluice {

namespace {

/// What the shell, in place of a successor, does with the channel: what it returns, and what became
/// of it.
Result<void> outcome_of(const std::string& script, int64_t ready_ms) {
  UvLoop loop;
  std::optional<Result<void>> outcome;
  auto started = Successor::start(
      loop, {.program = "/bin/sh", .arguments = {"-c", script}, .ready_ms = ready_ms}, {}, "state",
      [&](Result<void> said) {
        outcome.emplace(std::move(said));
        loop.stop();
      });
  REQUIRE(started.has_value());
  loop.run();
  started->reset();
  return *outcome;
}

}  // namespace

TEST_CASE("a successor that ends first has failed, with its status") {
  const Result<void> outcome = outcome_of("exit 7", 20'000);
  REQUIRE(!outcome.has_value());
  EXPECT(outcome.error().message.find("ended with status 7 before it was ready") !=
         std::string::npos);
}

TEST_CASE("a successor that says nothing is killed") {
  const Result<void> outcome = outcome_of("exec sleep 600", 100);
  REQUIRE(!outcome.has_value());
  EXPECT(outcome.error().code == Code::kTimeout);
}

TEST_CASE("a program that is not there") {
  UvLoop loop;
  auto started = Successor::start(loop, {.program = "/nonexistent/sluice"}, {}, "", [](auto) {});
  REQUIRE(!started.has_value());
  EXPECT(started.error().message.find("/nonexistent/sluice") != std::string::npos);
}

TEST_CASE("who was not started by a predecessor has none; a foreign channel is refused") {
  auto none = Predecessor::find();
  REQUIRE(none.has_value());
  EXPECT(*none == nullptr);
  // Made by this process, whose parent is another one. Descriptor 3 may be in use: it comes back.
  const int kept = ::fcntl(Predecessor::kFd, F_DUPFD_CLOEXEC, 10);
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
  REQUIRE(::dup2(ends[0], Predecessor::kFd) == Predecessor::kFd);
  ::setenv(Predecessor::kVariable, "3", 1);
  auto refused = Predecessor::find();
  if (kept >= 0) ::dup2(kept, Predecessor::kFd);
  if (kept >= 0) ::close(kept);
  for (const int end : ends) {
    if (end != Predecessor::kFd) ::close(end);
  }
  REQUIRE(!refused.has_value());
  EXPECT(refused.error().message.find("not of the parent") != std::string::npos);
  EXPECT(::getenv(Predecessor::kVariable) == nullptr);
}

}  // namespace sluice
