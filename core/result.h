// Result<T>: what may fail returns it; no exception crosses a function of ours.
//
// One small vocabulary of codes for the whole program. The message is written for the operator: it
// names the thing, the place and, where there is one, the next step. The forwarding path does not
// use Error (its message allocates); it has enums of its own.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace sluice {

enum class Code : uint8_t {
  kInvalid,      // the input is wrong; saying it again will not help
  kNotFound,     // the thing named does not exist
  kConflict,     // exists already, or has changed since (compare-and-set)
  kDenied,       // permission
  kLimit,        // a named limit was reached
  kTimeout,      // no answer in the time given
  kUnavailable,  // the peer is not there now; trying again later may help
  kClosed,       // the peer or the owner closed it
  kIo,           // the system call failed
  kUnsupported,  // known, and not supported here
  kInternal,     // broken promise of a part of ours or of a library
};

/// The code's name in lower case, as logs show it: "invalid", "not found", ...
std::string_view to_string(Code code);

struct [[nodiscard]] Error {
  Code code;
  std::string message;
};

template <class T>
using Result = std::expected<T, Error>;

/// `return fail(Code::kNotFound, "job {} not found", id);`
template <class... Args>
[[nodiscard]] std::unexpected<Error> fail(Code code, fmt::format_string<Args...> format,
                                          Args&&... args) {
  return std::unexpected(Error{code, fmt::format(format, std::forward<Args>(args)...)});
}

/// Passes an error up as it is: `if (!r) return pass(r);`
template <class T>
[[nodiscard]] std::unexpected<Error> pass(Result<T>& result) {
  return std::unexpected(std::move(result).error());
}

/// Passes an error up with what we were doing in front: "open config.hcl: no such file".
template <class T, class... Args>
[[nodiscard]] std::unexpected<Error> pass(Result<T>& result, fmt::format_string<Args...> format,
                                          Args&&... args) {
  return std::unexpected(
      Error{result.error().code,
            fmt::format(format, std::forward<Args>(args)...) + ": " + result.error().message});
}

/// The error of a failed system call: "connect 127.0.0.1:80: Connection refused". ENOENT is
/// kNotFound, EACCES and EPERM kDenied, ECONNREFUSED kUnavailable, ETIMEDOUT kTimeout, the rest
/// kIo.
[[nodiscard]] std::unexpected<Error> fail_errno(int error_number, std::string_view doing);

}  // namespace sluice
