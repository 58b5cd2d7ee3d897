#include "core/reactor.h"

#include <sys/epoll.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>

#include "core/check.h"

namespace sluice {

namespace {

constexpr uint32_t kMaxEvents = 1024;
constexpr uint32_t kMaxResumesARound = 64;  // before new events are looked at
constexpr int64_t kAcceptPauseMs = 100;     // after EMFILE and its like

template <class Handle>
void close_handle(Handle* handle) {
  uv_close(reinterpret_cast<uv_handle_t*>(handle),
           [](uv_handle_t* closed) { delete reinterpret_cast<Handle*>(closed); });
}

}  // namespace

int64_t steady_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

struct Reactor::Handles {
  uv_loop_t loop;
  uv_poll_t* poll = nullptr;   // of the epoll set
  uv_timer_t* tick = nullptr;  // of the timer wheel
  uv_idle_t* idle = nullptr;   // active while something is to be resumed: libuv does not block then
  bool idle_active = false;
  bool stopping = false;
};

struct Reactor::Listener {
  Socket socket;
  Accepted accepted;
  Reactor* reactor = nullptr;
  uv_poll_t* poll = nullptr;
  uv_timer_t* pause = nullptr;
};

Reactor::Reactor(const Limits& limits)
    : limits_(limits), handles_(std::make_unique<Handles>()), buffers_(limits.buffers) {
  CHECK(limits_.events_a_turn <= kMaxEvents);
  Handles& h = *handles_;
  CHECK(uv_loop_init(&h.loop) == 0);
  inbox_ = std::make_unique<Inbox>(&h.loop);
  epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
  CHECK(epoll_fd_ >= 0);
  h.poll = new uv_poll_t;
  CHECK(uv_poll_init(&h.loop, h.poll, epoll_fd_) == 0);
  h.poll->data = this;
  uv_poll_start(h.poll, UV_READABLE,
                [](uv_poll_t* poll, int, int) { static_cast<Reactor*>(poll->data)->on_epoll(); });
  h.tick = new uv_timer_t;
  uv_timer_init(&h.loop, h.tick);
  h.tick->data = this;
  const auto on_tick = [](uv_timer_t* timer) {
    auto* reactor = static_cast<Reactor*>(timer->data);
    reactor->now_ms_ = static_cast<int64_t>(uv_now(&reactor->handles_->loop));
    reactor->timers_.advance(reactor->now_ms_);
  };
  uv_timer_start(h.tick, on_tick, TimerWheel::kTickMs, TimerWheel::kTickMs);
  h.idle = new uv_idle_t;
  uv_idle_init(&h.loop, h.idle);
  now_ms_ = static_cast<int64_t>(uv_now(&h.loop));
  timers_.advance(now_ms_);
}

Reactor::~Reactor() {
  close_all();
  while (uv_run(&handles_->loop, UV_RUN_DEFAULT) != 0) {
  }
  while (Reapable* item = reaped_.pop_front()) item->destroy();
  CHECK(uv_loop_close(&handles_->loop) == 0);
  ::close(epoll_fd_);
}

void Reactor::run() {
  uv_update_time(&handles_->loop);
  now_ms_ = static_cast<int64_t>(uv_now(&handles_->loop));
  while (!handles_->stopping) {
    uv_run(&handles_->loop, UV_RUN_ONCE);
    end_turn();
  }
  inbox_->close();
}

void Reactor::stop() {
  post([this] { handles_->stopping = true; });
}

void Reactor::close_all() {
  Handles& h = *handles_;
  for (uint32_t i = 0; i < listeners_.size(); ++i) close_listener(static_cast<ListenerId>(i));
  inbox_->close();
  if (h.poll == nullptr) return;
  close_handle(h.poll);
  close_handle(h.tick);
  close_handle(h.idle);
  h.poll = nullptr;
}

Reactor::Slot Reactor::watch(const Socket& socket, EventHandler& handler) {
  uint32_t index = free_slot_;
  if (index == UINT32_MAX) {
    index = static_cast<uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    free_slot_ = slots_[index].next_free;
  }
  SlotEntry& entry = slots_[index];
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.u64 = uint64_t{entry.generation} << 32 | index;
  if (epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, socket.fd(), &event) != 0) {
    entry.next_free = free_slot_;
    free_slot_ = index;
    return Slot::kNone;
  }
  entry.handler = &handler;
  entry.fd = socket.fd();
  return static_cast<Slot>(index);
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

uint32_t Reactor::poll_once() {
  std::array<epoll_event, kMaxEvents> events;
  const int n = epoll_wait(epoll_fd_, events.data(), static_cast<int>(limits_.events_a_turn), 0);
  for (int i = 0; i < n; ++i) {
    const epoll_event& event = events[static_cast<size_t>(i)];
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
  return n < 0 ? 0 : static_cast<uint32_t>(n);
}

void Reactor::on_epoll() {
  now_ms_ = static_cast<int64_t>(uv_now(&handles_->loop));
  for (uint32_t i = 0; i < limits_.polls_a_turn; ++i) {
    const uint32_t n = poll_once();
    end_turn();
    // A full batch says that more waits; a short one, that libuv may have its turn.
    if (n < limits_.events_a_turn) break;
  }
}

void Reactor::end_turn() {
  ++turns_;
  Handles& h = *handles_;
  for (uint32_t i = 0; i < kMaxResumesARound; ++i) {
    Resumable* item = resumables_.pop_front();
    if (item == nullptr) break;
    item->on_resume();
  }
  while (Reapable* item = reaped_.pop_front()) item->destroy();
  const bool more = !resumables_.empty();
  if (more && !h.idle_active) {
    uv_idle_start(h.idle, [](uv_idle_t*) {});
  } else if (!more && h.idle_active) {
    uv_idle_stop(h.idle);
  }
  h.idle_active = more;
}

Reactor::ListenerId Reactor::add_listener(Socket socket, Accepted accepted) {
  auto listener = std::make_unique<Listener>();
  listener->socket = std::move(socket);
  listener->accepted = std::move(accepted);
  listener->reactor = this;
  auto poll = std::make_unique<uv_poll_t>();
  if (uv_poll_init(&handles_->loop, poll.get(), listener->socket.fd()) != 0)
    return ListenerId::kNone;
  listener->poll = poll.release();
  listener->poll->data = listener.get();
  listener->pause = new uv_timer_t;
  uv_timer_init(&handles_->loop, listener->pause);
  listener->pause->data = listener.get();
  const auto on_connection = [](uv_poll_t* handle, int, int) {
    auto* self = static_cast<Listener*>(handle->data);
    self->reactor->accept_some(*self);
  };
  uv_poll_start(listener->poll, UV_READABLE, on_connection);
  const auto closed = std::find_if(listeners_.begin(), listeners_.end(),
                                   [](const auto& each) { return each->poll == nullptr; });
  const auto index = static_cast<size_t>(closed - listeners_.begin());
  if (closed == listeners_.end()) {
    listeners_.push_back(std::move(listener));
  } else {
    *closed = std::move(listener);
  }
  return static_cast<ListenerId>(index);
}

void Reactor::accept_some(Listener& listener) {
  now_ms_ = static_cast<int64_t>(uv_now(&handles_->loop));
  for (uint32_t i = 0; i < limits_.accepts_a_turn; ++i) {
    Socket socket;
    SocketAddress peer;
    int error = 0;
    const IoState state = accept_from(listener.socket, socket, peer, error);
    if (state == IoState::kBlocked) return;
    if (state != IoState::kOk) {
      // EMFILE, ENFILE, ENOMEM: the queue keeps the connections until descriptors are free again.
      uv_poll_stop(listener.poll);
      const auto go_on = [](uv_timer_t* timer) {
        auto* self = static_cast<Listener*>(timer->data);
        uv_poll_start(self->poll, UV_READABLE, [](uv_poll_t* handle, int, int) {
          auto* again = static_cast<Listener*>(handle->data);
          again->reactor->accept_some(*again);
        });
      };
      uv_timer_start(listener.pause, go_on, kAcceptPauseMs, 0);
      return;
    }
    listener.accepted(std::move(socket), peer);
    if (listener.poll == nullptr) return;
  }
}

void Reactor::drain_listener(ListenerId id) {
  Listener& listener = *listeners_[static_cast<uint32_t>(id)];
  Socket socket;
  SocketAddress peer;
  int error = 0;
  while (listener.poll != nullptr &&
         accept_from(listener.socket, socket, peer, error) == IoState::kOk) {
    listener.accepted(std::move(socket), peer);
  }
  close_listener(id);
}

void Reactor::close_listener(ListenerId id) {
  Listener& listener = *listeners_[static_cast<uint32_t>(id)];
  if (listener.poll == nullptr) return;
  close_handle(listener.poll);
  close_handle(listener.pause);
  listener.poll = nullptr;
  listener.pause = nullptr;
  listener.socket.close();
}

}  // namespace sluice
