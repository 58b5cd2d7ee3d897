// regex_replace, with RE2: its syntax is Go's, and its time is linear in the text.
#include <re2/re2.h>

#include <algorithm>
#include <map>

#include "core/ascii.h"
#include "core/hcl/functions_impl.h"
#include "core/hcl/unicode.h"

namespace sluice::hcl {

namespace {

constexpr int64_t kMaxMemory = 1 << 20;  // of one compiled expression
constexpr int kMaxGroups = 100;

bool is_word(char c) {
  return ascii::is_alphanumeric(c) || c == '_';
}

// What $1, ${1}, $name and ${name} in the replacement stand for; $$ is a dollar sign. A group that
// does not exist is empty.
class Replacement {
 public:
  Replacement(std::string_view text, const RE2& regex)
      : text_(text), names_(regex.NamedCapturingGroups()) {}

  void append(const std::vector<re2::StringPiece>& groups, std::string& out) const;

 private:
  void append_group(std::string_view name, const std::vector<re2::StringPiece>& groups,
                    std::string& out) const;

  std::string_view text_;
  const std::map<std::string, int>& names_;
};

void Replacement::append_group(std::string_view name, const std::vector<re2::StringPiece>& groups,
                               std::string& out) const {
  size_t index = groups.size();
  bool number = name.find_first_not_of("0123456789") == std::string_view::npos && name.size() < 6;
  if (number) {
    index = std::stoul(std::string(name));
  } else if (auto at = names_.find(std::string(name)); at != names_.end()) {
    index = static_cast<size_t>(at->second);
  }
  if (index < groups.size()) out.append(groups[index].data(), groups[index].size());
}

void Replacement::append(const std::vector<re2::StringPiece>& groups, std::string& out) const {
  std::string_view rest = text_;
  while (!rest.empty()) {
    size_t dollar = rest.find('$');
    out += rest.substr(0, dollar);
    if (dollar == std::string_view::npos) return;
    rest.remove_prefix(dollar);
    if (rest.starts_with("$$")) {
      out += '$';
      rest.remove_prefix(2);
      continue;
    }
    bool braces = rest.starts_with("${");
    size_t first = braces ? 2 : 1;
    size_t last = first;
    while (last < rest.size() && is_word(rest[last])) ++last;
    bool good = last > first && (!braces || (last < rest.size() && rest[last] == '}'));
    if (!good) {
      out += '$';
      rest.remove_prefix(1);
      continue;
    }
    append_group(rest.substr(first, last - first), groups, out);
    rest.remove_prefix(braces ? last + 1 : last);
  }
}

// \C, which Go has not: a single byte, so that what is left of a text would be none.
bool takes_bytes(std::string_view pattern) {
  for (size_t i = 0; i + 1 < pattern.size(); ++i) {
    if (pattern[i] != '\\') continue;
    ++i;
    if (pattern[i] == 'C') return true;
    if (pattern[i] == 'Q') i = std::min(pattern.find("\\E", i), pattern.size());
  }
  return false;
}

Result<Value> regex_replace(Arguments arguments, CallContext& context) {
  const std::string& text = arguments[0].as_string();
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kMaxMemory);
  RE2 regex(arguments[1].as_string(), options);
  if (takes_bytes(arguments[1].as_string())) {
    return fail(Code::kInvalid, "the regular expression is wrong: invalid escape sequence: \\C");
  }
  if (!regex.ok()) {
    return fail(Code::kInvalid, "the regular expression is wrong: {}", regex.error());
  }
  if (regex.NumberOfCapturingGroups() > kMaxGroups) {
    return fail(Code::kLimit, "the regular expression has more than {} groups", kMaxGroups);
  }
  Replacement replacement(arguments[2].as_string(), regex);
  std::vector<re2::StringPiece> groups(static_cast<size_t>(regex.NumberOfCapturingGroups()) + 1);
  std::string out;
  size_t copied = 0;
  size_t at = 0;
  while (at <= text.size()) {
    // Each search walks the rest of the text.
    if (!context.budget.spend_steps(1 + (text.size() - at) / 64)) return too_much();
    if (!regex.Match(text, at, text.size(), RE2::UNANCHORED, groups.data(),
                     static_cast<int>(groups.size()))) {
      break;
    }
    auto begin = static_cast<size_t>(groups[0].data() - text.data());
    size_t end = begin + groups[0].size();
    out.append(text, copied, begin - copied);
    // An empty match right behind the last one does not count.
    if (end > copied || begin == 0) {
      size_t before = out.size();
      replacement.append(groups, out);
      if (!context.budget.spend_bytes(out.size() - before)) return too_much();
    }
    copied = end;
    size_t step = at < text.size() ? first_code_point(std::string_view(text).substr(at)).length : 1;
    at = std::max(end, at + step);
  }
  out.append(text, copied);
  return Value::string(std::move(out));
}

}  // namespace

void add_regex_functions(std::vector<Function>& out) {
  const Parameter text{"text", Type::string()};
  out.push_back({"regex_replace",
                 {text, {"pattern", Type::string()}, {"replacement", Type::string()}},
                 false,
                 regex_replace});
}

}  // namespace sluice::hcl
