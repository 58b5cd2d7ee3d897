// Where the balancer's settings come from: flags, environment, properties file.
#include <fmt/format.h>

#include <algorithm>

#include "app/lb_config.h"
#include "core/ascii.h"

namespace sluice {

namespace {

constexpr int kMaxExpansions = 64;
constexpr std::string_view kBlanks = " \t\f";

void append_utf8(std::string& out, uint32_t code) {
  const auto put = [&out](uint32_t byte) { out += static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xc0 | code >> 6);
    put(0x80 | (code & 0x3f));
  } else {
    put(0xe0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3f));
    put(0x80 | (code & 0x3f));
  }
}

/// Backslash sequences of a properties file; of any other character the backslash goes.
Result<std::string> unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    const char c = text[++i];
    if (c == 'n') {
      out += '\n';
    } else if (c == 't') {
      out += '\t';
    } else if (c == 'r') {
      out += '\r';
    } else if (c == 'f') {
      out += '\f';
    } else if (c == 'u') {
      uint32_t code = 0;
      for (size_t digit = 0; digit < 4; ++digit) {
        const char h = i + 1 < text.size() ? text[++i] : '?';
        const auto place = std::string_view("0123456789abcdef").find(static_cast<char>(h | 0x20));
        const bool decimal = h >= '0' && h <= '9';
        if (place == std::string_view::npos || (place < 10 && !decimal)) {
          return fail(Code::kInvalid, "\\u wants four hex digits");
        }
        code = code * 16 + static_cast<uint32_t>(place);
      }
      append_utf8(out, code);
    } else {
      out += c;
    }
  }
  return out;
}

/// Lines, comments and blank ones left out, continued ones joined.
std::vector<std::pair<int, std::string>> logical_lines(std::string_view text) {
  std::vector<std::pair<int, std::string>> lines;
  int number = 0;
  bool continued = false;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    line.remove_prefix(std::min(line.find_first_not_of(kBlanks), line.size()));
    if (!continued && (line.empty() || line[0] == '#' || line[0] == '!')) continue;
    if (!continued) lines.emplace_back(number, std::string());
    size_t slashes = 0;
    while (slashes < line.size() && line[line.size() - 1 - slashes] == '\\') ++slashes;
    continued = slashes % 2 == 1;
    if (continued) line.remove_suffix(1);
    lines.back().second += line;
  }
  return lines;
}

using Lookup = std::function<std::optional<std::string>(std::string_view)>;

/// `${key}`: of the file, then of the environment.
Result<std::string> expand(std::string text, const std::map<std::string, std::string>& file,
                           const Lookup& environment) {
  for (int count = 0;; ++count) {
    const size_t begin = text.rfind("${");
    if (begin == std::string::npos) return text;
    const size_t end = text.find('}', begin);
    if (end == std::string::npos) return fail(Code::kInvalid, "${{ without }}");
    if (count == kMaxExpansions) return fail(Code::kInvalid, "it expands to itself");
    const std::string key = text.substr(begin + 2, end - begin - 2);
    std::optional<std::string> value;
    if (const auto found = file.find(key); found != file.end()) value = found->second;
    if (!value) value = environment(key);
    if (!value) return fail(Code::kInvalid, "${{{}}} is neither a key nor in the environment", key);
    text.replace(begin, end + 1 - begin, *value);
  }
}

/// "proxy.addr" to "PROXY_ADDR".
std::string environment_name(std::string_view name) {
  std::string out(name);
  for (char& c : out) c = c == '.' ? '_' : ascii::upper(c);
  return out;
}

std::map<std::string, std::string> upper_environment(const std::vector<std::string>& environment) {
  std::map<std::string, std::string> values;
  for (const std::string& entry : environment) {
    const size_t equals = entry.find('=');
    if (equals == std::string::npos) continue;
    values[environment_name(entry.substr(0, equals))] = entry.substr(equals + 1);
  }
  return values;
}

struct ParsedFlags {
  std::vector<std::pair<std::string, std::string>> values;
  std::string file;
  bool help = false;
  bool version = false;
};

std::string unquote(std::string text) {
  const bool quoted =
      text.size() >= 2 && (text[0] == '"' || text[0] == '\'') && text.back() == text[0];
  return quoted ? text.substr(1, text.size() - 2) : text;
}

Result<ParsedFlags> parse_flags(const std::vector<std::string>& arguments) {
  ParsedFlags flags;
  for (size_t i = 0; i < arguments.size(); ++i) {
    std::string_view text = arguments[i];
    if (!text.starts_with('-') || text == "-" || text == "--") {
      return fail(Code::kInvalid, "unexpected argument '{}' (sluice lb -help)", text);
    }
    text.remove_prefix(text.starts_with("--") ? 2 : 1);
    const size_t equals = text.find('=');
    const std::string name(text.substr(0, equals));
    if (name == "h" || name == "help") {
      flags.help = true;
      continue;
    }
    if (name == "v" || name == "version") {
      flags.version = true;
      continue;
    }
    const Property* property = find_property(name);
    if (property == nullptr && name != "cfg") {
      return fail(Code::kInvalid, "unknown flag -{} (sluice lb -help)", name);
    }
    std::string value;
    if (equals != std::string_view::npos) {
      value = text.substr(equals + 1);
    } else if (property != nullptr && property->type == PropertyType::kBool) {
      value = "true";
    } else if (i + 1 < arguments.size()) {
      value = arguments[++i];
    } else {
      return fail(Code::kInvalid, "flag -{} needs a value", name);
    }
    if (property == nullptr) {
      flags.file = unquote(std::move(value));
      if (flags.file.empty()) return fail(Code::kInvalid, "flag -cfg needs a path");
    } else {
      flags.values.emplace_back(name, std::move(value));
    }
  }
  return flags;
}

}  // namespace

Result<std::map<std::string, std::string>> parse_properties(std::string_view text,
                                                            const Lookup& environment) {
  std::map<std::string, std::string> raw;
  std::map<std::string, int> line_of;
  for (auto& [number, line] : logical_lines(text)) {
    size_t end = 0;
    while (end < line.size() && line[end] != '=' && line[end] != ':' &&
           kBlanks.find(line[end]) == std::string_view::npos) {
      end += line[end] == '\\' ? 2 : 1;
    }
    end = std::min(end, line.size());
    std::string_view value = std::string_view(line).substr(end);
    value.remove_prefix(std::min(value.find_first_not_of(kBlanks), value.size()));
    if (value.starts_with('=') || value.starts_with(':')) value.remove_prefix(1);
    value.remove_prefix(std::min(value.find_first_not_of(kBlanks), value.size()));
    Result<std::string> key = unescape(std::string_view(line).substr(0, end));
    if (!key) return pass(key, "line {}", number);
    if (key->empty()) return fail(Code::kInvalid, "line {}: no key", number);
    Result<std::string> plain = unescape(value);
    if (!plain) return pass(plain, "line {}", number);
    line_of[*key] = number;
    raw[*std::move(key)] = *std::move(plain);
  }
  std::map<std::string, std::string> out;
  for (const auto& [key, value] : raw) {
    Result<std::string> expanded = expand(value, raw, environment);
    if (!expanded) return pass(expanded, "line {}: {}", line_of[key], key);
    out[key] = *std::move(expanded);
  }
  return out;
}

bool is_lb_flag(std::string_view word) {
  if (!word.starts_with('-')) return false;
  word.remove_prefix(word.starts_with("--") ? 2 : 1);
  word = word.substr(0, word.find('='));
  return word == "cfg" || find_property(word) != nullptr;
}

Result<LbConfig> load_lb_config(const std::vector<std::string>& arguments,
                                const std::vector<std::string>& environment, Disk& disk,
                                const FetchConfig& fetch) {
  Result<ParsedFlags> flags = parse_flags(arguments);
  if (!flags) return pass(flags);
  LbConfig config;
  config.help = flags->help;
  config.version = flags->version;
  if (config.help || config.version) return config;
  if (!flags->file.empty()) {
    const bool is_url = flags->file.starts_with("http://") || flags->file.starts_with("https://");
    Result<std::string> text =
        is_url ? fetch(flags->file) : disk.read_file(flags->file, kConfigBytes);
    if (!text) return pass(text, "-cfg");
    const Lookup lookup = [&](std::string_view key) -> std::optional<std::string> {
      for (const std::string& entry : environment) {
        if (entry.starts_with(key) && entry.size() > key.size() && entry[key.size()] == '=') {
          return entry.substr(key.size() + 1);
        }
      }
      return std::nullopt;
    };
    auto values = parse_properties(*text, lookup);
    // Without a URL's query, which may hold a token.
    const std::string source = is_url ? flags->file.substr(0, flags->file.find('?')) : flags->file;
    if (!values) return pass(values, "{}", source);
    for (auto& [name, value] : *values) {
      if (find_property(name) == nullptr) {
        return fail(Code::kInvalid, "{}: unknown property {}", source, name);
      }
      config.properties.set(name, std::move(value));
    }
  }
  const std::map<std::string, std::string> values = upper_environment(environment);
  for (const Property& property : known_properties()) {
    const std::string name = environment_name(property.name);
    for (const char* prefix : {"SLUICE_", "FABIO_", ""}) {
      // INSECURE alone belongs to whoever set it.
      if (*prefix == '\0' && name.find('_') == std::string::npos) continue;
      const auto found = values.find(prefix + name);
      if (found == values.end()) continue;
      config.properties.set(std::string(property.name), found->second);
      break;
    }
  }
  for (auto& [name, value] : flags->values) config.properties.set(name, std::move(value));
  Result<void> checked = config.properties.check(config.warnings);
  if (!checked) return pass(checked);
  return config;
}

}  // namespace sluice
