#include "proxy/glob.h"

#include <optional>

namespace sluice::proxy {

namespace {

/// Where a set that begins at `open` ends (its closing bracket), or npos.
size_t set_end(std::string_view pattern, size_t open) {
  size_t at = open + 1;
  if (at < pattern.size() && (pattern[at] == '!' || pattern[at] == '^')) ++at;
  if (at < pattern.size() && pattern[at] == ']')
    ++at;  // a bracket that comes first is one of the set
  while (at < pattern.size() && pattern[at] != ']') ++at;
  return at < pattern.size() ? at : std::string_view::npos;
}

bool set_holds(std::string_view set, char c) {  // between the brackets
  const bool inverted = !set.empty() && (set[0] == '!' || set[0] == '^');
  if (inverted) set.remove_prefix(1);
  bool found = false;
  for (size_t i = 0; i < set.size(); ++i) {
    if (i + 2 < set.size() && set[i + 1] == '-') {
      found = found || (set[i] <= c && c <= set[i + 2]);
      i += 2;
    } else {
      found = found || set[i] == c;
    }
  }
  return found != inverted;
}

/// Multiplies the first {a,b} out; nullopt: there is none. An error: it does not end.
Result<std::optional<std::vector<std::string>>> expand_first(std::string_view pattern) {
  size_t open = std::string_view::npos;
  int depth = 0;
  std::vector<std::string> options;
  size_t begin = 0;
  for (size_t at = 0; at < pattern.size(); ++at) {
    const char c = pattern[at];
    if (c == '\\') {
      ++at;
    } else if (c == '[') {
      const size_t end = set_end(pattern, at);
      if (end == std::string_view::npos) return fail(Code::kInvalid, "[ without ]");
      at = end;
    } else if (c == '{') {
      if (depth++ == 0) {
        open = at;
        begin = at + 1;
      }
    } else if (c == ',' && depth == 1) {
      options.emplace_back(pattern.substr(begin, at - begin));
      begin = at + 1;
    } else if (c == '}' && depth > 0 && --depth == 0) {
      options.emplace_back(pattern.substr(begin, at - begin));
      for (std::string& each : options) {
        each.insert(0, pattern.substr(0, open));
        each += pattern.substr(at + 1);
      }
      return options;
    }
  }
  if (depth > 0) return fail(Code::kInvalid, "{{ without }}");
  return std::nullopt;
}

/// One alternative: no braces. Each star remembers only the last one before it, so the work is
/// bounded.
bool matches_one(std::string_view pattern, std::string_view text) {
  size_t p = 0;
  size_t t = 0;
  size_t star =
      std::string_view::npos;  // where to go on in the pattern after giving the star one more
  size_t star_text = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = ++p;
      star_text = t;
      continue;
    }
    bool same = false;
    size_t step = 1;
    if (p < pattern.size()) {
      if (pattern[p] == '?') {
        same = true;
      } else if (pattern[p] == '[') {
        const size_t end = set_end(pattern, p);
        same = set_holds(pattern.substr(p + 1, end - p - 1), text[t]);
        step = end - p + 1;
      } else if (pattern[p] == '\\' && p + 1 < pattern.size()) {
        same = pattern[p + 1] == text[t];
        step = 2;
      } else {
        same = pattern[p] == text[t];
      }
    }
    if (same) {
      p += step;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star;
      t = ++star_text;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace

Result<Glob> Glob::compile(std::string_view pattern, const GlobLimits& limits) {
  if (pattern.size() > limits.pattern_bytes) {
    return fail(Code::kLimit, "glob longer than {} bytes", limits.pattern_bytes);
  }
  Glob glob;
  std::vector<std::string> open = {std::string(pattern)};
  while (!open.empty()) {
    const std::string next = std::move(open.back());
    open.pop_back();
    auto expanded = expand_first(next);
    if (!expanded) return pass(expanded, "glob {:?}", pattern);
    if (!*expanded) {
      glob.alternatives_.push_back(next);
    } else {
      for (std::string& each : **expanded) open.push_back(std::move(each));
    }
    if (open.size() + glob.alternatives_.size() > limits.alternatives) {
      return fail(Code::kLimit, "glob {:?} stands for more than {} patterns", pattern,
                  limits.alternatives);
    }
  }
  return glob;
}

bool Glob::matches(std::string_view text) const {
  for (const std::string& each : alternatives_) {
    if (matches_one(each, text)) return true;
  }
  return false;
}

bool has_glob(std::string_view text) {
  return text.find_first_of("*?[{\\") != std::string_view::npos;
}

}  // namespace sluice::proxy
