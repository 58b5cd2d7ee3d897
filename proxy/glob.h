// Globs as fabio's users write them in hosts and, with matcher=glob, in paths:
//   *  **   any run, also empty; crosses dots and slashes      ?       any one byte
//   [abc] [a-z] [!a]   one byte of a set                       {a,b}   either
//   \c      that byte
//
// Pure; any thread. Compiling allocates; matching does not, and takes at most pattern times text
// steps.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace sluice::proxy {

struct GlobLimits {
  size_t pattern_bytes = 1024;
  size_t alternatives = 64;  // after {a,b} is multiplied out
};

class Glob {
 public:
  static Result<Glob> compile(std::string_view pattern, const GlobLimits& limits = {});
  [[nodiscard]] bool matches(std::string_view text) const;

 private:
  std::vector<std::string> alternatives_;  // without braces
};

/// True if the text holds a byte that means something in a glob.
bool has_glob(std::string_view text);

}  // namespace sluice::proxy
