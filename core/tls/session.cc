#include "core/tls/session.h"

#include <arpa/inet.h>

#include <cerrno>
#include <cstring>

#include "core/check.h"
#include "core/tls/callbacks.h"
#include "core/tls/signer.h"

namespace sluice::tls {

namespace {

// Four records and what sealing adds to them fit one large block.
constexpr size_t kRecordBytes = 16 * 1024 - 256;
constexpr int kRetry = -2;
constexpr int kError = -1;

BIO_METHOD* bio_method() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "channel");
    CHECK(made != nullptr);
    BIO_meth_set_read(made, Callbacks::read);
    BIO_meth_set_write(made, Callbacks::write);
    BIO_meth_set_ctrl(made, [](BIO*, int command, long, void*) -> long {
      return command == BIO_CTRL_FLUSH ? 1 : 0;  // Session sends when its own call is over
    });
    return made;
  }();
  return method;
}

bool is_ip(const std::string& name) {
  in6_addr any;
  return inet_pton(AF_INET, name.c_str(), &any) == 1 ||
         inet_pton(AF_INET6, name.c_str(), &any) == 1;
}

}  // namespace

Ticket::~Ticket() {
  if (session_ != nullptr) SSL_SESSION_free(session_);
}

bool Session::open(ssl_st* ssl) {
  ssl_ = ssl;
  BIO* bio = ssl == nullptr ? nullptr : BIO_new(bio_method());
  if (bio == nullptr) {
    ERR_clear_error();
    return false;
  }
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl, bio, bio);
  // What only the handshake needs goes when it is done.
  SSL_set_shed_handshake_config(ssl, 1);
  return true;
}

std::unique_ptr<Session> Session::accept(std::shared_ptr<const ServerContext> context,
                                         BufferPool& pool, const SignPort& port) {
  std::unique_ptr<Session> session(new Session(pool));
  if (!session->open(SSL_new(context->parts().context.get()))) return nullptr;
  SSL_set_accept_state(session->ssl_);
  session->port_ = port;
  session->server_ = std::move(context);
  return session;
}

std::unique_ptr<Session> Session::connect(std::shared_ptr<const ClientContext> context,
                                          BufferPool& pool, const ConnectOptions& options) {
  std::unique_ptr<Session> session(new Session(pool));
  if (!session->open(SSL_new(context->parts().context.get()))) return nullptr;
  SSL* ssl = session->ssl_;
  SSL_set_connect_state(ssl);
  session->client_ = std::move(context);
  session->skip_verify_ = options.skip_verify;
  session->server_name_ = std::make_unique<std::string>(options.server_name);
  // RFC 6066 3: an address is no name.
  if (!options.server_name.empty() && !is_ip(*session->server_name_))
    SSL_set_tlsext_host_name(ssl, session->server_name_->c_str());
  if (options.ticket != nullptr && *options.ticket) SSL_set_session(ssl, options.ticket->get());
  ERR_clear_error();
  return session;
}

Session::Session(BufferPool& pool) : in_(pool), out_(pool) {}

Session::~Session() {
  if (signing_ != nullptr) signing_->session = nullptr;
  if (ssl_ != nullptr) SSL_free(ssl_);
}

int Session::take_from_socket(char* into, int size) {
  if (in_.empty()) {
    if (raw_ended_) return 0;
    if (io_error_ != 0) return kError;
    if (!raw_readable_) return kRetry;
    const size_t want =
        read_size_ > BufferPool::kSmallBytes ? BufferPool::kLargeBytes : BufferPool::kSmallBytes;
    const size_t room = in_.make_room(want);
    if (room == 0) {
      io_error_ = ENOBUFS;
      return kError;
    }
    const IoResult got = socket_->read(in_.room(), room);
    // As Channel has it: a short read has emptied the socket, unless an end waits behind it.
    if (got.state == IoState::kBlocked ||
        (got.state == IoState::kOk && got.bytes < room && !raw_closed_)) {
      raw_readable_ = false;
    }
    switch (got.state) {
      case IoState::kOk: in_.commit(got.bytes); break;
      case IoState::kBlocked: return kRetry;
      case IoState::kEnd: raw_ended_ = true; return 0;
      case IoState::kError: io_error_ = got.error; return kError;
    }
  }
  const size_t n = std::min(in_.size(), static_cast<size_t>(size));
  std::memcpy(into, in_.data(), n);
  in_.consume(n);
  return static_cast<int>(n);
}

int Session::give_to_socket(const char* bytes, int size) {
  if (write_failed_) return kError;
  const auto want = static_cast<size_t>(size);
  if (!out_.append({bytes, want})) {
    // A handshake's flight may be larger than a block: as much as there is room for.
    flush(*socket_);
    if (write_failed_) return kError;
    const size_t room = out_.make_room(want);
    if (room == 0 && out_.empty()) io_error_ = ENOBUFS;
    if (room == 0) return out_.empty() ? kError : kRetry;
    const size_t n = std::min(room, want);
    std::memcpy(out_.room(), bytes, n);
    out_.commit(n);
    return static_cast<int>(n);
  }
  return size;
}

bool Session::flush(Socket& socket) {
  while (!out_.empty() && raw_writable_) {
    const IoResult put = socket.write(out_.data(), out_.size());
    if (put.state == IoState::kError) {
      write_failed_ = true;
      if (error_ == nullptr) error_ = strerrordesc_np(put.error);
      out_.clear();
      break;
    }
    if (put.state == IoState::kOk) out_.consume(put.bytes);
    if (!out_.empty()) raw_writable_ = false;
  }
  if (!out_.empty()) return false;
  out_.release();
  if (fin_due_) {
    fin_due_ = false;
    socket.shutdown_write();
  }
  return true;
}

Session::Want Session::want_of(int result) {
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_NONE: return Want::kNone;
    case SSL_ERROR_WANT_READ: return Want::kRead;
    case SSL_ERROR_WANT_WRITE: return Want::kWrite;
    case SSL_ERROR_ZERO_RETURN: return Want::kEnd;
    case SSL_ERROR_WANT_PRIVATE_KEY_OPERATION: return Want::kSigned;
    default: break;
  }
  broken_ = true;
  const char* reason = ERR_peek_error() == 0 ? nullptr : take_error();
  if (error_ == nullptr) {
    if (io_error_ != 0) {
      error_ = strerrordesc_np(io_error_);
    } else if (raw_ended_) {
      error_ = "the peer's bytes ended without its close_notify";
    } else {
      error_ = reason == nullptr ? "no reason given" : reason;
    }
  }
  ERR_clear_error();
  return Want::kFailed;
}

IoResult Session::failed() {
  int error = EPROTO;
  if (io_error_ != 0) {
    error = io_error_;
  } else if (raw_ended_) {
    error = ECONNABORTED;
  }
  return {IoState::kError, 0, error};
}

void Session::finish_handshake() {
  established_ = true;
  server_name_.reset();
}

Session::Handshake Session::handshake(Socket& socket) {
  if (broken_) return Handshake::kFailed;
  socket_ = &socket;
  read_size_ = 0;
  const int result = SSL_do_handshake(ssl_);
  const Want want = result == 1 ? Want::kNone : want_of(result);
  in_.release_if_empty();
  flush(socket);
  switch (want) {
    case Want::kNone:
      if (!established_) finish_handshake();
      more_ = true;  // payload may have come with the last flight
      return Handshake::kDone;
    case Want::kRead:
    case Want::kSigned: return Handshake::kWait;
    case Want::kWrite: read_wants_write_ = true; return Handshake::kWait;
    case Want::kEnd:
    case Want::kFailed: return Handshake::kFailed;
  }
  return Handshake::kFailed;
}

IoResult Session::read(Socket& socket, char* into, size_t size) {
  if (broken_) return failed();
  socket_ = &socket;
  read_size_ = size;
  size_t got = 0;
  Want want = Want::kNone;
  while (got < size) {
    const int n =
        SSL_read(ssl_, into + got, static_cast<int>(std::min(size - got, size_t{1} << 20)));
    if (n <= 0) {
      want = want_of(n);
      break;
    }
    got += static_cast<size_t>(n);
  }
  if (!established_ && SSL_in_init(ssl_) == 0) finish_handshake();
  in_.release_if_empty();
  // Handshake messages, an alert, an answer to a key update.
  if (!out_.empty()) flush(socket);
  more_ = want == Want::kNone || want == Want::kEnd || want == Want::kFailed;
  if (want == Want::kWrite) read_wants_write_ = true;
  if (got > 0) return {IoState::kOk, got, 0};
  switch (want) {
    case Want::kNone:
    case Want::kRead:
    case Want::kSigned:
    case Want::kWrite: return {IoState::kBlocked, 0, 0};
    case Want::kEnd: return {IoState::kEnd, 0, 0};
    case Want::kFailed: return failed();
  }
  return failed();
}

// How much of it was sealed; less than all says that the socket, or the pool, has no room.
size_t Session::seal(Socket& socket, const char* bytes, size_t size) {
  const size_t overhead = SSL_max_seal_overhead(ssl_);
  size_t sealed = 0;
  while (sealed < size) {
    const size_t chunk = std::min(size - sealed, kRecordBytes);
    const size_t want = chunk + overhead;
    // A record is sealed where it fits whole: BoringSSL then never asks for the same bytes again.
    if (out_.make_room(want) < want && (!flush(socket) || out_.make_room(want) < want)) break;
    const int n = SSL_write(ssl_, bytes + sealed, static_cast<int>(chunk));
    if (n <= 0) {
      const Want want = want_of(n);
      if (want == Want::kRead || want == Want::kSigned) write_wants_read_ = true;
      break;
    }
    sealed += static_cast<size_t>(n);
  }
  if (!established_ && SSL_in_init(ssl_) == 0) finish_handshake();
  return sealed;
}

IoResult Session::write(Socket& socket, const iovec* parts, int count) {
  constexpr IoResult kLost{IoState::kError, 0, EPIPE};
  socket_ = &socket;
  if (write_failed_ || broken_) return kLost;
  if (!flush(socket)) return {IoState::kBlocked, 0, 0};
  size_t skip = withheld_ ? 1 : 0;
  size_t taken = 0;
  for (int i = 0; i < count; ++i) {
    const size_t skipped = std::min(skip, parts[i].iov_len);
    skip -= skipped;
    const size_t size = parts[i].iov_len - skipped;
    const size_t sealed = seal(socket, static_cast<const char*>(parts[i].iov_base) + skipped, size);
    taken += skipped + sealed;
    if (sealed < size) break;
  }
  withheld_ = skip != 0;
  if (!flush(socket) && taken > 0) {
    withheld_ = true;
    --taken;
  }
  if (write_failed_ || broken_) return kLost;
  if (taken == 0) return {IoState::kBlocked, 0, 0};
  return {IoState::kOk, taken, 0};
}

void Session::on_signed(std::unique_ptr<SignJob> job) {
  Session* session = job->session;
  if (session == nullptr) return;
  session->signing_ = nullptr;
  session->signed_ = std::move(job);
  if (session->slot_ != Reactor::Slot::kNone) session->port_.reactor->wake(session->slot_);
}

Session::Readiness Session::note(Socket& socket, bool readable, bool writable, bool closed) {
  raw_readable_ |= readable;
  raw_closed_ |= closed;
  Readiness meaning{readable, writable};
  if (writable) {
    raw_writable_ = true;
    meaning.writable = flush(socket);
    if (read_wants_write_ && out_.empty()) {
      read_wants_write_ = false;
      meaning.readable = true;
    }
  }
  if (readable && write_wants_read_) {
    write_wants_read_ = false;
    meaning.writable = true;
  }
  return meaning;
}

void Session::shutdown(Socket& socket) {
  end(socket);
  if (out_.empty()) {
    socket.shutdown_write();
  } else {
    fin_due_ = true;
  }
}

void Session::end(Socket& socket) {
  socket_ = &socket;
  if (!ended_ && !broken_ && !write_failed_ && established_) {
    ended_ = true;
    SSL_shutdown(ssl_);
    ERR_clear_error();
  }
  flush(socket);
}

bool Session::resumed() const {
  return SSL_session_reused(ssl_) == 1;
}

uint16_t Session::version() const {
  return established_ ? static_cast<uint16_t>(SSL_version(ssl_)) : uint16_t{0};
}

uint16_t Session::cipher() const {
  const SSL_CIPHER* cipher = established_ ? SSL_get_current_cipher(ssl_) : nullptr;
  return cipher == nullptr ? uint16_t{0} : SSL_CIPHER_get_protocol_id(cipher);
}

}  // namespace sluice::tls
