#include "core/reactor.h"

#include <sys/epoll.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <span>

#include "core/check.h"

namespace sluice {

namespace {

constexpr uint32_t kMaxEvents = 1024;
constexpr uint32_t kMaxResumesARound = 64;  // before new events are looked at
constexpr int64_t kAcceptPauseMs = 100;     // after EMFILE and its like
constexpr uint32_t kReads = EPOLLIN | EPOLLRDHUP | EPOLLET;
constexpr uint64_t kLoopEvent = UINT64_MAX;  // libuv's set, among the slots' events

}  // namespace

int64_t steady_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

struct Reactor::Loop {
  uv_loop_t uv;
};

/// In the epoll set like a connection, but level-triggered: what one turn leaves in its queue is
/// there in the next.
struct Reactor::Listener final : EventHandler, Timer {
  Listener(Reactor& of, Socket taken, Accepted then)
      : reactor(of), socket(std::move(taken)), accepted(std::move(then)) {}

  bool watch(uint32_t events) {
    return reactor.set_events(watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, index, events);
  }
  void on_ready(Ready ready) override;
  void on_timer() override { watch(EPOLLIN); }
  void close();

  Reactor& reactor;
  Socket socket;
  Accepted accepted;
  uint32_t index = UINT32_MAX;  // its slot
  // How many to accept in a turn: one, as most often only one waits and another call would find
  // none; in turns that follow each other twice as many each time.
  uint32_t share = 1;
  uint64_t last_turn = 0;
  bool watched = false;
};

Reactor::Reactor(const Limits& limits)
    : limits_(limits), loop_(std::make_unique<Loop>()), buffers_(limits.buffers) {
  CHECK(limits_.events_a_turn <= kMaxEvents);
  CHECK(uv_loop_init(&loop_->uv) == 0);
  inbox_ = std::make_unique<Inbox>(&loop_->uv);
  epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
  CHECK(epoll_fd_ >= 0);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kLoopEvent;
  CHECK(epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, uv_backend_fd(&loop_->uv), &event) == 0);
  look_at_clock();
}

Reactor::~Reactor() {
  for (uint32_t i = 0; i < listeners_.size(); ++i) close_listener(static_cast<ListenerId>(i));
  inbox_->close();
  while (uv_run(&loop_->uv, UV_RUN_DEFAULT) != 0) {
  }
  while (Reapable* item = reaped_.pop_front()) item->destroy();
  CHECK(uv_loop_close(&loop_->uv) == 0);
  ::close(epoll_fd_);
}

void Reactor::run() {
  look_at_clock();
  run_loop();
  while (!stopping_) turn();
  inbox_->close();
}

void Reactor::stop() {
  post([this] { stopping_ = true; });
}

void Reactor::look_at_clock() {
  now_ms_ = steady_ns() / 1'000'000;
  if (now_ms_ < next_tick_ms_) return;
  next_tick_ms_ = now_ms_ + TimerWheel::kTickMs;
  timers_.advance(now_ms_);
}

// libuv puts what its callbacks began to watch into its own set at the start of the next run, so
// that one follows before the reactor waits.
void Reactor::run_loop() {
  uv_run(&loop_->uv, UV_RUN_NOWAIT);
  if (!stopping_) uv_run(&loop_->uv, UV_RUN_NOWAIT);
}

uint32_t Reactor::take_slot(EventHandler& handler, int fd) {
  uint32_t index = free_slot_;
  if (index == UINT32_MAX) {
    index = static_cast<uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    free_slot_ = slots_[index].next_free;
  }
  slots_[index].handler = &handler;
  slots_[index].fd = fd;
  return index;
}

bool Reactor::set_events(int operation, uint32_t index, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = uint64_t{slots_[index].generation} << 32 | index;
  return epoll_ctl(epoll_fd_, operation, slots_[index].fd, &event) == 0;
}

Reactor::Slot Reactor::watch(const Socket& socket, EventHandler& handler, Interest interest) {
  const uint32_t index = take_slot(handler, socket.fd());
  const uint32_t events = interest == Interest::kReads ? kReads : kReads | EPOLLOUT;
  if (set_events(EPOLL_CTL_ADD, index, events)) return static_cast<Slot>(index);
  unwatch(static_cast<Slot>(index));
  return Slot::kNone;
}

void Reactor::refused(Slot slot) {
  // What is in the set stays in it: only an entry that is not there could be refused.
  CHECK(set_events(EPOLL_CTL_MOD, static_cast<uint32_t>(slot), kReads | EPOLLOUT));
}

void Reactor::unwatch(Slot slot) {
  const auto index = static_cast<uint32_t>(slot);
  if (slot == Slot::kNone) return;
  SlotEntry& entry = slots_[index];
  CHECK(entry.handler != nullptr);
  // No EPOLL_CTL_DEL: closing the descriptor, which follows, removes it, and the generation covers
  // until then.
  entry.handler = nullptr;
  entry.fd = -1;
  ++entry.generation;
  entry.next_free = free_slot_;
  free_slot_ = index;
}

void Reactor::rewatch(Slot slot, EventHandler& handler) {
  SlotEntry& entry = slots_[static_cast<uint32_t>(slot)];
  CHECK(entry.handler != nullptr);
  entry.handler = &handler;
}

void Reactor::wake(Slot slot) {
  EventHandler* handler = slots_[static_cast<uint32_t>(slot)].handler;
  CHECK(handler != nullptr);
  handler->on_ready({.readable = true, .writable = false, .closed = false, .error = false});
}

int Reactor::wait_ms() const {
  if (!resumables_.empty()) return 0;
  const int of_loop = uv_backend_timeout(&loop_->uv);
  if (timers_.count() == 0) return of_loop;  // an idle machine's cores sleep
  const int64_t until_tick = next_tick_ms_ - now_ms_;
  return of_loop >= 0 && of_loop < until_tick ? of_loop : static_cast<int>(until_tick);
}

/// Of many connections few are in the cache: the handler after this one is asked for while this one
/// works, and the slot after that.
void Reactor::fetch_ahead(uint32_t next, uint32_t after) const {
  if (after < slots_.size()) __builtin_prefetch(&slots_[after]);
  if (next >= slots_.size()) return;  // libuv's
  const char* handler = reinterpret_cast<const char*>(slots_[next].handler);
  if (handler == nullptr) return;  // closed in this turn
  __builtin_prefetch(handler);
  __builtin_prefetch(handler + 64);
}

void Reactor::turn() {
  const int wait = wait_ms();
  std::array<epoll_event, kMaxEvents> events;
  const int n = epoll_wait(epoll_fd_, events.data(), static_cast<int>(limits_.events_a_turn), wait);
  // Before the events: what they arm counts from here.
  look_at_clock();
  const std::span<const epoll_event> ready(events.data(), static_cast<size_t>(std::max(n, 0)));
  const auto of_loop = [](const epoll_event& event) { return event.data.u64 == kLoopEvent; };
  // Messages first: a client that came after a change was posted meets the change.
  if (uv_backend_timeout(&loop_->uv) == 0 || std::any_of(ready.begin(), ready.end(), of_loop)) {
    run_loop();
  }
  for (size_t i = 0; i < ready.size(); ++i) {
    const epoll_event& event = ready[i];
    if (i + 2 < ready.size()) {
      fetch_ahead(static_cast<uint32_t>(ready[i + 1].data.u64),
                  static_cast<uint32_t>(ready[i + 2].data.u64));
    }
    if (of_loop(event)) continue;
    const auto index = static_cast<uint32_t>(event.data.u64);
    const auto generation = static_cast<uint32_t>(event.data.u64 >> 32);
    const SlotEntry& entry = slots_[index];
    if (entry.generation != generation || entry.handler == nullptr) continue;
    const uint32_t e = event.events;
    const bool error = (e & (EPOLLERR | EPOLLHUP)) != 0;
    const bool closed = (e & EPOLLRDHUP) != 0 || error;
    entry.handler->on_ready({.readable = (e & EPOLLIN) != 0 || closed,
                             .writable = (e & EPOLLOUT) != 0 || error,
                             .closed = closed,
                             .error = error});
  }
  end_turn();
}

void Reactor::end_turn() {
  ++turns_;
  for (uint32_t i = 0; i < kMaxResumesARound; ++i) {
    Resumable* item = resumables_.pop_front();
    if (item == nullptr) break;
    item->on_resume();
  }
  while (Reapable* item = reaped_.pop_front()) item->destroy();
}

Reactor::ListenerId Reactor::add_listener(Socket socket, Accepted accepted) {
  auto listener = std::make_unique<Listener>(*this, std::move(socket), std::move(accepted));
  listener->index = take_slot(*listener, listener->socket.fd());
  listener->watched = listener->watch(EPOLLIN);
  if (!listener->watched) {
    unwatch(static_cast<Slot>(listener->index));
    return ListenerId::kNone;
  }
  const auto closed = std::find_if(listeners_.begin(), listeners_.end(),
                                   [](const auto& each) { return !each->watched; });
  const auto index = static_cast<size_t>(closed - listeners_.begin());
  if (closed == listeners_.end()) {
    listeners_.push_back(std::move(listener));
  } else {
    *closed = std::move(listener);
  }
  return static_cast<ListenerId>(index);
}

void Reactor::Listener::on_ready(Ready) {
  share = reactor.turns_ == last_turn + 1 ? std::min(share * 2, reactor.limits_.accepts_a_turn) : 1;
  last_turn = reactor.turns_;
  for (uint32_t i = 0; i < share; ++i) {
    Socket taken;
    SocketAddress peer;
    int error = 0;
    const IoState state = accept_from(socket, taken, peer, error);
    if (state == IoState::kBlocked) {
      share = std::max(i, 1U);
      return;
    }
    if (state != IoState::kOk) {
      // EMFILE, ENFILE, ENOMEM: the queue keeps the connections until descriptors are free again.
      watch(0);
      reactor.timers_.arm(*this, reactor.now_ms_ + kAcceptPauseMs);
      return;
    }
    accepted(std::move(taken), peer);
    if (!watched) return;
  }
}

void Reactor::drain_listener(ListenerId id) {
  Listener& listener = *listeners_[static_cast<uint32_t>(id)];
  Socket socket;
  SocketAddress peer;
  int error = 0;
  while (listener.watched && accept_from(listener.socket, socket, peer, error) == IoState::kOk) {
    listener.accepted(std::move(socket), peer);
  }
  close_listener(id);
}

void Reactor::Listener::close() {
  if (!watched) return;
  watched = false;
  reactor.timers_.remove(*this);
  // Closing does not take it out of the set where another process has the socket too
  // (core/handover.h): its events would go on waking this reactor.
  epoll_ctl(reactor.epoll_fd_, EPOLL_CTL_DEL, socket.fd(), nullptr);
  reactor.unwatch(static_cast<Slot>(index));
  socket.close();
}

void Reactor::close_listener(ListenerId id) {
  listeners_[static_cast<uint32_t>(id)]->close();
}

}  // namespace sluice
