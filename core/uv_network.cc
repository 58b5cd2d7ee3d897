#include "core/uv_network.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include <cerrno>
#include <optional>
#include <utility>

#include "core/check.h"
#include "core/uv_wait.h"

namespace sluice {

namespace {

constexpr int kListenBacklog = 511;

/// A libuv stream handle with all that its callbacks touch. It lives until its close callback,
/// longer than the object that owns it; `waiter` is the one task that waits for it, null once that
/// was cancelled.
struct Handle {
  union {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  };
  uv_connect_t connect_request;
  uv_write_t write_request;
  bool incoming = false;  // listener: a connection waits to be taken
  std::string pending;    // bytes libuv is still to write; owned here, never in a coroutine's frame

  std::coroutine_handle<> reader;
  std::span<char> read_into;
  ssize_t read_result = 0;
  std::coroutine_handle<> writer;  // also of connect and accept
  int write_result = 0;
  bool failed = false;  // a write was cut short by cancelling; nothing may follow it
};

Handle* handle_of(const void* data) {
  return static_cast<Handle*>(const_cast<void*>(data));
}

Handle* make_handle(uv_loop_t* loop, const Address& address) {
  auto* made = new Handle;
  const int error =
      address.is_unix() ? uv_pipe_init(loop, &made->pipe, 0) : uv_tcp_init(loop, &made->tcp);
  CHECK(error == 0);
  made->handle.data = made;
  return made;
}

struct CloseHandle {
  void operator()(Handle* handle) const {
    handle->reader = handle->writer = nullptr;
    uv_close(&handle->handle, [](uv_handle_t* closed) { delete handle_of(closed->data); });
  }
};
using HandlePtr = std::unique_ptr<Handle, CloseHandle>;

class UvStream final : public Stream {
 public:
  /// `one_way`: a pipe's end; the end of writing is its close.
  UvStream(HandlePtr handle, Address peer, bool one_way = false)
      : handle_(std::move(handle)), peer_(std::move(peer)), one_way_(one_way) {}

  Task<Result<size_t>> read(std::span<char> into) override {
    Handle& h = *handle_;
    CHECK(!into.empty());
    h.read_into = into;
    const int started = uv_read_start(
        &h.stream,
        [](uv_handle_t* handle, size_t, uv_buf_t* buffer) {
          const std::span<char> space = handle_of(handle->data)->read_into;
          *buffer = uv_buf_init(space.data(), static_cast<unsigned>(space.size()));
        },
        [](uv_stream_t* stream, ssize_t n, const uv_buf_t*) {
          if (n == 0) return;  // EAGAIN
          Handle& h = *handle_of(stream->data);
          uv_read_stop(stream);
          h.read_result = n;
          resume(h.reader);  // may destroy the stream: nothing after this
        });
    if (started != 0) co_return fail_errno(-started, "read " + to_string(peer_));
    co_await Suspend{h.reader, [&h] { uv_read_stop(&h.stream); }};
    if (h.read_result == UV_EOF) co_return size_t{0};
    if (h.read_result < 0) {
      co_return fail_errno(static_cast<int>(-h.read_result), "read " + to_string(peer_));
    }
    co_return static_cast<size_t>(h.read_result);
  }

  Task<Result<void>> write(std::string_view bytes) override {
    if (!handle_) co_return fail(Code::kClosed, "write {}: after its end", to_string(peer_));
    Handle& h = *handle_;
    if (h.failed) co_return fail(Code::kClosed, "write {}: cut short before", to_string(peer_));
    uv_buf_t buffer =
        uv_buf_init(const_cast<char*>(bytes.data()), static_cast<unsigned>(bytes.size()));
    const int tried = uv_try_write(&h.stream, &buffer, 1);
    if (tried < 0 && tried != UV_EAGAIN) co_return fail_errno(-tried, "write " + to_string(peer_));
    if (tried > 0) bytes.remove_prefix(static_cast<size_t>(tried));
    if (bytes.empty()) co_return Result<void>();
    h.pending.assign(bytes);
    buffer = uv_buf_init(h.pending.data(), static_cast<unsigned>(h.pending.size()));
    h.write_request.data = &h;
    const int queued =
        uv_write(&h.write_request, &h.stream, &buffer, 1, [](uv_write_t* request, int status) {
          Handle& h = *handle_of(request->data);
          h.write_result = status;
          resume(h.writer);
        });
    if (queued != 0) co_return fail_errno(-queued, "write " + to_string(peer_));
    co_await Suspend{h.writer, [&h] { h.failed = true; }};
    if (h.write_result != 0) co_return fail_errno(-h.write_result, "write " + to_string(peer_));
    co_return Result<void>();
  }

  Result<void> shutdown_write() override {
    if (one_way_) {
      handle_.reset();
      return {};
    }
    // Our writes are finished when they return, so the socket's own buffer is all that is before
    // the FIN.
    uv_os_fd_t fd;
    if (uv_fileno(&handle_->handle, &fd) != 0 || ::shutdown(fd, SHUT_WR) != 0) {
      return fail_errno(errno, "shutdown " + to_string(peer_));
    }
    return {};
  }

  Address peer() const override { return peer_; }

 private:
  HandlePtr handle_;
  Address peer_;
  bool one_way_;
};

class UvListener final : public Listener {
 public:
  using All = std::shared_ptr<std::map<int, Address>>;

  UvListener(UvLoop& loop, HandlePtr handle, Address local, All all)
      : loop_(loop), handle_(std::move(handle)), local_(std::move(local)), all_(std::move(all)) {}
  ~UvListener() override {
    if (local_.is_unix()) ::unlink(local_.path.c_str());
    all_->erase(fd_);
  }

  Result<void> start() {
    const int error =
        uv_listen(&handle_->stream, kListenBacklog, [](uv_stream_t* stream, int status) {
          Handle& h = *handle_of(stream->data);
          // libuv accepts no more until this one is taken, which bounds what waits here.
          h.write_result = status;
          h.incoming = true;
          resume(h.writer);
        });
    if (error != 0) return fail_errno(-error, "listen " + to_string(local_));
    if (!local_.is_unix() && uv_fileno(&handle_->handle, &fd_) == 0) all_->emplace(fd_, local_);
    return {};
  }

  Task<Result<std::unique_ptr<Stream>>> accept() override {
    Handle& h = *handle_;
    if (!h.incoming) co_await Suspend{h.writer, [] {}};
    h.incoming = false;
    if (h.write_result != 0) co_return fail_errno(-h.write_result, "accept " + to_string(local_));
    HandlePtr accepted(make_handle(loop_.raw(), local_));
    const int error = uv_accept(&h.stream, &accepted->stream);
    if (error != 0) co_return fail_errno(-error, "accept " + to_string(local_));
    Address peer = local_;
    if (!local_.is_unix()) {
      sockaddr_storage storage{};
      int length = sizeof storage;
      uv_tcp_getpeername(&accepted->tcp, reinterpret_cast<sockaddr*>(&storage), &length);
      peer = from_sockaddr(storage);
      uv_tcp_nodelay(&accepted->tcp, 1);
    }
    co_return std::make_unique<UvStream>(std::move(accepted), std::move(peer));
  }

  Address local() const override { return local_; }
  bool is_waiting() const override { return handle_->incoming; }

 private:
  UvLoop& loop_;
  HandlePtr handle_;
  Address local_;
  All all_;
  uv_os_fd_t fd_ = -1;
};

/// True where a process listens on the Unix socket: a stale file refuses the connection.
bool somebody_listens(const std::string& path) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return true;
  sockaddr_un address{.sun_family = AF_UNIX};
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const bool listens = ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 ||
                       (errno != ECONNREFUSED && errno != ENOENT);
  ::close(fd);
  return listens;
}

Result<void> bind_unix(Handle& handle, const Address& at) {
  if (somebody_listens(at.path)) {
    return fail(Code::kConflict, "listen {}: another process listens there", to_string(at));
  }
  ::unlink(at.path.c_str());
  const mode_t before = ::umask(0177);
  const int error = uv_pipe_bind(&handle.pipe, at.path.c_str());
  ::umask(before);
  if (error != 0) return fail_errno(-error, "listen " + to_string(at));
  return {};
}

Result<void> bind_tcp(Handle& handle, Address& at) {
  Result<sockaddr_storage> target = to_sockaddr(at);
  if (!target) return pass(target);
  const int error = uv_tcp_bind(&handle.tcp, reinterpret_cast<sockaddr*>(&*target), 0);
  if (error != 0) return fail_errno(-error, "listen " + to_string(at));
  sockaddr_storage bound{};
  int length = sizeof bound;
  // uv_tcp_bind keeps EADDRINUSE back until listen; the name tells the port that port 0 became.
  if (uv_tcp_getsockname(&handle.tcp, reinterpret_cast<sockaddr*>(&bound), &length) == 0) {
    const uint16_t port = from_sockaddr(bound).port;
    if (port != 0) at.port = port;
  }
  return {};
}

}  // namespace

Task<Result<std::unique_ptr<Stream>>> UvNetwork::connect(Address to, int64_t timeout_ms) {
  HandlePtr handle(make_handle(loop_.raw(), to));
  Handle& h = *handle;
  h.connect_request.data = &h;
  const auto on_connect = [](uv_connect_t* request, int status) {
    Handle& h = *handle_of(request->data);
    h.write_result = status;
    resume(h.writer);
  };
  if (to.is_unix()) {
    uv_pipe_connect(&h.connect_request, &h.pipe, to.path.c_str(), on_connect);
  } else {
    Result<sockaddr_storage> target = to_sockaddr(to);
    if (!target) co_return pass(target);
    const int error = uv_tcp_connect(&h.connect_request, &h.tcp,
                                     reinterpret_cast<sockaddr*>(&*target), on_connect);
    if (error != 0) co_return fail_errno(-error, "connect " + to_string(to));
    uv_tcp_nodelay(&h.tcp, 1);
  }
  const Executor::Ticket timer = loop_.post_after(timeout_ms, [&h] {
    h.write_result = UV_ETIMEDOUT;
    resume(h.writer);
  });
  struct CancelTimer {
    UvLoop& loop;
    Executor::Ticket ticket;
    ~CancelTimer() { loop.cancel(ticket); }
  } cancel_timer{loop_, timer};
  co_await Suspend{h.writer, [] {}};
  if (h.write_result != 0) co_return fail_errno(-h.write_result, "connect " + to_string(to));
  co_return std::make_unique<UvStream>(std::move(handle), std::move(to));
}

void UvNetwork::inherit(const Address& at, Socket socket) {
  inherited_[to_string(at)] = std::move(socket);
}

std::vector<std::pair<Address, int>> UvNetwork::listening() const {
  std::vector<std::pair<Address, int>> all;
  for (const auto& [fd, at] : *listening_) all.emplace_back(at, fd);
  return all;
}

static Result<void> open_inherited(Handle& handle, Socket socket, const Address& at) {
  const int error = uv_tcp_open(&handle.tcp, socket.fd());
  if (error != 0) return fail_errno(-error, "listen " + to_string(at));
  socket.release();
  return {};
}

Result<std::unique_ptr<Stream>> adopt_stream(UvLoop& loop, int descriptor, std::string name) {
  const Address address{.path = std::move(name)};
  HandlePtr handle(make_handle(loop.raw(), address));
  const int error = uv_pipe_open(&handle->pipe, descriptor);
  if (error != 0) {
    ::close(descriptor);
    return fail_errno(-error, "open " + address.path);
  }
  return std::make_unique<UvStream>(std::move(handle), address, true);
}

Result<std::unique_ptr<Datagrams>> UvNetwork::open_datagrams(const Address& at) {
  return open_uv_datagrams(loop_, at);
}

Result<std::unique_ptr<Listener>> UvNetwork::listen(const Address& at) {
  HandlePtr handle(make_handle(loop_.raw(), at));
  Address local = at;
  Result<void> bound;
  if (auto inherited = inherited_.extract(to_string(at)); !inherited.empty()) {
    bound = open_inherited(*handle, std::move(inherited.mapped()), at);
  } else {
    bound = at.is_unix() ? bind_unix(*handle, local) : bind_tcp(*handle, local);
  }
  if (!bound) return pass(bound);
  auto listener =
      std::make_unique<UvListener>(loop_, std::move(handle), std::move(local), listening_);
  Result<void> started = listener->start();
  if (!started) return pass(started);
  return listener;
}

}  // namespace sluice
