#include "core/timer_wheel.h"

namespace sluice {

void TimerWheel::insert(Timer& timer, int64_t deadline_ms) {
  // A tick is served once its end has passed, so that nothing fires early.
  int64_t tick = deadline_ms / kTickMs + 1;
  if (tick <= tick_) tick = tick_ + 1;
  if (tick_ >= 0 && tick - tick_ >= kSlots) tick = tick_ + kSlots - 1;
  timer.look_ms_ = tick * kTickMs;
  slots_[static_cast<size_t>(tick % kSlots)].push_back(timer);
  ++count_;
}

void TimerWheel::arm(Timer& timer, int64_t deadline_ms) {
  timer.deadline_ms_ = deadline_ms;
  if (timer.node_.linked()) {
    if (timer.look_ms_ <= deadline_ms + kTickMs) return;
    timer.node_.unlink();
    --count_;
  }
  insert(timer, deadline_ms);
}

void TimerWheel::advance(int64_t now_ms) {
  const int64_t now_tick = now_ms / kTickMs;
  if (tick_ < 0 || now_tick - tick_ > kSlots) tick_ = now_tick > kSlots ? now_tick - kSlots : 0;
  while (tick_ < now_tick) {
    ++tick_;
    List due;
    due.splice(slots_[static_cast<size_t>(tick_ % kSlots)]);
    while (Timer* timer = due.pop_front()) {
      --count_;
      if (timer->deadline_ms_ == 0) continue;
      if (timer->deadline_ms_ > now_ms) {
        insert(*timer, timer->deadline_ms_);
        continue;
      }
      timer->deadline_ms_ = 0;
      timer->on_timer();
    }
  }
}

}  // namespace sluice
