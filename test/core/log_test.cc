#include "core/log.h"

#include <fcntl.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "core/civil_time.h"
#include "test/test.h"

namespace sluice {
namespace {

int64_t fake_now_ns = 0;
int64_t fake_wall_ns() {
  return fake_now_ns;
}

struct Pipe {
  Pipe() { REQUIRE(pipe2(ends, O_CLOEXEC) == 0); }
  ~Pipe() {
    close(ends[0]);
    close_write();
  }
  void close_write() {
    if (ends[1] >= 0) close(ends[1]);
    ends[1] = -1;
  }
  std::string read_all() {
    close_write();
    std::string out;
    char buffer[4096];
    for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0;) {
      out.append(buffer, static_cast<size_t>(n));
    }
    return out;
  }
  int ends[2];
};

TEST_CASE("civil time: known days, and there and back again") {
  const CivilTime time = to_civil(1553933595);
  EXPECT_EQ(time.year, 2019);
  EXPECT_EQ(int{time.month}, 3);
  EXPECT_EQ(int{time.day}, 30);
  EXPECT_EQ(int{time.hour}, 8);
  EXPECT_EQ(int{time.minute}, 13);
  EXPECT_EQ(int{time.second}, 15);
  EXPECT_EQ(int{time.weekday}, 6);  // a Saturday
  EXPECT_EQ(date_time_text(time), "2019-03-30T08:13:15");
  for (int64_t second = -5'000'000'000; second < 5'000'000'000; second += 86400 * 7 + 3661) {
    REQUIRE(from_civil(to_civil(second)) == second);
    tm expected{};
    const time_t moment = second;
    REQUIRE(gmtime_r(&moment, &expected) != nullptr);
    const CivilTime got = to_civil(second);
    REQUIRE(got.year == expected.tm_year + 1900);
    REQUIRE(int{got.month} == expected.tm_mon + 1);
    REQUIRE(int{got.day} == expected.tm_mday);
    REQUIRE(int{got.weekday} == expected.tm_wday);
  }
  char out[24];
  EXPECT_EQ(std::string(out, put_decimal(out, 7, 3)), "007");
  EXPECT_EQ(std::string(out, put_decimal(out, 0, 0)), "0");
  EXPECT_EQ(std::string(out, put_decimal(out, UINT64_MAX, 2)), "18446744073709551615");
}

TEST_CASE("log lines have fabio's form, and control characters cannot forge one") {
  Pipe pipe;
  {
    fake_now_ns = int64_t{1553933595} * 1'000'000'000;
    Log log(pipe.ends[1], {.level = LogLevel::kDebug, .utc = true}, fake_wall_ns);
    log.info("listening on {}", ":9999");
    log.trace("not shown");
    fake_now_ns += 1'000'000'000;
    log.warn("bad\n2019/03/30 08:13:15 [INFO] forged\x1b[0m");
    log.write(LogLevel::kError, "x");
    log.set_level(LogLevel::kTrace);
    log.trace("abc {}", 1);
    log.write(LogLevel::kInfo, std::string(Log::kMessageBytes + 1, 'a'));
  }
  EXPECT_EQ(pipe.read_all(),
            "2019/03/30 08:13:15 [INFO] listening on :9999\n"
            "2019/03/30 08:13:16 [WARN] bad\\x0a2019/03/30 08:13:15 [INFO] forged\\x1b[0m\n"
            "2019/03/30 08:13:16 [ERROR] x\n"
            "2019/03/30 08:13:16 [TRACE] abc 1\n"
            "2019/03/30 08:13:16 [INFO] " +
                std::string(Log::kMessageBytes, 'a') + "...\n");
}

TEST_CASE("a monitor sees levels below the log's own, until it leaves") {
  Pipe pipe;
  std::vector<std::string> seen;
  {
    fake_now_ns = 0;
    Log log(pipe.ends[1], {.utc = true}, fake_wall_ns);
    EXPECT(!log.enabled(LogLevel::kDebug));
    const uint64_t id = log.subscribe(
        LogLevel::kDebug, [&seen](LogLevel, std::string_view line) { seen.emplace_back(line); });
    EXPECT(log.enabled(LogLevel::kDebug));
    log.debug("one");
    log.info("two");
    log.unsubscribe(id);
    EXPECT(!log.enabled(LogLevel::kDebug));
    log.info("three");
  }
  EXPECT_EQ(seen, std::vector<std::string>{"1970/01/01 00:00:00 [DEBUG] one",
                                           "1970/01/01 00:00:00 [INFO] two"});
  EXPECT_EQ(pipe.read_all(), "1970/01/01 00:00:00 [INFO] two\n1970/01/01 00:00:00 [INFO] three\n");
}

TEST_CASE("lines from many threads come out whole and in each thread's order") {
  Pipe pipe;
  std::string text;
  std::thread reader([&pipe, &text] {
    char buffer[4096];
    for (ssize_t n; (n = read(pipe.ends[0], buffer, sizeof buffer)) > 0;) {
      text.append(buffer, static_cast<size_t>(n));
    }
  });
  constexpr int kThreads = 4;
  constexpr int kLines = 500;
  {
    Log log(pipe.ends[1], {.utc = true});
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&log, t] {
        for (int i = 0; i < kLines; ++i) log.info("thread {} line {}", t, i);
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(log.dropped_lines(), 0u);
  }
  pipe.close_write();
  reader.join();
  int next[kThreads] = {};
  size_t lines = 0;
  for (size_t at = 0; at < text.size(); ++lines) {
    const size_t end = text.find('\n', at);
    REQUIRE(end != std::string::npos);
    int thread = 0;
    int line = 0;
    REQUIRE(sscanf(text.c_str() + at, "%*s %*s [INFO] thread %d line %d", &thread, &line) == 2);
    REQUIRE(line == next[thread]++);
    at = end + 1;
  }
  EXPECT_EQ(lines, size_t{kThreads} * kLines);
}

TEST_CASE("a reader that stands still costs lines, counted, and cannot keep us from ending") {
  Pipe pipe;
  uint64_t dropped = 0;
  uint64_t refused = 0;
  constexpr uint64_t kLines = 1000;
  {
    LineWriter writer(pipe.ends[1], {.queued_bytes = 64 * 1024, .close_ms = 50});
    const std::string line = std::string(1023, 'x') + "\n";
    for (uint64_t i = 0; i < kLines; ++i) refused += writer.write(line) ? 0 : 1;
    EXPECT(refused > 0);
    dropped = writer.dropped_lines();
    EXPECT_EQ(dropped, refused);
  }
  const std::string written = pipe.read_all();
  EXPECT(written.size() <= 2 * 64 * 1024 + 128 * 1024);
}

}  // namespace
}  // namespace sluice
