#include "core/resolving_network.h"

#include <algorithm>
#include <utility>

#include "core/resolve.h"
#include "core/scope.h"

namespace sluice {

Task<Result<std::unique_ptr<Stream>>> ResolvingNetwork::connect(Address to, int64_t timeout_ms) {
  if (to.is_unix() || parse_address(to_string(to))) {
    co_return co_await inner_.connect(std::move(to), timeout_ms);
  }
  const int64_t began_ms = executor_.now_ms();
  Result<Address> found =
      co_await with_timeout(executor_, timeout_ms, resolve(executor_, to_string(to)));
  if (!found) co_return pass(found);
  const int64_t left_ms = std::max<int64_t>(timeout_ms - (executor_.now_ms() - began_ms), 1);
  co_return co_await inner_.connect(*std::move(found), left_ms);
}

}  // namespace sluice
