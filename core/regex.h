// Regular expressions over bytes, RE2's: their time is linear in the text, so that a pattern of a
// user's cannot stop a reactor. The one door to RE2 outside core/hcl.
//
// Owner: whoever compiled it; immutable, any thread. RE2 keeps its automaton's states in memory of
// its own and takes a lock for it: not for paths that everybody takes.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/result.h"

namespace re2 {
class RE2;
}

namespace sluice {

struct RegexLimits {
  size_t pattern_bytes = 1024;
  int64_t memory_bytes = int64_t{1} << 20;
};

class Regex {
 public:
  static Result<Regex> compile(std::string_view pattern, const RegexLimits& limits = {});
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;
  ~Regex();

  /// From the text's first byte on; what follows the match is free, unless the pattern ends in `$`.
  [[nodiscard]] bool matches_start(std::string_view text) const;
  /// Anywhere in it.
  [[nodiscard]] bool found_in(std::string_view text) const;

 private:
  explicit Regex(std::unique_ptr<re2::RE2> compiled);
  std::unique_ptr<re2::RE2> compiled_;
};

/// Once, and over UTF-8: whether it matches anywhere. kInvalid: not a regular expression.
Result<bool> regex_matches(std::string_view regex, std::string_view text);
/// Every match replaced; `$1`, `${1}` or `${name}` in `with` is a group (of as many letters and
/// digits as follow; empty where there is none such), `$$` a dollar. As in Go.
Result<std::string> regex_replace_all(std::string_view regex, std::string_view text,
                                      std::string_view with);

}  // namespace sluice
