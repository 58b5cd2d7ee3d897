// TimerWheel: the time limits of a reactor's connections, coarse (kTickMs) and cheap. Moving a
// deadline later, which is what every request does, only stores a number; the wheel looks again
// when it comes by.
//
// Owner: the reactor. Thread: the reactor's. A Timer that is destroyed while armed aborts.
#pragma once

#include <array>
#include <cstdint>

#include "core/intrusive_list.h"

namespace sluice {

class Timer {
 public:
  bool armed() const { return deadline_ms_ != 0; }
  int64_t deadline_ms() const { return deadline_ms_; }

 protected:
  ~Timer() = default;
  /// In a turn of the reactor, after the deadline; the timer is not armed then.
  virtual void on_timer() = 0;

 private:
  friend class TimerWheel;
  ListNode node_;
  int64_t deadline_ms_ = 0;  // 0: not armed
  int64_t look_ms_ = 0;      // when the wheel comes by, at or before the deadline
};

class TimerWheel {
 public:
  static constexpr int64_t kTickMs = 50;
  static constexpr int64_t kSlots = 512;

  /// Fires between deadline_ms and kTickMs later. Arming again replaces the deadline.
  void arm(Timer& timer, int64_t deadline_ms);
  /// Cheap: the node stays in the wheel, which drops it when it comes by.
  void disarm(Timer& timer) { timer.deadline_ms_ = 0; }
  /// Also leaves the wheel; before the timer is destroyed.
  void remove(Timer& timer) {
    timer.deadline_ms_ = 0;
    if (timer.node_.linked()) {
      timer.node_.unlink();
      --count_;
    }
  }
  /// Fires what is due. Called by the reactor at each tick.
  void advance(int64_t now_ms);
  /// Timers in the wheel, disarmed ones that it has not dropped yet included.
  uint32_t count() const { return count_; }

 private:
  using List = IntrusiveList<Timer, &Timer::node_>;
  void insert(Timer& timer, int64_t look_ms);

  int64_t tick_ = -1;  // the last tick that was advanced to; -1: none yet
  uint32_t count_ = 0;
  std::array<List, kSlots> slots_;
};

}  // namespace sluice
