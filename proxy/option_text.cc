#include "proxy/option_text.h"

#include "core/duration.h"

namespace sluice::proxy {

namespace {

constexpr int64_t kMaxDurationNs = int64_t{365} * 24 * 3'600 * 1'000'000'000;

}  // namespace

std::string_view trim_spaces(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

Result<std::vector<std::string_view>> split_unquoted(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  char quote = 0;
  size_t begin = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote != 0) {
      if (c == quote) quote = 0;
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == separator) {
      parts.push_back(trim_spaces(text.substr(begin, i - begin)));
      begin = i + 1;
    }
  }
  if (quote != 0) return fail(Code::kInvalid, "quote {} is not closed", quote);
  parts.push_back(trim_spaces(text.substr(begin)));
  return parts;
}

std::string_view unquote(std::string_view text) {
  const bool quoted = text.size() >= 2 && (text.front() == '"' || text.front() == '\'') &&
                      text.back() == text.front();
  return quoted ? text.substr(1, text.size() - 2) : text;
}

Result<bool> parse_option_bool(std::string_view text) {
  if (text == "true" || text == "1" || text == "t") return true;
  if (text == "false" || text == "0" || text == "f") return false;
  return fail(Code::kInvalid, "{} is neither true nor false", text);
}

Result<int64_t> parse_option_ms(std::string_view text) {
  Result<int64_t> ns = parse_go_duration(text);
  if (!ns) return ns;
  if (*ns < 0 || *ns > kMaxDurationNs) return fail(Code::kInvalid, "{} is out of range", text);
  return *ns / 1'000'000;
}

}  // namespace sluice::proxy
