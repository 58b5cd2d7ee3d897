#include "orchestrator/constraint.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <compare>
#include <set>
#include <vector>

#include "core/regex.h"

namespace sluice::orchestrator {

namespace {

constexpr size_t kMaxPatternBytes = 512;

/// A version as Nomad's `version` operator reads it: numbers, then an optional pre-release.
struct Version {
  std::vector<int64_t> parts;
  std::string pre_release;
};

std::optional<Version> parse_version(std::string_view text, bool strict) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  if (!strict && text.starts_with('v')) text.remove_prefix(1);
  Version version;
  if (const size_t plus = text.find('+'); plus != std::string_view::npos) {
    text = text.substr(0, plus);
  }
  if (const size_t dash = text.find('-'); dash != std::string_view::npos) {
    version.pre_release = text.substr(dash + 1);
    if (version.pre_release.empty()) return std::nullopt;
    text = text.substr(0, dash);
  }
  while (true) {
    int64_t part = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), part);
    if (error != std::errc() || part < 0) return std::nullopt;
    version.parts.push_back(part);
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    if (text.empty()) break;
    if (text.front() != '.') return std::nullopt;
    text.remove_prefix(1);
  }
  if (strict && version.parts.size() != 3) return std::nullopt;
  return version;
}

/// Semantic Versioning 2.0.0 section 11.
std::strong_ordering compare_pre_release(std::string_view a, std::string_view b) {
  if (a.empty() || b.empty()) return b.size() <=> a.size();  // without one is the newer
  while (!a.empty() && !b.empty()) {
    const std::string_view x = a.substr(0, a.find('.'));
    const std::string_view y = b.substr(0, b.find('.'));
    int64_t p = 0, q = 0;
    const auto number = [](std::string_view text, int64_t& value) {
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
      return error == std::errc() && end == text.data() + text.size();
    };
    const bool x_number = number(x, p), y_number = number(y, q);
    if (x_number != y_number) {
      return x_number ? std::strong_ordering::less : std::strong_ordering::greater;
    }
    const auto order = x_number ? p <=> q : x <=> y;
    if (order != 0) return order;
    a.remove_prefix(std::min(a.size(), x.size() + 1));
    b.remove_prefix(std::min(b.size(), y.size() + 1));
  }
  return a.size() <=> b.size();
}

std::strong_ordering compare(const Version& a, const Version& b) {
  for (size_t i = 0; i < std::max(a.parts.size(), b.parts.size()); ++i) {
    const int64_t x = i < a.parts.size() ? a.parts[i] : 0;
    const int64_t y = i < b.parts.size() ? b.parts[i] : 0;
    if (x != y) return x <=> y;
  }
  return compare_pre_release(a.pre_release, b.pre_release);
}

struct VersionRule {
  std::string_view op;
  Version version;
};

/// ">= 1.2, < 2.0"; nullopt where it is malformed.
std::optional<std::vector<VersionRule>> parse_version_rules(std::string_view text, bool strict) {
  std::vector<VersionRule> rules;
  while (true) {
    const size_t comma = text.find(',');
    std::string_view part = text.substr(0, comma);
    while (part.starts_with(' ')) part.remove_prefix(1);
    std::string_view op = "=";
    for (const std::string_view known : {"!=", ">=", "<=", "~>", "=", ">", "<"}) {
      if (part.starts_with(known)) {
        op = known;
        part.remove_prefix(known.size());
        break;
      }
    }
    auto version = parse_version(part, strict);
    if (!version || (strict && op == "~>")) return std::nullopt;
    rules.push_back({op, std::move(*version)});
    if (comma == std::string_view::npos) return rules;
    text.remove_prefix(comma + 1);
  }
}

bool version_holds(const Version& version, const VersionRule& rule, bool strict) {
  // As in HashiCorp's go-version: a pre-release matches no range of releases, and only its own
  // version's range of pre-releases. Semantic versioning knows no such rule.
  const auto pre_release_fits = [&] {
    if (strict || version.pre_release.empty()) return true;
    return !rule.version.pre_release.empty() && version.parts == rule.version.parts;
  };
  const auto order = compare(version, rule.version);
  if (rule.op == "=") return order == 0;
  if (rule.op == "!=") return order != 0;
  if (rule.op == ">") return order > 0 && pre_release_fits();
  if (rule.op == "<") return order < 0 && pre_release_fits();
  if (rule.op == ">=") return order >= 0 && pre_release_fits();
  if (rule.op == "<=") return order <= 0 && pre_release_fits();
  // ~> 1.2.3: at least that, and the same but for the last part given.
  if (order < 0 || !pre_release_fits()) return false;
  for (size_t i = 0; i + 1 < rule.version.parts.size(); ++i) {
    if (i >= version.parts.size() || version.parts[i] != rule.version.parts[i]) return false;
  }
  return true;
}

bool version_matches(const std::string& l, const std::string& r, bool strict) {
  const auto version = parse_version(l, strict);
  const auto rules = parse_version_rules(r, strict);
  if (!version || !rules) return false;
  return std::all_of(rules->begin(), rules->end(), [&](const VersionRule& rule) {
    return version_holds(*version, rule, strict);
  });
}

std::set<std::string_view> split_set(std::string_view text) {
  std::set<std::string_view> out;
  while (true) {
    const size_t comma = text.find(',');
    std::string_view part = text.substr(0, comma);
    while (part.starts_with(' ')) part.remove_prefix(1);
    while (part.ends_with(' ')) part.remove_suffix(1);
    out.insert(part);
    if (comma == std::string_view::npos) return out;
    text.remove_prefix(comma + 1);
  }
}

/// Numbers as numbers where both are, else as text.
bool ordered(std::string_view operand, const std::string& l, const std::string& r) {
  const auto decide = [&](auto order) {
    if (operand == "<") return order < 0;
    if (operand == "<=") return order <= 0;
    if (operand == ">") return order > 0;
    return order >= 0;
  };
  double x = 0, y = 0;
  const auto number = [](const std::string& text, double& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size();
  };
  if (number(l, x) && number(r, y)) return decide(x <=> y);
  return decide(l <=> r);
}

}  // namespace

Result<void> check_constraint(const Constraint& c) {
  static constexpr std::array<std::string_view, 21> kKnown = {"=",
                                                              "==",
                                                              "is",
                                                              "!=",
                                                              "not",
                                                              "<",
                                                              "<=",
                                                              ">",
                                                              ">=",
                                                              "regexp",
                                                              "version",
                                                              "semver",
                                                              "is_set",
                                                              "is_not_set",
                                                              "set_contains",
                                                              "set_contains_all",
                                                              "set_contains_any",
                                                              "distinct_hosts",
                                                              "distinct_property",
                                                              "",
                                                              "lock"};
  if (c.operand.empty() || c.operand == "lock" ||
      std::find(kKnown.begin(), kKnown.end(), c.operand) == kKnown.end()) {
    return fail(Code::kInvalid, "unknown operator \"{}\"", c.operand);
  }
  if (c.operand == "distinct_hosts") {
    if (!c.r_target.empty() && c.r_target != "true" && c.r_target != "false") {
      return fail(Code::kInvalid, "distinct_hosts must be true or false, not \"{}\"", c.r_target);
    }
    return {};
  }
  if (c.l_target.empty()) return fail(Code::kInvalid, "attribute is missing ({})", c.operand);
  if (c.operand == "distinct_property") {
    int64_t count = 0;
    const auto [end, error] =
        std::from_chars(c.r_target.data(), c.r_target.data() + c.r_target.size(), count);
    if (!c.r_target.empty() &&
        (error != std::errc() || end != c.r_target.data() + c.r_target.size() || count < 1)) {
      return fail(Code::kInvalid, "distinct_property takes a number above 0, not \"{}\"",
                  c.r_target);
    }
    return {};
  }
  if (c.operand == "is_set" || c.operand == "is_not_set") {
    if (!c.r_target.empty()) return fail(Code::kInvalid, "{} takes no value", c.operand);
    return {};
  }
  if (c.r_target.empty() && c.operand != "=" && c.operand != "==" && c.operand != "is" &&
      c.operand != "!=" && c.operand != "not") {
    return fail(Code::kInvalid, "value is missing ({})", c.operand);
  }
  if (c.operand == "regexp") {
    if (c.r_target.size() > kMaxPatternBytes) {
      return fail(Code::kLimit, "regexp: the pattern is longer than {} bytes", kMaxPatternBytes);
    }
    if (auto compiled = regex_matches(c.r_target, ""); !compiled) {
      return fail(Code::kInvalid, "regexp \"{}\": {}", c.r_target, compiled.error().message);
    }
  }
  if (c.operand == "version" || c.operand == "semver") {
    if (!parse_version_rules(c.r_target, c.operand == "semver")) {
      return fail(Code::kInvalid, "{} \"{}\" is no list of versions like \">= 1.2, < 2.0\"",
                  c.operand, c.r_target);
    }
  }
  return {};
}

std::optional<std::string> resolve_target(std::string_view target, const Node& node) {
  if (!target.starts_with("${") || !target.ends_with('}')) return std::string(target);
  const std::string_view name = target.substr(2, target.size() - 3);
  const auto look = [](const StringMap& map, std::string_view key) -> std::optional<std::string> {
    const auto found = map.find(std::string(key));
    if (found == map.end()) return std::nullopt;
    return found->second;
  };
  if (name.starts_with("attr.")) return look(node.attributes, name.substr(5));
  if (name.starts_with("meta.")) return look(node.meta, name.substr(5));
  if (name == "node.unique.id") return node.id;
  if (name == "node.unique.name") return node.name;
  if (name == "node.datacenter") return node.datacenter;
  if (name == "node.class") return node.node_class;
  if (name == "node.pool") return node.node_pool;
  return std::nullopt;
}

bool operator_holds(std::string_view operand, const std::optional<std::string>& l,
                    const std::optional<std::string>& r) {
  if (operand == "is_set") return l.has_value();
  if (operand == "is_not_set") return !l.has_value();
  if (operand == "!=" || operand == "not") return l != r;
  if (!l || !r) return false;
  if (operand == "=" || operand == "==" || operand == "is") return *l == *r;
  if (operand == "regexp") return regex_matches(*r, *l).value_or(false);
  if (operand == "version") return version_matches(*l, *r, false);
  if (operand == "semver") return version_matches(*l, *r, true);
  if (operand == "set_contains" || operand == "set_contains_all") {
    const auto have = split_set(*l);
    const auto want = split_set(*r);
    return std::all_of(want.begin(), want.end(), [&](auto item) { return have.contains(item); });
  }
  if (operand == "set_contains_any") {
    const auto have = split_set(*l);
    const auto want = split_set(*r);
    return std::any_of(want.begin(), want.end(), [&](auto item) { return have.contains(item); });
  }
  return ordered(operand, *l, *r);
}

std::string to_string(const Constraint& c) {
  if (c.operand == "distinct_hosts") return "distinct_hosts";
  std::string text = c.l_target + ' ' + c.operand;
  if (!c.r_target.empty()) text += ' ' + c.r_target;
  return text;
}

bool is_unique_target(std::string_view target) {
  return target.starts_with("${node.unique.") || target.starts_with("${attr.unique.") ||
         target.starts_with("${meta.unique.");
}

}  // namespace sluice::orchestrator
