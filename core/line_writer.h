// LineWriter: a thread that writes finished lines to a descriptor, so that nobody who logs waits
// for a slow terminal, pipe or disk.
//
// Owner: whoever owns the descriptor's use (the operator log, the access log). Threads: write() and
// the counters from any thread; construction and destruction from one.
//
// Limits: at most `queued_bytes` wait; what does not fit is dropped whole and counted, never
// written in part. The destructor writes what is queued, for at most `close_ms`: a reader that has
// stopped reading cannot keep the process from ending.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace sluice {

struct LineWriterOptions {
  size_t queued_bytes = size_t{4} << 20;
  int close_ms = 1000;
};

class LineWriter {
 public:
  /// The descriptor stays the caller's, open until this is destroyed.
  explicit LineWriter(int fd, LineWriterOptions options = {});
  ~LineWriter();
  LineWriter(const LineWriter&) = delete;
  LineWriter& operator=(const LineWriter&) = delete;

  /// Queues whole lines (each with its newline). False: dropped, and `count` added to
  /// dropped_lines().
  bool write(std::string_view lines, uint64_t count = 1);

  /// Waits until everything queued before this call has been written or given up.
  void flush();

  [[nodiscard]] uint64_t dropped_lines() const { return dropped_.load(std::memory_order_relaxed); }

 private:
  void run();
  void write_out(std::string_view bytes);

  const int fd_;
  const LineWriterOptions options_;
  std::mutex mutex_;
  std::condition_variable work_;
  std::condition_variable written_;
  std::string pending_;                  // guarded by mutex_
  bool busy_ = false;                    // guarded by mutex_: the thread is writing
  bool closing_ = false;                 // guarded by mutex_
  std::atomic<int64_t> deadline_ns_{0};  // 0: none; steady clock
  std::atomic<uint64_t> dropped_{0};
  std::thread thread_;
};

}  // namespace sluice
