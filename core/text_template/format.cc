// Values as text: Go's %v, and its Sprintf.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/text_template/lexer.h"
#include "core/text_template/template.h"

namespace sluice::text_template {

namespace {

using Arguments = std::span<const Json>;

/// As Go's strconv with the shortest form, %v of a float64: plain digits below a million.
std::string float_text(double value) {
  constexpr double kFirstScientific = 1e6, kLastScientific = 1e-4;
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  if (value == 0) return std::signbit(value) ? "-0" : "0";
  const double size = std::fabs(value);
  const auto format = size < kLastScientific || size >= kFirstScientific
                          ? std::chars_format::scientific
                          : std::chars_format::fixed;
  char buffer[64];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value, format);
  if (error != std::errc()) return fmt::format("{}", value);
  return std::string(buffer, end);
}

struct Verb {
  bool left = false, plus = false, zero = false, space = false, alternate = false;
  int64_t width = 0;
  int64_t precision = -1;
  char verb = 'v';
};

std::string padded(std::string text, const Verb& verb) {
  const auto width = static_cast<size_t>(verb.width);
  if (text.size() >= width) return text;
  const size_t missing = width - text.size();
  if (verb.left) return text + std::string(missing, ' ');
  if (verb.zero) {
    const size_t sign = text.starts_with('-') || text.starts_with('+') ? 1 : 0;
    return text.substr(0, sign) + std::string(missing, '0') + text.substr(sign);
  }
  return std::string(missing, ' ') + text;
}

/// What Go prints for an operand of the wrong type.
std::string mismatch(char verb, const Json& value) {
  if (value.is_null()) return fmt::format("%!{}(<nil>)", verb);
  return fmt::format("%!{}({}={})", verb, kind_name(value), to_text(value));
}

std::string whole_text(int64_t value, const Verb& verb) {
  const bool negative = value < 0;
  const auto size = negative ? ~static_cast<uint64_t>(value) + 1 : static_cast<uint64_t>(value);
  std::string digits;
  switch (verb.verb) {
    case 'b': digits = fmt::format("{:b}", size); break;
    case 'o': digits = fmt::format("{:o}", size); break;
    case 'x': digits = fmt::format("{}{:x}", verb.alternate ? "0x" : "", size); break;
    case 'X': digits = fmt::format("{}{:X}", verb.alternate ? "0X" : "", size); break;
    default: digits = fmt::format("{}", size);
  }
  if (negative) return "-" + digits;
  return (verb.plus ? "+" : verb.space ? " " : "") + digits;
}

std::string hex_of(std::string_view bytes, bool upper) {
  std::string out;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out += upper ? fmt::format("{:02X}", byte) : fmt::format("{:02x}", byte);
  }
  return out;
}

std::string float_verb(double value, const Verb& verb) {
  const int precision =
      verb.precision < 0 ? 6 : static_cast<int>(std::min<int64_t>(verb.precision, 100));
  std::string text;
  switch (verb.verb) {
    case 'f':
    case 'F': text = fmt::format("{:.{}f}", value, precision); break;
    case 'e': text = fmt::format("{:.{}e}", value, precision); break;
    case 'E': text = fmt::format("{:.{}E}", value, precision); break;
    default:
      text = verb.precision < 0 ? float_text(value) : fmt::format("{:.{}g}", value, precision);
  }
  if (verb.plus && value >= 0) text = "+" + text;
  return text;
}

std::string one_verb(const Verb& verb, const Json& value);

/// Go formats the elements of a list one by one.
std::string each_verb(const Verb& verb, const Json& list) {
  std::string out = "[";
  for (const Json& item : list.as_array()) {
    out += (out.size() > 1 ? " " : "") + one_verb(verb, item);
  }
  return out + "]";
}

std::string one_verb(const Verb& verb, const Json& value) {
  std::string text;
  switch (verb.verb) {
    case 'v':
      text = value.is_int()    ? whole_text(value.as_int(), verb)
             : value.is_null() ? "<nil>"
                               : to_text(value);
      break;
    case 's':
      if (!value.is_string() && !value.is_array() && !value.is_object())
        return mismatch('s', value);
      text = to_text(value);
      if (verb.precision >= 0) text = text.substr(0, static_cast<size_t>(verb.precision));
      break;
    case 'q':
      if (value.is_array()) return each_verb(verb, value);
      if (!value.is_string()) return mismatch('q', value);
      text = to_json(value);
      break;
    case 'T': text = kind_name(value); break;
    case 'U':
      if (!value.is_int()) return mismatch('U', value);
      text = fmt::format("U+{:04X}", value.as_int());
      break;
    case 't':
      if (!value.is_bool()) return mismatch('t', value);
      text = value.as_bool() ? "true" : "false";
      break;
    case 'd':
    case 'b':
    case 'o':
      if (value.is_array()) return each_verb(verb, value);
      if (!value.is_int()) return mismatch(verb.verb, value);
      text = whole_text(value.as_int(), verb);
      break;
    case 'x':
    case 'X':
      if (value.is_string()) {
        text = hex_of(value.as_string(), verb.verb == 'X');
      } else if (value.is_int()) {
        text = whole_text(value.as_int(), verb);
      } else {
        return mismatch(verb.verb, value);
      }
      break;
    case 'c':
      if (!value.is_int()) return mismatch('c', value);
      {
        const int64_t code = value.as_int();
        put_utf8(text, static_cast<uint32_t>(code < 0 || code > 0x10ffff ? 0xfffd : code));
      }
      break;
    case 'f':
    case 'F':
    case 'e':
    case 'E':
    case 'g':
    case 'G':
      if (value.is_int() || !value.is_number()) return mismatch(verb.verb, value);
      text = float_verb(value.as_double(), verb);
      break;
    default: return mismatch(verb.verb, value);
  }
  return padded(std::move(text), verb);
}

}  // namespace

std::string_view kind_name(const Json& value) {
  switch (value.kind()) {
    case Json::Kind::kNull: return "<nil>";
    case Json::Kind::kBool: return "bool";
    case Json::Kind::kInt: return "int";
    case Json::Kind::kDouble: return "float64";
    case Json::Kind::kString: return "string";
    case Json::Kind::kArray: return "[]interface {}";
    case Json::Kind::kObject: return "map[string]interface {}";
  }
  return {};
}

std::string to_text(const Json& value) {
  switch (value.kind()) {
    case Json::Kind::kNull: return "<nil>";
    case Json::Kind::kBool: return value.as_bool() ? "true" : "false";
    case Json::Kind::kInt: return fmt::format("{}", value.as_int());
    case Json::Kind::kDouble: return float_text(value.as_double());
    case Json::Kind::kString: return value.as_string();
    case Json::Kind::kArray: {
      std::string out = "[";
      for (const Json& item : value.as_array()) out += (out.size() > 1 ? " " : "") + to_text(item);
      return out + "]";
    }
    case Json::Kind::kObject: {
      std::vector<std::string> parts;
      for (const JsonMember& member : value.as_object()) {
        if (member.key == kRecord) continue;
        parts.push_back(member.key + ":" + to_text(member.value));
      }
      std::sort(parts.begin(), parts.end());
      std::string out = "map[";
      for (const std::string& part : parts) out += (out.size() > 4 ? " " : "") + part;
      return out + "]";
    }
  }
  return {};
}

Result<std::string> format(Arguments args) {
  if (args.empty() || !args[0].is_string()) return fail(Code::kInvalid, "the format is no string");
  const std::string& pattern = args[0].as_string();
  constexpr int64_t kMaxWidth = 10'000;
  std::string out;
  size_t next = 1;
  for (size_t at = 0; at < pattern.size(); ++at) {
    if (pattern[at] != '%') {
      out += pattern[at];
      continue;
    }
    Verb verb;
    for (++at; at < pattern.size(); ++at) {
      const char c = pattern[at];
      if (c == '-') {
        verb.left = true;
      } else if (c == '+') {
        verb.plus = true;
      } else if (c == '0') {
        verb.zero = true;
      } else if (c == ' ') {
        verb.space = true;
      } else if (c == '#') {
        verb.alternate = true;
      } else {
        break;
      }
    }
    const auto number = [&](int64_t& into) {
      for (into = 0; at < pattern.size() && pattern[at] >= '0' && pattern[at] <= '9'; ++at) {
        into = std::min(into * 10 + (pattern[at] - '0'), kMaxWidth);
      }
    };
    number(verb.width);
    if (at < pattern.size() && pattern[at] == '.') {
      ++at;
      number(verb.precision);
    }
    if (at == pattern.size()) {
      out += "%!(NOVERB)";
      break;
    }
    verb.verb = pattern[at];
    if (verb.verb == '*' || verb.verb == '[') {
      return fail(Code::kInvalid, "\"{}\": widths and numbers of arguments (%*, %[) are not known",
                  pattern);
    }
    if (verb.verb == '%') {
      out += '%';
    } else if (next == args.size()) {
      out += fmt::format("%!{}(MISSING)", verb.verb);
    } else {
      out += one_verb(verb, args[next++]);
    }
  }
  if (next < args.size()) {
    out += "%!(EXTRA ";
    for (size_t i = next; i < args.size(); ++i) {
      out += (i > next ? ", " : "") + mismatch('v', args[i]).substr(4);
      out.pop_back();  // its parenthesis
    }
    out += ")";
  }
  return out;
}

}  // namespace sluice::text_template
