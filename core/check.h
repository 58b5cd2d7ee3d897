// CHECK: an invariant of our own code. Always on, on every thread; a failure is a bug of ours,
// never bad input, so it prints the place and aborts. Bad input returns a Result (core/result.h).
#pragma once

namespace sluice {

/// Prints `file:line: CHECK failed: expression` on standard error and aborts. Does not allocate.
[[noreturn]] void check_failed(const char* expression, const char* file, int line) noexcept;

}  // namespace sluice

#define CHECK(condition)                             \
  (__builtin_expect(static_cast<bool>(condition), 1) \
       ? static_cast<void>(0)                        \
       : ::sluice::check_failed(#condition, __FILE__, __LINE__))
