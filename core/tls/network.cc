#include "core/tls/network.h"

#include "core/buffer.h"
#include "core/scope.h"
#include "core/tls/session.h"

namespace sluice::tls {

namespace {

constexpr size_t kReadBytes = 16 * 1024;

class TlsStream final : public Stream {
 public:
  explicit TlsStream(std::unique_ptr<Stream> inner) : inner_(std::move(inner)) {}

  /// A client's: shake() follows.
  Result<void> connect(std::shared_ptr<const ClientContext> context,
                       const ConnectOptions& options) {
    session_ = Session::connect(std::move(context), pool_, options);
    return begin();
  }
  /// A server's: the first read shakes hands.
  Result<void> accept(std::shared_ptr<const ServerContext> context) {
    server_ = true;
    session_ = Session::accept(std::move(context), pool_);
    return begin();
  }

  Task<Result<void>> shake() {
    for (;;) {
      const Session::Handshake state = session_->handshake(none_);
      Result<void> sent = co_await send();
      if (state == Session::Handshake::kDone) co_return sent;
      if (state == Session::Handshake::kFailed)
        co_return fail(Code::kDenied, "no TLS: {}", session_->error());
      if (!sent) co_return sent;
      Result<void> received = co_await receive();
      if (!received) co_return received;
    }
  }

  Task<Result<size_t>> read(std::span<char> into) override {
    if (server_ && !session_->established()) {
      Result<void> shaken = co_await shake();
      if (!shaken) co_return pass(shaken);
    }
    for (;;) {
      const IoResult got = session_->read(none_, into.data(), into.size());
      // What a server has to say to what it reads (RFC 8446, 4.6.3) goes before what it writes
      // next.
      Result<void> sent = server_ ? Result<void>() : co_await send();
      switch (got.state) {
        case IoState::kOk: co_return got.bytes;
        case IoState::kEnd: co_return size_t{0};
        case IoState::kError: co_return fail(Code::kClosed, "TLS: {}", session_->error());
        case IoState::kBlocked: break;
      }
      if (!sent) co_return pass(sent);
      Result<void> received = co_await receive();
      if (!received) co_return pass(received);
    }
  }

  Task<Result<void>> write(std::string_view bytes) override {
    while (!bytes.empty()) {
      const iovec part{const_cast<char*>(bytes.data()), bytes.size()};
      const IoResult put = session_->write(none_, &part, 1);
      if (put.state == IoState::kError) co_return fail(Code::kClosed, "TLS: {}", session_->error());
      if (put.state == IoState::kOk) bytes.remove_prefix(put.bytes);
      Result<void> sent = co_await send();
      if (!sent) co_return sent;
    }
    co_return Result<void>();
  }

  // A half-closed TLS connection is more than control servers understand.
  Result<void> shutdown_write() override { return {}; }
  Address peer() const override { return inner_->peer(); }

 private:
  Result<void> begin() {
    if (!session_) return fail(Code::kLimit, "no memory for a TLS session");
    session_->detach();
    return {};
  }

  Task<Result<void>> send() {
    while (!session_->unsent().empty()) {
      const std::string bytes(session_->unsent());
      Result<void> sent = co_await inner_->write(bytes);
      if (!sent) co_return sent;
      session_->sent(bytes.size());
    }
    co_return Result<void>();
  }

  Task<Result<void>> receive() {
    char room[kReadBytes];
    Result<size_t> got = co_await inner_->read(room);
    if (!got) co_return pass(got);
    if (*got == 0) {
      session_->feed_end();
    } else if (!session_->feed({room, *got})) {
      co_return fail(Code::kLimit, "no room for TLS records");
    }
    co_return Result<void>();
  }

  std::unique_ptr<Stream> inner_;
  BufferPool pool_;
  Socket none_;
  std::unique_ptr<Session> session_;
  bool server_ = false;
};

}  // namespace

Task<Result<std::unique_ptr<Stream>>> TlsNetwork::open(Address to, int64_t timeout_ms) {
  Result<std::unique_ptr<Stream>> inner = co_await inner_.connect(std::move(to), timeout_ms);
  if (!inner) co_return inner;
  auto stream = std::make_unique<TlsStream>(std::move(*inner));
  Result<void> done =
      stream->connect(context_, {.server_name = server_name_, .skip_verify = skip_verify_});
  if (done) done = co_await stream->shake();
  if (!done) co_return pass(done);
  co_return std::unique_ptr<Stream>(std::move(stream));
}

Task<Result<std::unique_ptr<Stream>>> TlsNetwork::connect(Address to, int64_t timeout_ms) {
  const std::string where = to_string(to);
  Result<std::unique_ptr<Stream>> stream =
      co_await with_timeout(executor_, timeout_ms, open(std::move(to), timeout_ms));
  if (!stream) co_return pass(stream, "{}", where);
  co_return stream;
}

Task<Result<std::unique_ptr<Stream>>> TlsListener::accept() {
  Result<std::unique_ptr<Stream>> inner = co_await inner_->accept();
  if (!inner) co_return inner;
  auto stream = std::make_unique<TlsStream>(std::move(*inner));
  Result<void> begun = stream->accept(context_);
  if (!begun) co_return pass(begun);
  co_return std::unique_ptr<Stream>(std::move(stream));
}

Result<std::unique_ptr<Listener>> TlsNetwork::listen(const Address& at) {
  return fail(Code::kUnsupported, "listen {}: this network only connects", to_string(at));
}

Result<std::unique_ptr<Datagrams>> TlsNetwork::open_datagrams(const Address& at) {
  return fail(Code::kUnsupported, "datagrams on {}: this network only connects", to_string(at));
}

}  // namespace sluice::tls
