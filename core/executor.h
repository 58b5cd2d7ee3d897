// Executor: where closures and coroutines of one thread run, and what that thread's time is.
//
// The control loop's code sees time, timers and the thread pool only through this interface, so
// that it runs the same over libuv (core/loop.h) and in the simulation (test/sim), where time is
// virtual.
//
// Thread: all calls from the executor's own thread. Closures run from the top of a turn, never
// inside the call that posted them; so at most one chain of coroutines is on the stack at a time.
#pragma once

#include <cstdint>
#include <functional>

namespace sluice {

using Closure = std::move_only_function<void()>;

class Executor {
 public:
  /// Names a posted closure until it has run. Cancelling one that has run or was cancelled does
  /// nothing.
  enum class Ticket : uint64_t { kNone = 0 };

  virtual ~Executor() = default;

  virtual Ticket post(Closure closure) = 0;
  virtual Ticket post_after(int64_t delay_ms, Closure closure) = 0;
  /// Runs `work` on a pool thread, then `done` here. After cancel, `done` does not run; `work` may,
  /// so it owns what it touches.
  virtual Ticket post_to_pool(Closure work, Closure done) = 0;
  virtual void cancel(Ticket ticket) = 0;

  /// Monotonic time, milliseconds; the time at which this turn began.
  virtual int64_t now_ms() const = 0;
  /// Wall clock, nanoseconds since the Unix epoch. For records and logs; never for intervals.
  virtual int64_t wall_ns() const = 0;
};

}  // namespace sluice
