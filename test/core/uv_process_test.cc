#include "core/uv_process.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <fstream>

#include "core/scope.h"
#include "test/test.h"

namespace sluice {

namespace {

/// Runs a task on a loop of its own to its end.
template <class T>
T await(UvLoop& loop, Task<T> task) {
  std::optional<T> out;
  auto body = [](Task<T> inner, std::optional<T>& into, UvLoop& on) -> Task<void> {
    into.emplace(co_await inner);
    on.stop();
  };
  Scope scope(loop);
  scope.spawn(body(std::move(task), out, loop));
  loop.run();
  return std::move(*out);
}

ProcessSpec shell(std::string script) {
  return {.argv = {"sh", "-c", std::move(script)},
          .env = {"PATH=/usr/bin:/bin", "WORD=yes"},
          .folder = "/"};
}

Task<std::string> read_to_end(Stream& from) {
  std::string text;
  std::array<char, 256> buffer;
  while (true) {
    Result<size_t> got = co_await from.read(buffer);
    if (!got || *got == 0) co_return text;
    text.append(buffer.data(), *got);
  }
}

}  // namespace

TEST_CASE("process: its environment, folder, output, errors and exit code") {
  UvLoop loop;
  UvProcesses processes(loop);
  auto done = await(
      loop, run_process(processes, loop,
                        shell("pwd; echo $WORD; env | wc -l; echo bad >&2; exit 7"), 10'000, 1024));
  REQUIRE(done);
  EXPECT_EQ(done->exit.code, 7);
  // sh adds PWD (and some OLDPWD, SHLVL, _), nothing of ours.
  EXPECT(done->output.starts_with("/\nyes\n"));
  EXPECT_EQ(done->errors, "bad\n");
  ::setenv("SLUICE_TEST_SECRET", "x", 1);
  done = await(loop, run_process(processes, loop, shell("echo [$SLUICE_TEST_SECRET]"), 10'000, 99));
  REQUIRE(done);
  EXPECT_EQ(done->output, "[]\n");
}

TEST_CASE("process: what it prints over the limit is dropped, and it is not held up") {
  UvLoop loop;
  UvProcesses processes(loop);
  auto done = await(
      loop,
      run_process(processes, loop, shell("head -c 300000 /dev/zero | tr '\\0' x"), 10'000, 1000));
  REQUIRE(done);
  EXPECT_EQ(done->exit.code, 0);
  EXPECT_EQ(done->output.size(), 1000u);
}

TEST_CASE("process: no such program, a folder that is not there, a signal's end") {
  UvLoop loop;
  UvProcesses processes(loop);
  ProcessSpec spec = shell("true");
  spec.argv = {"no-such-program-at-all"};
  auto none = await(loop, run_process(processes, loop, spec, 10'000, 10));
  REQUIRE(!none);
  EXPECT_EQ(none.error().code, Code::kNotFound);
  spec = shell("true");
  spec.folder = "/no/such/folder";
  EXPECT(!await(loop, run_process(processes, loop, spec, 10'000, 10)));
  auto killed = await(loop, run_process(processes, loop, shell("kill -TERM $$"), 10'000, 10));
  REQUIRE(killed);
  EXPECT_EQ(killed->exit.signal, SIGTERM);
  EXPECT_EQ(killed->exit.code, 128 + SIGTERM);
}

TEST_CASE("process: input is passed on, and its end") {
  UvLoop loop;
  UvProcesses processes(loop);
  auto body = [](UvProcesses& from) -> Task<std::string> {
    auto process = co_await from.start(shell("cat; echo end"));
    REQUIRE(process);
    const std::string large(200'000, 'y');
    REQUIRE(co_await (*process)->input().write("one\n"));
    REQUIRE((*process)->input().shutdown_write());
    EXPECT(!co_await (*process)->input().write("two\n"));
    std::string text = co_await read_to_end((*process)->output());
    const ProcessExit exit = co_await (*process)->wait();
    EXPECT_EQ(exit.code, 0);
    co_return text;
  };
  EXPECT_EQ(await(loop, body(processes)), "one\nend\n");
}

TEST_CASE("process: a time limit, and destroying it, kill all that it started") {
  UvLoop loop;
  UvProcesses processes(loop);
  char path[] = "/tmp/sluice-process-XXXXXX";
  ::close(::mkstemp(path));
  const std::string script = std::string("sleep 1000 & echo $! > ") + path + "; echo up; wait";
  auto late = await(loop, run_process(processes, loop, shell(script), 300, 100));
  REQUIRE(!late);
  EXPECT_EQ(late.error().code, Code::kTimeout);
  pid_t child = 0;
  std::ifstream(path) >> child;
  ::unlink(path);
  REQUIRE(child > 0);
  // Its parent is gone; whoever adopts it takes it away.
  for (int i = 0; i < 500 && ::kill(child, 0) == 0; ++i) {
    std::ifstream status("/proc/" + std::to_string(child) + "/stat");
    std::string pid, name, state;
    status >> pid >> name >> state;
    if (state == "Z") break;
    ::usleep(10'000);
  }
  std::ifstream status("/proc/" + std::to_string(child) + "/stat");
  std::string pid, name, state;
  status >> pid >> name >> state;
  const bool gone = state.empty() || state == "Z";
  EXPECT(gone);
}

TEST_CASE("process: one whose start nobody waits for any more is ended") {
  {
    UvLoop loop;
    UvProcesses processes(loop);
    Scope scope(loop);
    auto begin = [](UvProcesses& on) -> Task<void> {
      (void)co_await on.start(shell("sleep 1000"));
    };
    scope.spawn(begin(processes));
    loop.post([&] {  // it is with the pool by now
      scope.cancel_all();
      loop.stop();
    });
    loop.run();
  }  // which waits for the pool
  EXPECT(::waitpid(-1, nullptr, WNOHANG) != 0);  // no child runs
}

TEST_CASE("process: on a terminal of the wanted size, which can be changed") {
  UvLoop loop;
  UvProcesses processes(loop);
  auto body = [](UvProcesses& from) -> Task<std::string> {
    ProcessSpec spec = shell("tty >/dev/null && stty size; read word; echo got $word; stty size");
    spec.terminal = true;
    spec.rows = 10;
    spec.columns = 20;
    auto process = co_await from.start(std::move(spec));
    REQUIRE(process);
    EXPECT((*process)->errors() == nullptr);
    REQUIRE((*process)->resize(30, 40));
    REQUIRE(co_await (*process)->input().write("it\n"));
    std::string text = co_await read_to_end((*process)->output());
    co_await (*process)->wait();
    co_return text;
  };
  const std::string text = await(loop, body(processes));
  CAPTURE(text);
  EXPECT(text.find("got it") != std::string::npos);
  EXPECT(text.find("30 40") != std::string::npos);
}

}  // namespace sluice
