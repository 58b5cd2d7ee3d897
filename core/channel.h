// Channel: a watched socket with what is known of its readiness, and the one place where a
// connection reads and writes. The epoll set is edge-triggered, so what an event said stays true
// until a call finds otherwise. A connected socket is watched for reading alone until a write is
// refused.
//
// With a TLS session the bytes go through it: readable() and writable() are then of the plaintext.
// The plain path pays one branch for it.
//
// Owner: a connection. Thread: the reactor's.
#pragma once

#include <memory>

#include "core/reactor.h"
#include "core/socket.h"
#include "core/tls/session.h"

namespace sluice {

class Channel {
 public:
  Channel() = default;
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  /// kConnecting: the outcome comes as an event that says writable.
  enum class Start : uint8_t { kConnected, kConnecting };
  /// False if the system refuses to watch it; the socket is closed then.
  bool open(Reactor& reactor, Socket socket, EventHandler& handler, Start start) {
    socket_ = std::move(socket);
    reactor_ = &reactor;
    hears_writes_ = start == Start::kConnecting;
    writable_ = !hears_writes_;
    slot_ = reactor.watch(
        socket_, handler,
        hears_writes_ ? Reactor::Interest::kReadsAndWrites : Reactor::Interest::kReads);
    if (slot_ == Reactor::Slot::kNone) socket_.close();
    return socket_.open();
  }
  /// From here on the bytes are TLS's, unless it is nullptr. Before the first read or write, but
  /// for bytes that the session was fed with.
  void start_tls(std::unique_ptr<tls::Session> session) {
    tls_ = std::move(session);
    if (!tls_) return;
    tls_->attach(slot_);
    readable_ |= tls_->readable();
  }
  /// nullptr: plain. What goes around read() and write(), as splice does, is for plain ones alone.
  tls::Session* tls() { return tls_.get(); }
  const tls::Session* tls() const { return tls_.get(); }
  /// A client's, before it writes; others may leave the handshake to read().
  tls::Session::Handshake handshake();

  /// Takes over the other's socket, its session and what is known of it.
  void take(Reactor& reactor, Channel& from, EventHandler& handler) {
    socket_ = std::move(from.socket_);
    tls_ = std::move(from.tls_);
    slot_ = from.slot_;
    reactor_ = &reactor;
    readable_ = from.readable_;
    writable_ = from.writable_;
    closed_ = from.closed_;
    hears_writes_ = from.hears_writes_;
    from.slot_ = Reactor::Slot::kNone;
    reactor.rewatch(slot_, handler);
  }
  bool is_open() const { return socket_.open(); }
  void close(Reactor& reactor) {
    if (!socket_.open()) return;
    if (tls_) tls_->end(socket_);
    reactor.unwatch(slot_);
    slot_ = Reactor::Slot::kNone;
    socket_.close();
    tls_.reset();
  }
  void reset(Reactor& reactor) {
    if (!socket_.open()) return;
    reactor.unwatch(slot_);
    slot_ = Reactor::Slot::kNone;
    socket_.reset();
    tls_.reset();
  }

  /// Returns what the event means for read() and write().
  EventHandler::Ready note(EventHandler::Ready ready) {
    if (tls_) ready = note_tls(ready);
    readable_ |= ready.readable;
    writable_ |= ready.writable;
    closed_ |= ready.closed;
    return ready;
  }
  bool readable() const { return readable_; }
  bool writable() const { return writable_; }
  /// The peer ended its direction, perhaps with bytes in front of the end that were not read yet.
  bool closed() const { return closed_; }
  void assume_ready() {
    readable_ = writable_ = true;
    if (tls_) note_tls({.readable = true, .writable = true, .closed = false, .error = false});
  }

  IoResult read(char* into, size_t size) {
    if (tls_) [[unlikely]]
      return read_tls(into, size);
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
    if (tls_) [[unlikely]] {
      const iovec part{const_cast<char*>(bytes), size};
      return write_tls(&part, 1, size);
    }
    return noted(socket_.write(bytes, size), size);
  }
  IoResult write(const iovec* parts, int count, size_t size) {
    if (tls_) [[unlikely]]
      return write_tls(parts, count, size);
    return noted(socket_.write(parts, count), size);
  }
  /// Sends our end; reading goes on.
  void shutdown_write() {
    if (!tls_) return socket_.shutdown_write();
    tls_->shutdown(socket_);
    hear_of_unsent();
  }
  /// All that was written, the end too, is with the system.
  bool drained() const { return !tls_ || tls_->drained(); }
  /// Of a connection that expects nothing: nothing has come but what TLS says to itself.
  bool quiet();

  Socket& socket() { return socket_; }
  Reactor::Slot slot() const { return slot_; }
  void set_unreadable() { readable_ = false; }
  void set_unwritable() {
    writable_ = false;
    hear_writes();
  }

 private:
  IoResult noted(IoResult put, size_t size) {
    if (put.state == IoState::kBlocked || (put.state == IoState::kOk && put.bytes < size))
      set_unwritable();
    return put;
  }
  void hear_writes() {
    if (hears_writes_) return;
    hears_writes_ = true;
    reactor_->refused(slot_);
  }
  /// What TLS sealed and the socket did not take goes out when it is writable.
  void hear_of_unsent() {
    if (!tls_->drained()) hear_writes();
  }
  EventHandler::Ready note_tls(EventHandler::Ready ready);
  IoResult read_tls(char* into, size_t size);
  IoResult write_tls(const iovec* parts, int count, size_t size);

  Socket socket_;
  std::unique_ptr<tls::Session> tls_;
  Reactor* reactor_ = nullptr;  // from open() on
  Reactor::Slot slot_ = Reactor::Slot::kNone;
  bool readable_ = false;
  bool writable_ = false;
  bool closed_ = false;
  bool hears_writes_ = false;
};

}  // namespace sluice
