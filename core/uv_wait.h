// What the files over libuv share: a coroutine that waits for a callback, and addresses as sockets
// have them. Include from .cc files only.
//
// Thread: the loop's.
#pragma once

#include <arpa/inet.h>
#include <sys/socket.h>
#include <uv.h>

#include <coroutine>
#include <functional>
#include <utility>

#include "core/check.h"
#include "core/network.h"

namespace sluice {

inline void resume(std::coroutine_handle<>& slot) {
  if (auto task = std::exchange(slot, nullptr)) task.resume();
}

/// Suspends until a callback resumes `slot`; takes itself out of it when the task is cancelled.
struct Suspend {
  std::coroutine_handle<>& slot;
  std::move_only_function<void()> on_cancel;
  bool resumed = false;

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> task) {
    CHECK(!slot);
    slot = task;
  }
  void await_resume() noexcept { resumed = true; }
  ~Suspend() {
    if (resumed) return;
    slot = nullptr;
    on_cancel();
  }
};

inline Result<sockaddr_storage> to_sockaddr(const Address& address) {
  sockaddr_storage storage{};
  const int error =
      address.ip.find(':') == std::string::npos
          ? uv_ip4_addr(address.ip.c_str(), address.port, reinterpret_cast<sockaddr_in*>(&storage))
          : uv_ip6_addr(address.ip.c_str(), address.port,
                        reinterpret_cast<sockaddr_in6*>(&storage));
  if (error != 0) return fail(Code::kInvalid, "address '{}': not an IP address", address.ip);
  return storage;
}

inline Address from_sockaddr(const sockaddr_storage& storage) {
  char text[INET6_ADDRSTRLEN] = "";
  if (storage.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage);
    uv_ip6_name(&v6, text, sizeof text);
    return Address{.ip = text, .port = ntohs(v6.sin6_port)};
  }
  const auto& v4 = reinterpret_cast<const sockaddr_in&>(storage);
  uv_ip4_name(&v4, text, sizeof text);
  return Address{.ip = text, .port = ntohs(v4.sin_port)};
}

}  // namespace sluice
