// UvLoop: the Executor over libuv; the control loop is one, and each thread that needs timers or
// files' readiness has its own.
//
// Owner: the thread that runs it; made and destroyed there. Only post_from_any_thread may be called
// from another thread. The pool is libuv's (UV_THREADPOOL_SIZE threads, 4 by default).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "core/executor.h"

struct uv_loop_s;

namespace sluice {

class UvLoop final : public Executor {
 public:
  UvLoop();
  /// Every Stream, Listener, signal and timer on the loop must be gone or closing; closings are
  /// finished.
  ~UvLoop() override;

  /// Runs until stop().
  void run();
  /// Makes run() return at the end of this turn.
  void stop();

  Ticket post(Closure closure) override;
  Ticket post_after(int64_t delay_ms, Closure closure) override;
  Ticket post_to_pool(Closure work, Closure done) override;
  void cancel(Ticket ticket) override;
  int64_t now_ms() const override;
  int64_t wall_ns() const override;

  /// From any thread, until the loop is destroyed (the caller sees to that).
  void post_from_any_thread(Closure closure);
  /// Calls `on_signal` in a turn at each arrival, until the loop ends. One handler a signal.
  void watch_signal(int signal_number, Closure on_signal);

  /// Calls `idle` in a turn, once no work is on the pool: of cancelled tasks neither. For who hands
  /// files over that such work may still touch.
  void when_pool_idle(Closure idle);

  /// For the parts of core that are built on libuv.
  uv_loop_s* raw();

 private:
  struct Handles;
  struct PoolWork;

  void run_posted();
  void run_timers();
  void arm_timer();
  void drain_inbox();
  Ticket next_ticket() { return static_cast<Ticket>(++last_ticket_); }

  std::unique_ptr<Handles> handles_;
  uint64_t last_ticket_ = 0;
  std::map<Ticket, Closure> posted_;                      // in order of posting
  std::map<std::pair<int64_t, Ticket>, Closure> timers_;  // by due time, then order
  std::map<Ticket, int64_t> timer_due_;
  std::map<Ticket, Closure> pool_done_;
  size_t pool_work_ = 0;  // on the pool, what was cancelled among it
  std::vector<Closure> pool_idle_;
  std::mutex inbox_mutex_;
  std::vector<Closure> inbox_;
};

}  // namespace sluice
