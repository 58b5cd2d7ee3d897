// Session: TLS on one connection. Channel (core/channel.h) is the one that calls it.
//
// BoringSSL reads and writes memory: the socket is read once for a burst of records, into a block
// of the reactor's pool, and what is sealed in one call goes out in one send. A block is held only
// while bytes are in it.
//
// The handshake moves on inside read() and write(). What BoringSSL wants is kept here, so that an
// edge-triggered event wakes the right half: see note(). Of bytes that were sealed and that the
// socket did not take, one byte of the plaintext is not counted as taken until they are out: so a
// caller that retries, as one does with a socket, drives them, and never thinks that all is sent.
//
// Owner: Channel. Thread: the reactor's.
//
// Memory of an idle connection, measured on x86-64 after a handshake and some payload
// (test/core/tls/memory_test.cc): 2,680 to 2,775 bytes, of which 216 are this object, and the rest
// are BoringSSL's: its SSL and BIO, the keys of both directions, the session. No block is held;
// what only the handshake needs, the certificates among it, is gone. At most kIdleBytes, so that
// with what a plain connection may cost it stays below 4.5 KiB.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/buffer.h"
#include "core/reactor.h"
#include "core/socket.h"
#include "core/tls/context.h"

struct ssl_st;
struct ssl_session_st;

namespace sluice::tls {

/// What a client resumes a session with.
class Ticket {
 public:
  Ticket() = default;
  explicit Ticket(ssl_session_st* session) : session_(session) {}
  Ticket(Ticket&& other) noexcept : session_(std::exchange(other.session_, nullptr)) {}
  Ticket& operator=(Ticket&& other) noexcept {
    std::swap(session_, other.session_);
    return *this;
  }
  ~Ticket();
  explicit operator bool() const { return session_ != nullptr; }
  ssl_session_st* get() const { return session_; }

 private:
  ssl_session_st* session_ = nullptr;
};

class Signer;
struct SignJob;

/// Where a reactor's sessions have RSA signatures made; signer nullptr: in place.
struct SignPort {
  Reactor* reactor = nullptr;
  Signer* signer = nullptr;
};

struct ConnectOptions {
  std::string_view
      server_name;  // for SNI, unless it is an IP address, and the name that is checked
  bool skip_verify = false;
  const Ticket* ticket = nullptr;  // of an earlier connection with the same options
};

class Session {
 public:
  static constexpr size_t kIdleBytes = 3'072;

  /// nullptr: no memory.
  static std::unique_ptr<Session> accept(std::shared_ptr<const ServerContext> context,
                                         BufferPool& pool, const SignPort& port = {});
  static std::unique_ptr<Session> connect(std::shared_ptr<const ClientContext> context,
                                          BufferPool& pool, const ConnectOptions& options);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// Bytes that were read from the socket already, before the first read(). False: no room.
  bool feed(std::string_view bytes) {
    more_ = true;
    return in_.append(bytes);
  }
  /// Where to say that a signature is there.
  void attach(Reactor::Slot slot) { slot_ = slot; }
  /// On the session's reactor.
  static void on_signed(std::unique_ptr<SignJob> job);

  /// As Socket's, but that kEnd is the peer's close_notify; an end without one is kError: bytes may
  /// be missing.
  IoResult read(Socket& socket, char* into, size_t size);
  IoResult write(Socket& socket, const iovec* parts, int count);
  /// Whether another read may bring something without a new event.
  bool readable() const { return more_; }

  struct Readiness {
    bool readable;
    bool writable;
  };
  /// What the socket says of itself; returns what that means for read() and write(). Sends what
  /// waits.
  Readiness note(Socket& socket, bool readable, bool writable, bool closed);

  enum class Handshake : uint8_t { kDone, kWait, kFailed };
  Handshake handshake(Socket& socket);

  /// close_notify, and the socket's own end once that is out.
  void shutdown(Socket& socket);
  /// Nothing waits to be sent.
  bool drained() const { return out_.empty(); }
  /// close_notify as far as the socket takes it; the socket is closed next.
  void end(Socket& socket);

  /// For what is no socket: the calls take a closed one, bytes come by feed() and go by unsent().
  void detach() { raw_readable_ = raw_writable_ = false; }
  void feed_end() { raw_ended_ = true; }
  std::string_view unsent() const { return out_.view(); }
  void sent(size_t n) {
    out_.consume(n);
    out_.release_if_empty();
  }

  bool established() const { return established_; }
  bool resumed() const;
  uint16_t version() const;  // 0x0303, 0x0304; 0 before the handshake is done
  uint16_t cipher() const;   // its number in the registry
  /// Why the last call was kError or kFailed, for a log. Static text.
  const char* error() const { return error_ == nullptr ? "" : error_; }
  /// A client's: the newest ticket that has come, once.
  Ticket take_ticket() { return std::move(ticket_); }

 private:
  friend struct Callbacks;

  explicit Session(BufferPool& pool);
  bool open(ssl_st* ssl);
  enum class Want : uint8_t { kNone, kRead, kWrite, kSigned, kEnd, kFailed };
  Want want_of(int result);
  void finish_handshake();
  IoResult failed();
  size_t seal(Socket& socket, const char* bytes, size_t size);
  bool flush(Socket& socket);
  int take_from_socket(char* into, int size);
  int give_to_socket(const char* bytes, int size);

  ssl_st* ssl_ = nullptr;
  std::shared_ptr<const ServerContext> server_;
  std::shared_ptr<const ClientContext> client_;
  Buffer in_;                                 // sealed, received
  Buffer out_;                                // sealed, to be sent
  Socket* socket_ = nullptr;                  // within a call
  std::unique_ptr<std::string> server_name_;  // a client's, until the handshake is done
  const Certificate* certificate_ = nullptr;  // a server's, chosen; server_ keeps it
  SignPort port_;
  SignJob* signing_ = nullptr;       // with the signer
  std::unique_ptr<SignJob> signed_;  // back from it
  Reactor::Slot slot_ = Reactor::Slot::kNone;
  const char* error_ = nullptr;
  Ticket ticket_;
  size_t read_size_ = 0;  // of the caller's room, for the size of a block
  int io_error_ = 0;
  bool raw_readable_ = true;
  bool raw_writable_ = true;
  bool raw_closed_ = false;
  bool raw_ended_ = false;
  bool write_failed_ = false;
  bool more_ = false;
  bool read_wants_write_ = false;
  bool write_wants_read_ = false;
  bool withheld_ = false;  // a byte of plaintext was sealed and not counted
  bool fin_due_ = false;   // the socket's end follows what waits
  bool ended_ = false;     // close_notify was built
  bool broken_ = false;    // an alert was built, or the peer's bytes are wrong
  bool established_ = false;
  bool skip_verify_ = false;
};

}  // namespace sluice::tls
