// Log: what the program tells its operator, one line a message, on standard error:
//
//   2019/03/30 08:13:15 [INFO] message
//
// Owner: main, which hands a reference to whoever logs (there is no global). Threads: all functions
// from any thread; a writer thread does the writing (core/line_writer.h), so a call costs a format
// and a lock. The steady forwarding path does not log; a traced request does.
//
// Limits: a message is cut at kMessageBytes; at most LineWriterOptions::queued_bytes wait, and what
// does not fit is dropped and counted. Control characters come out as \xNN, so that what a client
// sends can neither end a line nor drive the terminal.
#pragma once

#include <fmt/format.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/line_writer.h"

namespace sluice {

enum class LogLevel : uint8_t { kTrace, kDebug, kInfo, kWarn, kError };

/// "TRACE", "DEBUG", "INFO", "WARN", "ERROR".
std::string_view to_string(LogLevel level);
/// Any case; also "warning" and "err".
std::optional<LogLevel> parse_log_level(std::string_view text);

/// Nanoseconds since the Unix epoch.
int64_t system_wall_ns();

class Log {
 public:
  static constexpr size_t kMessageBytes = 16 * 1024;

  struct Options {
    LogLevel level = LogLevel::kInfo;
    bool utc = false;  // the local time zone otherwise
    LineWriterOptions writer;
  };

  /// A finished line, without its newline. Called on the thread that logs, under the log's lock:
  /// post it somewhere and return; never log from here.
  using Subscriber = std::move_only_function<void(LogLevel, std::string_view line)>;

  explicit Log(int fd) : Log(fd, Options{}) {}
  Log(int fd, Options options, int64_t (*wall_ns)() = system_wall_ns);

  [[nodiscard]] bool enabled(LogLevel level) const {
    return level >= threshold_.load(std::memory_order_relaxed);
  }
  void set_level(LogLevel level);
  [[nodiscard]] LogLevel level() const { return level_.load(std::memory_order_relaxed); }

  void write(LogLevel level, std::string_view message);

  template <class... Args>
  void trace(fmt::format_string<Args...> format, Args&&... args) {
    print(LogLevel::kTrace, format, std::forward<Args>(args)...);
  }
  template <class... Args>
  void debug(fmt::format_string<Args...> format, Args&&... args) {
    print(LogLevel::kDebug, format, std::forward<Args>(args)...);
  }
  template <class... Args>
  void info(fmt::format_string<Args...> format, Args&&... args) {
    print(LogLevel::kInfo, format, std::forward<Args>(args)...);
  }
  template <class... Args>
  void warn(fmt::format_string<Args...> format, Args&&... args) {
    print(LogLevel::kWarn, format, std::forward<Args>(args)...);
  }
  template <class... Args>
  void error(fmt::format_string<Args...> format, Args&&... args) {
    print(LogLevel::kError, format, std::forward<Args>(args)...);
  }

  /// Sees every line of `level` and above from now on, also those below the log's own level
  /// (`monitor -log-level=trace` asks for more than standard error shows). Returns what unsubscribe
  /// takes.
  uint64_t subscribe(LogLevel level, Subscriber subscriber);
  /// After it returns, the subscriber is not running and will not run.
  void unsubscribe(uint64_t id);

  void flush() { writer_.flush(); }
  [[nodiscard]] uint64_t dropped_lines() const { return writer_.dropped_lines(); }

 private:
  struct Subscription {
    uint64_t id;
    LogLevel level;
    Subscriber call;
  };

  template <class... Args>
  void print(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
    if (!enabled(level)) return;
    fmt::memory_buffer message;
    fmt::format_to(std::back_inserter(message), format, std::forward<Args>(args)...);
    write(level, {message.data(), message.size()});
  }
  void put_time(int64_t unix_seconds);
  void update_threshold();

  int64_t (*const wall_ns_)();
  const bool utc_;
  std::atomic<LogLevel> level_;      // of standard error
  std::atomic<LogLevel> threshold_;  // the lowest that anyone wants
  std::mutex mutex_;                 // guards all below, and the order of lines
  int64_t time_second_ = INT64_MIN;
  char time_text_[20] = {};  // "2019/03/30 08:13:15 "
  std::string line_;
  uint64_t next_id_ = 1;
  std::vector<Subscription> subscriptions_;
  LineWriter writer_;
};

}  // namespace sluice
