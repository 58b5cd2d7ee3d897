// Channel: a watched socket with what is known of its readiness. The epoll set is edge-triggered,
// so what an event said stays true until a call finds otherwise.
//
// Owner: a connection. Thread: the reactor's.
#pragma once

#include "core/reactor.h"
#include "core/socket.h"

namespace sluice {

class Channel {
 public:
  Channel() = default;
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  /// False if the system refuses to watch it; the socket is closed then.
  bool open(Reactor& reactor, Socket socket, EventHandler& handler) {
    socket_ = std::move(socket);
    slot_ = reactor.watch(socket_, handler);
    if (slot_ == Reactor::Slot::kNone) socket_.close();
    return socket_.open();
  }
  /// Takes over the other's socket and what is known of it.
  void take(Reactor& reactor, Channel& from, EventHandler& handler) {
    socket_ = std::move(from.socket_);
    slot_ = from.slot_;
    readable_ = from.readable_;
    writable_ = from.writable_;
    closed_ = from.closed_;
    from.slot_ = Reactor::Slot::kNone;
    reactor.rewatch(slot_, handler);
  }
  bool is_open() const { return socket_.open(); }
  void close(Reactor& reactor) {
    if (!socket_.open()) return;
    reactor.unwatch(slot_);
    slot_ = Reactor::Slot::kNone;
    socket_.close();
  }
  void reset(Reactor& reactor) {
    if (!socket_.open()) return;
    reactor.unwatch(slot_);
    slot_ = Reactor::Slot::kNone;
    socket_.reset();
  }

  void note(EventHandler::Ready ready) {
    readable_ |= ready.readable;
    writable_ |= ready.writable;
    closed_ |= ready.closed;
  }
  bool readable() const { return readable_; }
  bool writable() const { return writable_; }
  /// The peer ended its direction, perhaps with bytes in front of the end that were not read yet.
  bool closed() const { return closed_; }
  void assume_ready() { readable_ = writable_ = true; }

  IoResult read(char* into, size_t size) {
    const IoResult got = socket_.read(into, size);
    // A read that does not fill the room has emptied the socket; only an end may wait behind it,
    // and an end comes with an event of its own.
    if (got.state == IoState::kBlocked ||
        (got.state == IoState::kOk && got.bytes < size && !closed_)) {
      readable_ = false;
    }
    return got;
  }
  IoResult write(const char* bytes, size_t size) {
    const IoResult put = socket_.write(bytes, size);
    if (put.state == IoState::kBlocked || (put.state == IoState::kOk && put.bytes < size))
      writable_ = false;
    return put;
  }
  IoResult write(const iovec* parts, int count, size_t size) {
    const IoResult put = socket_.write(parts, count);
    if (put.state == IoState::kBlocked || (put.state == IoState::kOk && put.bytes < size))
      writable_ = false;
    return put;
  }

  Socket& socket() { return socket_; }
  Reactor::Slot slot() const { return slot_; }
  void set_unreadable() { readable_ = false; }
  void set_unwritable() { writable_ = false; }

 private:
  Socket socket_;
  Reactor::Slot slot_ = Reactor::Slot::kNone;
  bool readable_ = false;
  bool writable_ = false;
  bool closed_ = false;
};

}  // namespace sluice
