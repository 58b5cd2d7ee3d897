#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "core/uv_network.h"
#include "core/uv_wait.h"

namespace sluice {

namespace {

/// What libuv's callbacks touch; it lives until its close callback, longer than its owner.
struct UdpHandle {
  uv_udp_t udp;
  std::vector<char> space;
  std::coroutine_handle<> reader;
  Datagram received;
  int error = 0;
};

UdpHandle* handle_of(const void* data) {
  return static_cast<UdpHandle*>(const_cast<void*>(data));
}

struct CloseUdp {
  void operator()(UdpHandle* handle) const {
    handle->reader = nullptr;
    uv_close(reinterpret_cast<uv_handle_t*>(&handle->udp),
             [](uv_handle_t* closed) { delete handle_of(closed->data); });
  }
};
using UdpPtr = std::unique_ptr<UdpHandle, CloseUdp>;

void on_received(uv_udp_t* udp, ssize_t count, const uv_buf_t* buffer, const sockaddr* from,
                 unsigned flags) {
  UdpHandle& h = *handle_of(udp->data);
  if (count == 0 && from == nullptr) return;  // EAGAIN
  if (count >= 0 && (flags & UV_UDP_PARTIAL) != 0) return;
  uv_udp_recv_stop(udp);
  h.error = count < 0 ? static_cast<int>(-count) : 0;
  if (count >= 0) {
    sockaddr_storage storage{};
    const size_t length = from->sa_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
    std::memcpy(&storage, from, length);
    h.received = {.bytes = std::string(buffer->base, static_cast<size_t>(count)),
                  .from = from_sockaddr(storage)};
  }
  resume(h.reader);  // may close the handle: nothing after this
}

class UvDatagrams final : public Datagrams {
 public:
  UvDatagrams(UdpPtr handle, Address local)
      : handle_(std::move(handle)), local_(std::move(local)) {}

  Task<Result<Datagram>> receive(size_t most) override {
    UdpHandle& h = *handle_;
    h.space.resize(most);
    const int started = uv_udp_recv_start(
        &h.udp,
        [](uv_handle_t* handle, size_t, uv_buf_t* buffer) {
          std::vector<char>& space = handle_of(handle->data)->space;
          *buffer = uv_buf_init(space.data(), static_cast<unsigned>(space.size()));
        },
        on_received);
    if (started != 0) co_return fail_errno(-started, "receive on " + to_string(local_));
    co_await Suspend{h.reader, [&h] { uv_udp_recv_stop(&h.udp); }};
    if (h.error != 0) co_return fail_errno(h.error, "receive on " + to_string(local_));
    co_return std::move(h.received);
  }

  Result<void> send(std::string_view bytes, const Address& to) override {
    const Result<sockaddr_storage> target = to_sockaddr(to);
    if (!target) return fail(target.error().code, "{}", target.error().message);
    const uv_buf_t buffer =
        uv_buf_init(const_cast<char*>(bytes.data()), static_cast<unsigned>(bytes.size()));
    const int sent =
        uv_udp_try_send(&handle_->udp, &buffer, 1, reinterpret_cast<const sockaddr*>(&*target));
    if (sent < 0) return fail_errno(-sent, "send to " + to_string(to));
    return {};
  }

  Address local() const override { return local_; }

 private:
  UdpPtr handle_;
  Address local_;
};

}  // namespace

Result<std::unique_ptr<Datagrams>> open_uv_datagrams(UvLoop& loop, const Address& at) {
  Result<sockaddr_storage> place = to_sockaddr(at);
  if (!place) return pass(place);
  auto* made = new UdpHandle;
  CHECK(uv_udp_init(loop.raw(), &made->udp) == 0);
  made->udp.data = made;
  UdpPtr handle(made);
  const int error = uv_udp_bind(&made->udp, reinterpret_cast<sockaddr*>(&*place), 0);
  if (error != 0) return fail_errno(-error, "bind " + to_string(at) + " (UDP)");
  Address local = at;
  sockaddr_storage bound{};
  int length = sizeof bound;
  if (uv_udp_getsockname(&made->udp, reinterpret_cast<sockaddr*>(&bound), &length) == 0) {
    local.port = from_sockaddr(bound).port;
  }
  return std::make_unique<UvDatagrams>(std::move(handle), std::move(local));
}

}  // namespace sluice
