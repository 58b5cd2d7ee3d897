#include "core/result.h"

#include <cerrno>
#include <cstring>

#include "core/check.h"

namespace sluice {

std::string_view to_string(Code code) {
  switch (code) {
    case Code::kInvalid: return "invalid";
    case Code::kNotFound: return "not found";
    case Code::kConflict: return "conflict";
    case Code::kDenied: return "denied";
    case Code::kLimit: return "limit";
    case Code::kTimeout: return "timeout";
    case Code::kUnavailable: return "unavailable";
    case Code::kClosed: return "closed";
    case Code::kIo: return "io";
    case Code::kUnsupported: return "unsupported";
    case Code::kInternal: return "internal";
  }
  CHECK(false);
  return {};
}

static Code code_of_errno(int error_number) {
  switch (error_number) {
    case ENOENT:
    case ESRCH: return Code::kNotFound;
    case EACCES:
    case EPERM: return Code::kDenied;
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH: return Code::kUnavailable;
    case ETIMEDOUT: return Code::kTimeout;
    case ECONNRESET:
    case EPIPE: return Code::kClosed;
    case EADDRINUSE:
    case EEXIST: return Code::kConflict;
    case EMFILE:
    case ENFILE:
    case ENOSPC: return Code::kLimit;
    case EINVAL: return Code::kInvalid;
    default: return Code::kIo;
  }
}

std::unexpected<Error> fail_errno(int error_number, std::string_view doing) {
  return fail(code_of_errno(error_number), "{}: {}", doing, std::strerror(error_number));
}

}  // namespace sluice
