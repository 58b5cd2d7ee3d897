// A coroutine of the drivers, driven to its end on a real loop.
#pragma once

#include <optional>
#include <type_traits>
#include <utility>

#include "core/loop.h"
#include "core/scope.h"
#include "test/test.h"

namespace sluice::drivers {

/// Runs the loop until the task has ended.
template <class T>
T run_to_end(UvLoop& loop, Task<T> task) {
  std::optional<T> result;
  Scope scope(loop);
  auto body = [](Task<T> inner, std::optional<T>& out, UvLoop& on) -> Task<void> {
    out.emplace(co_await inner);
    on.stop();
  };
  scope.spawn(body(std::move(task), result, loop));
  loop.run();
  REQUIRE(result.has_value());
  return *std::move(result);
}

/// The same for a call that must succeed.
template <class T>
T run_good(UvLoop& loop, Task<Result<T>> task) {
  Result<T> result = run_to_end(loop, std::move(task));
  if (!result) DOCTEST_MESSAGE(result.error().message);
  REQUIRE(result.has_value());
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

}  // namespace sluice::drivers
