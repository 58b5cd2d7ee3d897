#include "core/regex.h"

#include <re2/re2.h>

namespace sluice {

Regex::Regex(std::unique_ptr<re2::RE2> compiled) : compiled_(std::move(compiled)) {}
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;
Regex::~Regex() = default;

Result<Regex> Regex::compile(std::string_view pattern, const RegexLimits& limits) {
  if (pattern.size() > limits.pattern_bytes) {
    return fail(Code::kLimit, "the expression is longer than {} bytes", limits.pattern_bytes);
  }
  re2::RE2::Options options(re2::RE2::Quiet);
  options.set_encoding(re2::RE2::Options::EncodingLatin1);  // a path is bytes
  options.set_max_mem(limits.memory_bytes);
  options.set_never_capture(true);
  auto compiled =
      std::make_unique<re2::RE2>(re2::StringPiece(pattern.data(), pattern.size()), options);
  if (!compiled->ok()) {
    return fail(Code::kInvalid, "{:?} is not a regular expression: {}", pattern, compiled->error());
  }
  return Regex(std::move(compiled));
}

bool Regex::matches_start(std::string_view text) const {
  return compiled_->Match(re2::StringPiece(text.data(), text.size()), 0, text.size(),
                          re2::RE2::ANCHOR_START, nullptr, 0);
}

bool Regex::found_in(std::string_view text) const {
  return compiled_->Match(re2::StringPiece(text.data(), text.size()), 0, text.size(),
                          re2::RE2::UNANCHORED, nullptr, 0);
}

}  // namespace sluice
