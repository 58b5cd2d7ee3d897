// The exec drivers' parts that need no process: frames, records, the rotation of log files.
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <string>

#include "drivers/exec/launch.h"
#include "drivers/exec/log_files.h"
#include "drivers/exec/proc.h"
#include "drivers/exec/wire.h"
#include "test/test.h"

using namespace sluice;
using namespace sluice::drivers::exec;

namespace {

struct TempFolder {
  TempFolder() {
    char name[] = "/tmp/sluice-test-XXXXXX";
    path = mkdtemp(name);
  }
  ~TempFolder() { [[maybe_unused]] int ignored = system(("rm -rf " + path).c_str()); }
  std::string path;
};

std::string content(const std::string& path) {
  return read_small_file(AT_FDCWD, path.c_str(), 1 << 24).value_or("(none)");
}

}  // namespace

TEST_CASE("A message comes back from its frame, whatever bytes its values hold") {
  Message message;
  message.add("op", "start")
      .add("arg", "a b\n")
      .add("arg", std::string_view("\0\xff", 2))
      .add("n", -5);
  std::string frame = message.frame();
  for (size_t cut = 0; cut < frame.size(); ++cut) {
    auto bytes = frame_bytes(std::string_view(frame).substr(0, cut), 1000);
    REQUIRE(bytes);
    EXPECT(bytes->has_value() == (cut >= 4));
    if (*bytes) EXPECT_EQ(**bytes, frame.size());
  }
  auto back = Message::parse(std::string_view(frame).substr(4));
  REQUIRE(back);
  EXPECT_EQ(back->get("op"), "start");
  EXPECT_EQ(back->all("arg").size(), 2u);
  EXPECT(back->all("arg")[1] == std::string_view("\0\xff", 2));
  EXPECT_EQ(back->get_int("n"), -5);
  EXPECT_EQ(back->get_int("op", 7), 7);
  EXPECT(!(back->has("none")));
}

TEST_CASE("A message that is cut, too long or has no key is refused") {
  std::string body = Message().add("key", "value").body();
  for (size_t cut = 1; cut < body.size(); ++cut) {
    EXPECT(!(Message::parse(std::string_view(body).substr(0, cut))));
  }
  EXPECT(!(Message::parse(std::string_view("\0\0\0\0\0\0", 6))));
  EXPECT(!(Message::parse(std::string_view("\x41\0\0\0\0\0", 6))));  // a key of 65 bytes
  auto frame = frame_bytes(std::string_view("\x01\x04\0\0", 4), 1024);
  REQUIRE(!(frame));
  EXPECT(frame.error().code == Code::kLimit);
  auto error = reply_error(error_reply({Code::kConflict, "why"}));
  REQUIRE(error);
  EXPECT(error->code == Code::kConflict);
  EXPECT_EQ(error->message, "why");
}

TEST_CASE("The start time is found behind a command with blanks and brackets") {
  auto stat = parse_proc_stat(
      "42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 7 8 0 0 20 0 1 0 123456 1000 55 "
      "18446744073709551615");
  REQUIRE(stat);
  EXPECT_EQ(stat->state, 'S');
  EXPECT_EQ(stat->parent, 1);
  EXPECT_EQ(stat->cpu_ticks, 15u);
  EXPECT_EQ(stat->start_ticks, 123456u);
  EXPECT_EQ(stat->rss_pages, 55u);
  EXPECT(!(parse_proc_stat("42 (a) S 1")));
  EXPECT(!(parse_proc_stat("")));
}

TEST_CASE("A process is opened only under its own start time") {
  auto stat = read_proc_stat(getpid());
  REQUIRE(stat);
  EXPECT(static_cast<bool>(open_process(getpid(), stat->start_ticks)));
  EXPECT(!(open_process(getpid(), stat->start_ticks + 1)));
  EXPECT(!(open_process(0, 0)));
}

TEST_CASE("Records of a run are read as they were written, and nothing else") {
  PidRecord record{"boot", 10, 100, 11, 101};
  auto back = parse_pid_record(format_pid_record(record));
  REQUIRE(back);
  EXPECT_EQ(back->boot_id, "boot");
  EXPECT_EQ(back->keeper_start, 100u);
  EXPECT_EQ(back->pid, 11);
  EXPECT(!(parse_pid_record("pid boot 10 100 11")));
  EXPECT(!(parse_pid_record("pid boot 0 100 11 101")));
  auto exit = parse_exit_record("exit 7 0 1234             \n");
  REQUIRE(exit);
  EXPECT_EQ(exit->code, 7);
  EXPECT_EQ(exit->at_ns, 1234);
  EXPECT(!(parse_exit_record("                    ")));  // the place kept for it
}

TEST_CASE("Signals have names with and without SIG, and numbers") {
  EXPECT_EQ(signal_number("SIGTERM").value_or(0), 15);
  EXPECT_EQ(signal_number("HUP").value_or(0), 1);
  EXPECT_EQ(signal_number("9").value_or(0), 9);
  EXPECT(!(signal_number("SIGNONE")));
  EXPECT(!(signal_number("0")));
  EXPECT(!(signal_number("")));
}

TEST_CASE("A command without a slash is looked for in the task's folder, then on its PATH") {
  LaunchSpec spec;
  spec.folder = "/t";
  spec.command = "x";
  spec.env = {"A=1", "PATH=/a::/b"};
  EXPECT((command_candidates(spec) ==
          std::vector<std::string>({"/t/local/x", "/t/x", "/a/x", "/b/x"})));
  spec.command = "./x";
  EXPECT((command_candidates(spec) == std::vector<std::string>({"./x"})));
}

TEST_CASE("Log files rotate between lines, and a line longer than a file is kept whole") {
  // What fits goes in.
  EXPECT((next_log_step(0, true, 10, "abc\n") == LogStep{4, false}));
  EXPECT((next_log_step(6, true, 10, "abc\n") == LogStep{4, false}));
  // As many whole lines as fit, then a new file.
  EXPECT((next_log_step(4, true, 10, "abc\nabcdef\n") == LogStep{4, true}));
  // A line that would straddle goes into the next file; one that has begun ends in this one.
  EXPECT((next_log_step(8, true, 10, "abc\n") == LogStep{0, true}));
  EXPECT((next_log_step(8, false, 10, "abc\nd\n") == LogStep{4, true}));
  EXPECT((next_log_step(8, false, 10, "abcdef") == LogStep{6, false}));
  EXPECT((next_log_step(10, true, 10, "a") == LogStep{0, true}));
  EXPECT((next_log_step(12, false, 10, "a\nb") == LogStep{2, true}));
  // A line longer than a file, alone in its file.
  EXPECT((next_log_step(0, true, 4, "abcdefgh\nx\n") == LogStep{9, true}));
  // But not without end.
  std::string endless(2 * kLineOverrunBytes, 'x');
  EXPECT((next_log_step(0, true, 10, endless) == LogStep{10 + kLineOverrunBytes, true}));
  EXPECT((next_log_step(10 + kLineOverrunBytes, false, 10, endless) == LogStep{0, true}));
}

TEST_CASE("Output moves from the pipe into rotated files, every line once, old files removed") {
  TempFolder folder;
  int fds[2];
  REQUIRE(pipe2(fds, O_CLOEXEC | O_NONBLOCK) == 0);
  Fd read_end(fds[0]), write_end(fds[1]);
  PeekPipe peek;
  std::string prefix = folder.path + "/web.stdout";
  std::string sent;
  {
    LogFiles files(prefix, 3, 100);
    for (int i = 0; i < 100; ++i) {
      std::string line = "line " + std::to_string(i) + "\n";
      sent += line;
      REQUIRE(write(write_end.get(), line.data(), line.size()) ==
              static_cast<ssize_t>(line.size()));
      if (i % 7 == 0) files.take(read_end.get(), peek, 1 << 20);
    }
  }
  // A new supervisor goes on where the files end.
  LogFiles files(prefix, 3, 100);
  EXPECT(!(files.take(read_end.get(), peek, 1 << 20)));
  EXPECT_EQ(unread_bytes(read_end.get()), 0);
  int last = 0;
  while (access((prefix + "." + std::to_string(last)).c_str(), F_OK) != 0) ++last;
  EXPECT(last > 2);  // the first ones are gone
  std::string kept;
  for (int i = last; i < last + 3; ++i) {
    std::string part = content(prefix + "." + std::to_string(i));
    EXPECT(part.size() <= 100);
    EXPECT(part.ends_with('\n'));
    kept += part;
  }
  EXPECT(!(access((prefix + "." + std::to_string(last + 3)).c_str(), F_OK) == 0));
  EXPECT(sent.ends_with(kept));
  EXPECT(files.dropped_bytes() == 0);
}

TEST_CASE("Output that cannot be written is dropped and counted, so that the task goes on") {
  int fds[2];
  REQUIRE(pipe2(fds, O_CLOEXEC | O_NONBLOCK) == 0);
  Fd read_end(fds[0]), write_end(fds[1]);
  PeekPipe peek;
  LogFiles files("/nonexistent/folder/x.stdout", 3, 100);
  REQUIRE(write(write_end.get(), "lost\n", 5) == 5);
  files.take(read_end.get(), peek, 1 << 20);
  EXPECT_EQ(files.dropped_bytes(), 5);
  EXPECT(!(files.trouble().empty()));
  EXPECT_EQ(unread_bytes(read_end.get()), 0);
}
