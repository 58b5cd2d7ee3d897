#include "core/regex.h"

#include <re2/re2.h>

#include "core/ascii.h"

namespace sluice {

namespace {

re2::RE2::Options options() {
  re2::RE2::Options made(re2::RE2::Quiet);
  made.set_max_mem(RegexLimits{}.memory_bytes);
  return made;
}

bool group_byte(char c) {
  return ascii::is_alphanumeric(c) || c == '_';
}

/// The group's number; 0 is the whole match, -1 nothing: Go takes a group that is not there for an
/// empty one.
int group_number(const re2::RE2& regex, const std::string& name) {
  if (name.find_first_not_of("0123456789") == std::string::npos) {
    const int number = name.size() > 3 ? -1 : std::stoi(name);
    return number <= regex.NumberOfCapturingGroups() ? number : -1;
  }
  const auto found = regex.NamedCapturingGroups().find(name);
  return found == regex.NamedCapturingGroups().end() ? -1 : found->second;
}

/// Go's `$1`, `${1}` and `${name}` as RE2's `\1`.
Result<std::string> rewrite(const re2::RE2& regex, std::string_view with) {
  constexpr int kMostGroups = 9;  // RE2's
  std::string out;
  for (size_t at = 0; at < with.size(); ++at) {
    if (with[at] != '$') {
      out += with[at] == '\\' ? "\\\\" : std::string(1, with[at]);
      continue;
    }
    std::string_view rest = with.substr(at + 1);
    if (rest.starts_with('$')) {
      out += '$';
      ++at;
      continue;
    }
    const bool braces = rest.starts_with('{');
    if (braces) rest.remove_prefix(1);
    size_t length = 0;
    while (length < rest.size() && group_byte(rest[length])) ++length;
    if (length == 0 || (braces && !rest.substr(length).starts_with('}'))) {
      out += '$';  // not a group's name: as it stands
      continue;
    }
    const std::string name(rest.substr(0, length));
    const int number = group_number(regex, name);
    if (number > kMostGroups) {
      return fail(Code::kInvalid, "the replacement \"{}\" names a group above $9", with);
    }
    if (number >= 0) out += "\\" + std::to_string(number);
    at += length + (braces ? 2 : 0);
  }
  return out;
}

}  // namespace

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

Result<bool> regex_matches(std::string_view regex, std::string_view text) {
  const re2::RE2 compiled(re2::StringPiece(regex.data(), regex.size()), options());
  if (!compiled.ok()) return fail(Code::kInvalid, "regular expression: {}", compiled.error());
  return re2::RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), compiled);
}

Result<std::string> regex_replace_all(std::string_view regex, std::string_view text,
                                      std::string_view with) {
  const re2::RE2 compiled(re2::StringPiece(regex.data(), regex.size()), options());
  if (!compiled.ok()) return fail(Code::kInvalid, "regular expression: {}", compiled.error());
  Result<std::string> replacement = rewrite(compiled, with);
  if (!replacement) return pass(replacement);
  std::string why;
  if (!compiled.CheckRewriteString(*replacement, &why)) return fail(Code::kInvalid, "{}", why);
  std::string out(text);
  re2::RE2::GlobalReplace(&out, compiled, *replacement);
  return out;
}

}  // namespace sluice
