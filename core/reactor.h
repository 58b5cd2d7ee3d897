// Reactor: one thread of the data plane: an epoll set of its own, with a libuv loop nested in it.
//
// The connections' sockets are in the epoll set, edge-triggered and registered once: whoever owns a
// socket keeps what it knows of its readiness, and backpressure is not reading. For writing they
// are watched from the first write on that was refused. So the steady path makes no epoll_ctl call.
// The reactor waits in that set, which also holds the listeners and libuv's own set: a turn is one
// epoll_wait, and libuv, which has the inbox and whatever else is not of the data path, runs only
// when there is something for it to do (the other way round each waking costs a second wait,
// docs/performance.md).
//
// Every event carries the generation of its slot, so that one for a descriptor that was closed in
// the same turn is ignored. Nothing is destroyed inside its own callback: reap() frees it at the
// end of the turn.
//
// Owner: whoever starts the thread. Thread: all calls but post() and stop() from the reactor's own.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/buffer.h"
#include "core/inbox.h"
#include "core/intrusive_list.h"
#include "core/result.h"
#include "core/socket.h"
#include "core/timer_wheel.h"

struct uv_loop_s;

namespace sluice {

/// Monotonic, now: for durations that a turn's time is too coarse for.
int64_t steady_ns();

/// Readiness of a socket in the epoll set.
class EventHandler {
 public:
  struct Ready {
    bool readable;  // bytes, an end or an error wait to be read
    bool writable;
    bool closed;  // the peer has ended its direction, or reset
    bool error;   // read until the error: an answer may still wait in front of it
  };
  virtual void on_ready(Ready ready) = 0;

 protected:
  ~EventHandler() = default;
};

/// Something to go on with before the reactor waits again: a connection that used up its share of a
/// turn.
class Resumable {
 public:
  virtual void on_resume() = 0;

 protected:
  ~Resumable() = default;

 private:
  friend class Reactor;
  ListNode node_;
};

/// Freed at the end of the turn.
class Reapable {
 public:
  virtual void destroy() = 0;

 protected:
  ~Reapable() = default;

 private:
  friend class Reactor;
  ListNode node_;
};

class Reactor {
 public:
  struct Limits {
    uint32_t events_a_turn = 512;
    uint32_t accepts_a_turn = 4;
    BufferPool::Limits buffers;
  };
  /// One watched socket. kNone is no slot.
  enum class Slot : uint32_t { kNone = UINT32_MAX };

  using Accepted = std::move_only_function<void(Socket, const SocketAddress& peer)>;

  Reactor() : Reactor(Limits()) {}
  explicit Reactor(const Limits& limits);
  ~Reactor();

  /// Runs until stop(); then every listener is closed and the inbox too.
  void run();
  /// Any thread.
  void stop();
  /// Any thread; false once the reactor has ended.
  bool post(Inbox::Message message) { return inbox_->post(std::move(message)); }

  /// kReads is for a connected socket: a write is tried first, and refused() asks for the event
  /// that says when to try again. Otherwise each socket would wake the reactor once to say that
  /// nothing was written to it yet, and again whenever bytes came that were read meanwhile.
  enum class Interest : uint8_t { kReads, kReadsAndWrites };
  /// The socket stays its owner's. kNone if the system refuses.
  Slot watch(const Socket& socket, EventHandler& handler, Interest interest);
  /// A write was refused: from now on the handler hears of writability too.
  void refused(Slot slot);
  /// Before the socket is closed. Its events of this turn are dropped.
  void unwatch(Slot slot);
  /// Another handler for the same socket: a tunnel takes over from an exchange.
  void rewatch(Slot slot, EventHandler& handler);

  /// Tells the socket's handler that it may read on, as an event would. Not from within its calls.
  void wake(Slot slot);

  /// Calls `accepted` for each connection. Pauses for a while when descriptors run out. kNone on
  /// failure.
  enum class ListenerId : uint32_t { kNone = UINT32_MAX };
  ListenerId add_listener(Socket socket, Accepted accepted);
  void close_listener(ListenerId id);
  /// Closes it once all connections that wait on it are accepted: closing resets those.
  void drain_listener(ListenerId id);

  void resume_later(Resumable& item) {
    if (!item.node_.linked()) resumables_.push_back(item);
  }
  void cancel_resume(Resumable& item) { item.node_.unlink(); }
  void reap(Reapable& item) {
    if (!item.node_.linked()) reaped_.push_back(item);
  }

  /// Monotonic, of this turn.
  int64_t now_ms() const { return now_ms_; }
  TimerWheel& timers() { return timers_; }
  BufferPool& buffers() { return buffers_; }
  uint64_t turns() const { return turns_; }

 private:
  struct Loop;
  struct Listener;
  struct SlotEntry {
    EventHandler* handler = nullptr;
    uint32_t generation = 0;
    uint32_t next_free = UINT32_MAX;
    int fd = -1;
  };

  uint32_t take_slot(EventHandler& handler, int fd);
  bool set_events(int operation, uint32_t index, uint32_t events);
  void fetch_ahead(uint32_t next, uint32_t after) const;
  void turn();
  int wait_ms() const;
  void look_at_clock();
  void run_loop();
  void end_turn();

  const Limits limits_;
  std::unique_ptr<Loop> loop_;
  std::unique_ptr<Inbox> inbox_;
  int epoll_fd_ = -1;
  int64_t now_ms_ = 0;
  int64_t next_tick_ms_ = 0;
  uint64_t turns_ = 0;
  bool stopping_ = false;
  std::vector<SlotEntry> slots_;
  uint32_t free_slot_ = UINT32_MAX;
  std::vector<std::unique_ptr<Listener>> listeners_;
  TimerWheel timers_;
  BufferPool buffers_;
  IntrusiveList<Resumable, &Resumable::node_> resumables_;
  IntrusiveList<Reapable, &Reapable::node_> reaped_;
};

}  // namespace sluice
