#include "core/loop.h"

#include <uv.h>

#include <chrono>
#include <csignal>
#include <utility>

#include "core/check.h"

namespace sluice {

struct UvLoop::Handles {
  uv_loop_t loop;
  uv_timer_t timer;
  uv_idle_t idle;   // active while closures are posted, so that poll does not wait
  uv_async_t wake;  // for the inbox
  struct Signal {
    uv_signal_t handle;
    Closure on_signal;
  };
  std::vector<std::unique_ptr<Signal>> signals;
};

struct UvLoop::PoolWork {
  uv_work_t request;
  UvLoop* loop;
  Ticket ticket;
  Closure work;
};

UvLoop::UvLoop() : handles_(std::make_unique<Handles>()) {
  // libuv writes without MSG_NOSIGNAL; a peer that went away must be an EPIPE, not the end of the
  // process.
  std::signal(SIGPIPE, SIG_IGN);
  CHECK(uv_loop_init(&handles_->loop) == 0);
  CHECK(uv_timer_init(&handles_->loop, &handles_->timer) == 0);
  CHECK(uv_idle_init(&handles_->loop, &handles_->idle) == 0);
  CHECK(uv_async_init(&handles_->loop, &handles_->wake, [](uv_async_t* wake) {
          static_cast<UvLoop*>(wake->data)->drain_inbox();
        }) == 0);
  handles_->timer.data = handles_->idle.data = handles_->wake.data = this;
}

UvLoop::~UvLoop() {
  posted_.clear();
  timers_.clear();
  for (auto* handle : {reinterpret_cast<uv_handle_t*>(&handles_->timer),
                       reinterpret_cast<uv_handle_t*>(&handles_->idle),
                       reinterpret_cast<uv_handle_t*>(&handles_->wake)}) {
    uv_close(handle, nullptr);
  }
  for (auto& signal : handles_->signals) {
    uv_close(reinterpret_cast<uv_handle_t*>(&signal->handle), nullptr);
  }
  // Finishes what is closing and the pool's work in flight; a handle that is still open is a bug.
  uv_run(&handles_->loop, UV_RUN_DEFAULT);
  CHECK(uv_loop_close(&handles_->loop) == 0);
}

void UvLoop::run() {
  uv_run(&handles_->loop, UV_RUN_DEFAULT);
}

void UvLoop::stop() {
  uv_stop(&handles_->loop);
}

uv_loop_s* UvLoop::raw() {
  return &handles_->loop;
}

Executor::Ticket UvLoop::post(Closure closure) {
  const Ticket ticket = next_ticket();
  posted_.emplace(ticket, std::move(closure));
  if (!uv_is_active(reinterpret_cast<uv_handle_t*>(&handles_->idle))) {
    uv_idle_start(&handles_->idle,
                  [](uv_idle_t* idle) { static_cast<UvLoop*>(idle->data)->run_posted(); });
  }
  return ticket;
}

void UvLoop::run_posted() {
  // Those posted meanwhile wait for the next turn, so that a loop of posts does not starve the
  // sockets.
  const auto last = static_cast<Ticket>(last_ticket_);
  while (!posted_.empty() && posted_.begin()->first <= last) {
    Closure closure = std::move(posted_.begin()->second);
    posted_.erase(posted_.begin());
    closure();
  }
  if (posted_.empty()) uv_idle_stop(&handles_->idle);
}

Executor::Ticket UvLoop::post_after(int64_t delay_ms, Closure closure) {
  const Ticket ticket = next_ticket();
  // uv_now is the start of the turn, in whole milliseconds: neither a long turn nor the part of a
  // millisecond that is gone already must make the timer early.
  uv_update_time(&handles_->loop);
  const int64_t due = now_ms() + (delay_ms > 0 ? delay_ms + 1 : 0);
  timers_.emplace(std::pair(due, ticket), std::move(closure));
  timer_due_.emplace(ticket, due);
  arm_timer();
  return ticket;
}

void UvLoop::arm_timer() {
  if (timers_.empty()) {
    uv_timer_stop(&handles_->timer);
    return;
  }
  const int64_t delay = timers_.begin()->first.first - now_ms();
  uv_timer_start(
      &handles_->timer, [](uv_timer_t* timer) { static_cast<UvLoop*>(timer->data)->run_timers(); },
      delay > 0 ? static_cast<uint64_t>(delay) : 0, 0);
}

void UvLoop::run_timers() {
  const int64_t now = now_ms();
  const auto last = static_cast<Ticket>(last_ticket_);
  while (!timers_.empty()) {
    const auto first = timers_.begin();
    if (first->first.first > now || first->first.second > last) break;
    Closure closure = std::move(first->second);
    timer_due_.erase(first->first.second);
    timers_.erase(first);
    closure();
  }
  arm_timer();
}

Executor::Ticket UvLoop::post_to_pool(Closure work, Closure done) {
  const Ticket ticket = next_ticket();
  pool_done_.emplace(ticket, std::move(done));
  auto* job = new PoolWork{{}, this, ticket, std::move(work)};
  job->request.data = job;
  const int queued = uv_queue_work(
      &handles_->loop, &job->request,
      [](uv_work_t* request) { static_cast<PoolWork*>(request->data)->work(); },
      [](uv_work_t* request, int) {
        std::unique_ptr<PoolWork> job(static_cast<PoolWork*>(request->data));
        UvLoop& loop = *job->loop;
        const auto found = loop.pool_done_.find(job->ticket);
        job.reset();  // and all that the work owned
        --loop.pool_work_;
        if (found != loop.pool_done_.end()) {  // else it was cancelled
          Closure done = std::move(found->second);
          loop.pool_done_.erase(found);
          done();
        }
        if (loop.pool_work_ > 0) return;
        for (Closure& idle : std::exchange(loop.pool_idle_, {})) loop.post(std::move(idle));
      });
  CHECK(queued == 0);
  ++pool_work_;
  return ticket;
}

void UvLoop::when_pool_idle(Closure idle) {
  if (pool_work_ == 0) {
    post(std::move(idle));
  } else {
    pool_idle_.push_back(std::move(idle));
  }
}

void UvLoop::cancel(Ticket ticket) {
  if (ticket == Ticket::kNone) return;
  if (posted_.erase(ticket) > 0 || pool_done_.erase(ticket) > 0) return;
  const auto due = timer_due_.find(ticket);
  if (due == timer_due_.end()) return;
  timers_.erase(std::pair(due->second, ticket));
  timer_due_.erase(due);
}

int64_t UvLoop::now_ms() const {
  return static_cast<int64_t>(uv_now(&handles_->loop));
}

int64_t UvLoop::wall_ns() const {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

void UvLoop::post_from_any_thread(Closure closure) {
  {
    const std::lock_guard lock(inbox_mutex_);
    inbox_.push_back(std::move(closure));
  }
  uv_async_send(&handles_->wake);
}

void UvLoop::drain_inbox() {
  std::vector<Closure> arrived;
  {
    const std::lock_guard lock(inbox_mutex_);
    arrived.swap(inbox_);
  }
  for (Closure& closure : arrived) closure();
}

void UvLoop::watch_signal(int signal_number, Closure on_signal) {
  auto signal = std::make_unique<Handles::Signal>();
  signal->on_signal = std::move(on_signal);
  CHECK(uv_signal_init(&handles_->loop, &signal->handle) == 0);
  signal->handle.data = signal.get();
  CHECK(uv_signal_start(
            &signal->handle,
            [](uv_signal_t* handle, int) {
              static_cast<Handles::Signal*>(handle->data)->on_signal();
            },
            signal_number) == 0);
  handles_->signals.push_back(std::move(signal));
}

}  // namespace sluice
