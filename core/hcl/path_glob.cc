#include "core/hcl/path_glob.h"

#include <vector>

namespace sluice::hcl {

std::string clean_path(std::string_view path) {
  bool absolute = path.starts_with('/');
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    size_t slash = path.find('/');
    std::string_view part = path.substr(0, slash);
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
    if (part.empty() || part == ".") continue;
    bool up = part == ".." && !parts.empty() && parts.back() != "..";
    if (up) {
      parts.pop_back();
    } else if (part != ".." || !absolute) {
      parts.push_back(part);
    }
  }
  std::string out;
  for (std::string_view part : parts) {
    if (!out.empty() || absolute) out += '/';
    out += part;
  }
  if (!out.empty()) return out;
  return absolute ? "/" : ".";
}

namespace {

class Matcher {
 public:
  Result<bool> match(std::string_view pattern, std::string_view path);

 private:
  static constexpr int kMaxSteps = 100'000;
  static constexpr int kMaxDepth = 200;

  Result<bool> match_class(std::string_view& pattern, char c);
  Result<bool> match_choice(std::string_view pattern, std::string_view path);
  Result<bool> match_star(std::string_view pattern, std::string_view path);

  int steps_ = 0;
  int depth_ = 0;
};

std::unexpected<Error> wrong(std::string_view what) {
  return fail(Code::kInvalid, "the pattern is wrong: {}", what);
}

// `pattern` starts behind the "[" and ends behind the "]".
Result<bool> Matcher::match_class(std::string_view& pattern, char c) {
  bool negated = pattern.starts_with('^') || pattern.starts_with('!');
  if (negated) pattern.remove_prefix(1);
  bool found = false;
  for (bool first = true; first || !pattern.starts_with(']'); first = false) {
    auto take = [&]() -> char {
      if (pattern.starts_with('\\')) pattern.remove_prefix(1);
      if (pattern.empty()) return '\0';
      char taken = pattern[0];
      pattern.remove_prefix(1);
      return taken;
    };
    char low = take();
    char high = low;
    if (pattern.size() > 1 && pattern[0] == '-' && pattern[1] != ']') {
      pattern.remove_prefix(1);
      high = take();
    }
    if (pattern.empty()) return wrong("a [ is not closed");
    found = found || (c >= low && c <= high);
  }
  pattern.remove_prefix(1);
  return found != negated && c != '/';
}

// {a,b}: each alternative with what follows.
Result<bool> Matcher::match_choice(std::string_view pattern, std::string_view path) {
  int open = 1;
  size_t start = 1;
  std::vector<std::string_view> choices;
  size_t at = 1;
  for (; at < pattern.size() && open > 0; ++at) {
    if (pattern[at] == '\\') {
      ++at;
    } else if (pattern[at] == '{') {
      ++open;
    } else if (pattern[at] == '}') {
      --open;
    }
    bool ends = open == 0 || (open == 1 && at < pattern.size() && pattern[at] == ',');
    if (!ends) continue;
    choices.push_back(pattern.substr(start, at - start));
    start = at + 1;
  }
  if (open > 0) return wrong("a { is not closed");
  for (std::string_view choice : choices) {
    Result<bool> matches = match(std::string(choice) + std::string(pattern.substr(at)), path);
    if (!matches || *matches) return matches;
  }
  return false;
}

Result<bool> Matcher::match_star(std::string_view pattern, std::string_view path) {
  bool folders = pattern.starts_with("**");
  pattern.remove_prefix(folders ? 2 : 1);
  // "**/" is also no folder at all.
  if (folders && pattern.starts_with('/')) {
    Result<bool> none = match(pattern.substr(1), path);
    if (!none || *none) return none;
  }
  for (size_t taken = 0;; ++taken) {
    Result<bool> matches = match(pattern, path.substr(taken));
    if (!matches || *matches) return matches;
    if (taken == path.size() || (!folders && path[taken] == '/')) return false;
  }
}

Result<bool> Matcher::match(std::string_view pattern, std::string_view path) {
  if (++steps_ > kMaxSteps || depth_ >= kMaxDepth) return wrong("it takes too many steps");
  ++depth_;
  struct Leave {
    int& depth;
    ~Leave() { --depth; }
  } leave{depth_};
  while (!pattern.empty()) {
    char c = pattern[0];
    if (c == '*') return match_star(pattern, path);
    if (c == '{') return match_choice(pattern, path);
    if (path.empty()) return false;
    if (c == '[') {
      pattern.remove_prefix(1);
      Result<bool> in = match_class(pattern, path[0]);
      if (!in || !*in) return in;
      path.remove_prefix(1);
      continue;
    }
    if (c == '\\' && pattern.size() > 1) pattern.remove_prefix(1);
    bool same = c == '?' ? path[0] != '/' : pattern[0] == path[0];
    if (!same) return false;
    pattern.remove_prefix(1);
    path.remove_prefix(1);
  }
  return path.empty();
}

}  // namespace

Result<bool> glob_matches(std::string_view pattern, std::string_view path) {
  return Matcher().match(pattern, path);
}

}  // namespace sluice::hcl
