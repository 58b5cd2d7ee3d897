// A piece of HCL text with a name, places in it, and the one form that our errors about it have:
//
//   web.nomad:12:7: expected "=" or "{" after "coutn"
//     coutn 2
//           ^
//
// A Source never changes; everything parsed from it points into it, so the File (ast.h) owns it.
// Limits: HclLimits, which the parser and the evaluator share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/result.h"

namespace sluice::hcl {

struct HclLimits {
  size_t max_bytes = 4u << 20;   // of one source; Nomad's own limit on a job is 1 MiB
  uint32_t max_nodes = 200'000;  // expressions, attributes and blocks in one source
  uint32_t max_items = 10'000;   // arguments or blocks in one body, also of those made by `dynamic`
  uint32_t max_depth = 200;      // of nesting, of blocks and expressions together
  uint64_t max_steps = 2'000'000;  // expressions evaluated and elements made, for one evaluation
  uint64_t max_made_bytes = 64u << 20;  // of strings made, for one evaluation
};

class Source {
 public:
  Source(std::string name, std::string text) : name_(std::move(name)), text_(std::move(text)) {}

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::string_view text() const { return text_; }

 private:
  std::string name_;
  std::string text_;
};

/// Bytes [begin, end) of a source. A default Span is nowhere (a value that no text produced).
struct Span {
  const Source* source = nullptr;
  uint32_t begin = 0;
  uint32_t end = 0;

  [[nodiscard]] std::string_view text() const {
    return source ? source->text().substr(begin, end - begin) : std::string_view();
  }
};

/// From the start of `a` to the end of `b`.
inline Span join(Span a, Span b) {
  return {a.source, a.begin, b.end};
}

/// Both from 1; the column counts code points.
struct Position {
  uint32_t line = 1;
  uint32_t column = 1;
};

Position position_of(Span span);

/// "name:line:column" of the span's start.
std::string place_of(Span span);

/// The message in the form above. A long source line is cut around the place.
std::string render_error(Span span, std::string_view message);

/// `return fail_at(span, "expected {}", what);`
template <class... Args>
[[nodiscard]] std::unexpected<Error> fail_at(Span span, fmt::format_string<Args...> format,
                                             Args&&... args) {
  return std::unexpected(
      Error{Code::kInvalid, render_error(span, fmt::format(format, std::forward<Args>(args)...))});
}

/// The same with the code kLimit.
template <class... Args>
[[nodiscard]] std::unexpected<Error> limit_at(Span span, fmt::format_string<Args...> format,
                                              Args&&... args) {
  return std::unexpected(
      Error{Code::kLimit, render_error(span, fmt::format(format, std::forward<Args>(args)...))});
}

/// The candidate that `word` is most likely a slip of, or an empty view: at most two letters wrong,
/// and fewer than half of them.
std::string_view closest_name(std::string_view word, const std::string_view* candidates,
                              size_t count);

}  // namespace sluice::hcl
