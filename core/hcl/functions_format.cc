// format and formatlist: verbs as Go's fmt has them, for the kinds of values that HCL has.
#include <algorithm>
#include <optional>

#include "core/ascii.h"
#include "core/hcl/functions_impl.h"
#include "core/hcl/natural.h"
#include "core/hcl/unicode.h"

namespace sluice::hcl {

namespace {

constexpr int kMaxWidth = 1'000'000;  // of a verb's width and precision

struct Verb {
  char mode = 'v';
  bool zero = false;
  bool sharp = false;
  bool plus = false;
  bool minus = false;
  bool space = false;
  std::optional<int> width;
  std::optional<int> precision;
};

std::string pad(const Verb& verb, std::string text) {
  size_t have = verb.width ? count_characters(text) : 0;
  if (!verb.width || have >= static_cast<size_t>(*verb.width)) return text;
  std::string fill(static_cast<size_t>(*verb.width) - have, verb.zero ? '0' : ' ');
  return verb.minus ? text + fill : fill + text;
}

std::string sign_of(const Verb& verb, bool negative) {
  return negative ? "-" : verb.plus ? "+" : verb.space ? " " : "";
}

// In base 2, 8, 10 or 16.
std::string digits_of(const Decimal& value, char mode) {
  if (value.digits.empty()) return "0";
  std::string decimal = value.digits;
  decimal.append(static_cast<size_t>(value.point) - value.digits.size(), '0');
  if (mode == 'd') return decimal;
  Natural rest = Natural::from_decimal(decimal);
  uint32_t base = mode == 'b' ? 2 : mode == 'o' ? 8 : 16;
  std::string_view letters = mode == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
  size_t shift = base == 2 ? 1 : base == 8 ? 3 : 4;
  std::string out;
  while (!rest.is_zero()) {
    out += letters[rest.low_bits() & (base - 1)];
    rest = rest >> shift;
  }
  std::ranges::reverse(out);
  return out;
}

Result<std::string> format_integer(const Verb& verb, const Number& number) {
  if (!number.is_whole()) {
    return fail(Code::kInvalid, "%{} takes a whole number, this is {}", verb.mode, number.text());
  }
  std::string digits = digits_of(number.exact(), verb.mode);
  std::string sign = sign_of(verb, number.sign() < 0);
  std::string_view prefix;
  if (verb.sharp) {
    prefix = verb.mode == 'b' ? "0b" : verb.mode == 'o' ? "0" : verb.mode == 'x' ? "0x" : "";
    if (verb.mode == 'X') prefix = "0X";
  }
  size_t zeros = 0;
  if (verb.precision) {
    if (*verb.precision == 0 && digits == "0") return std::string();
    auto wanted = static_cast<size_t>(*verb.precision);
    zeros = wanted > digits.size() ? wanted - digits.size() : 0;
  }
  size_t length = sign.size() + prefix.size() + zeros + digits.size();
  size_t width = verb.width ? static_cast<size_t>(*verb.width) : 0;
  std::string left;
  std::string right;
  if (length < width) {
    if (verb.minus) {
      right.assign(width - length, ' ');
    } else if (verb.zero && !verb.precision) {
      zeros = width - length;
    } else {
      left.assign(width - length, ' ');
    }
  }
  return left + sign + std::string(prefix) + std::string(zeros, '0') + digits + right;
}

std::string format_real(const Verb& verb, const Number& number) {
  bool general = verb.mode == 'g' || verb.mode == 'G';
  int precision = verb.precision ? *verb.precision : general ? -1 : 6;
  std::string digits = number.format(verb.mode, precision);
  bool negative = digits.starts_with('-');
  if (negative) digits.erase(0, 1);
  std::string sign = sign_of(verb, negative);
  size_t length = sign.size() + digits.size();
  size_t width = verb.width ? static_cast<size_t>(*verb.width) : 0;
  std::string fill(width > length ? width - length : 0, verb.zero && !verb.minus ? '0' : ' ');
  if (verb.zero && !verb.minus) return sign + fill + digits;
  return verb.minus ? sign + digits + fill : fill + sign + digits;
}

Result<std::string> format_text(const Verb& verb, const Value& value) {
  Result<Value> converted = convert(value, Type::string());
  if (!converted) return fail(Code::kInvalid, "%{}: {}", verb.mode, converted.error().message);
  std::string text = converted->as_string();
  if (verb.precision && *verb.precision > 0) {
    size_t keep = 0;
    for (int i = 0; i < *verb.precision && keep < text.size(); ++i) {
      keep += first_character(std::string_view(text).substr(keep));
    }
    text.resize(keep);
  }
  if (verb.mode == 's') return pad(verb, std::move(text));
  std::string quoted;
  append_go_json_string(quoted, text);
  return pad(verb, std::move(quoted));
}

std::string format_any(const Verb& verb, const Value& value) {
  if (!verb.sharp && !value.is_null()) {
    if (value.kind() == Type::Kind::kString) return pad(verb, value.as_string());
    if (value.kind() == Type::Kind::kNumber) return pad(verb, value.as_number().format('g', -1));
  }
  std::string json;
  append_go_json(json, value);
  return pad(verb, std::move(json));
}

Result<std::string> format_value(const Verb& verb, const Value& value) {
  if (verb.mode == 'v') return format_any(verb, value);
  if (value.is_null()) return fail(Code::kInvalid, "%{} takes no null", verb.mode);
  constexpr std::string_view kIntegers = "bdoxX";
  constexpr std::string_view kReals = "eEfgG";
  bool integer = kIntegers.contains(verb.mode);
  if (verb.mode == 't') {
    Result<Value> truth = convert(value, Type::boolean());
    if (!truth) return fail(Code::kInvalid, "%t: {}", truth.error().message);
    return std::string(truth->as_bool() ? "true" : "false");
  }
  if (integer || kReals.contains(verb.mode)) {
    Result<Value> number = convert(value, Type::number());
    if (!number) return fail(Code::kInvalid, "%{}: {}", verb.mode, number.error().message);
    if (integer) return format_integer(verb, number->as_number());
    return format_real(verb, number->as_number());
  }
  if (verb.mode == 's' || verb.mode == 'q') return format_text(verb, value);
  return fail(Code::kInvalid, "there is no verb %{}", verb.mode);
}

class Formatter {
 public:
  Formatter(std::string_view format, Arguments arguments, Budget& budget)
      : format_(format), arguments_(arguments), budget_(budget) {}

  Result<std::string> run();

 private:
  Result<void> run_verb();
  std::optional<int> number();
  [[nodiscard]] char next() const { return at_ < format_.size() ? format_[at_] : '\0'; }

  std::string_view format_;
  Arguments arguments_;
  Budget& budget_;
  size_t at_ = 0;
  size_t argument_ = 0;
  size_t used_ = 0;
  std::string out_;
};

std::optional<int> Formatter::number() {
  int value = 0;
  while (next() >= '0' && next() <= '9') {
    value = value * 10 + (next() - '0');
    if (value > kMaxWidth) return std::nullopt;
    ++at_;
  }
  return value;
}

// Flags, width, precision, [index], mode.
Result<void> Formatter::run_verb() {
  size_t start = at_ - 1;
  auto wrong = [&] {
    return fail(Code::kInvalid, "the format is wrong at offset {}: \"{}\"", start,
                format_.substr(start, at_ + 1 - start));
  };
  Verb verb;
  for (bool flags = true; flags;) {
    switch (next()) {
      case '0': verb.zero = true; break;
      case '#': verb.sharp = true; break;
      case '-': verb.minus = true; break;
      case '+': verb.plus = true; break;
      case ' ': verb.space = true; break;
      default: flags = false; continue;
    }
    ++at_;
  }
  if (next() >= '1' && next() <= '9') {
    verb.width = number();
    if (!verb.width) return wrong();
  }
  if (next() == '.') {
    ++at_;
    verb.precision = number();
    if (!verb.precision) return wrong();
  }
  if (next() == '[') {
    ++at_;
    if (next() < '1' || next() > '9') return wrong();
    std::optional<int> index = number();
    if (!index || next() != ']') return wrong();
    ++at_;
    argument_ = static_cast<size_t>(*index) - 1;
  }
  if (!ascii::is_letter(next())) return wrong();
  verb.mode = next();
  ++at_;
  if (argument_ >= arguments_.size()) {
    return fail(Code::kInvalid, "{} wants argument {}, there are {}",
                format_.substr(start, at_ - start), argument_ + 1, arguments_.size());
  }
  auto padding = static_cast<uint64_t>(verb.width.value_or(0) + verb.precision.value_or(0));
  if (!budget_.spend_bytes(padding)) return too_much();
  Result<std::string> text = format_value(verb, arguments_[argument_]);
  if (!text) return pass(text);
  if (!budget_.spend_bytes(text->size())) return too_much();
  out_ += *text;
  ++argument_;
  used_ = std::max(used_, argument_);
  return {};
}

Result<std::string> Formatter::run() {
  while (at_ < format_.size()) {
    char c = format_[at_++];
    if (c != '%') {
      out_ += c;
    } else if (next() == '%') {
      out_ += '%';
      ++at_;
    } else {
      Result<void> done = run_verb();
      if (!done) return pass(done);
    }
  }
  if (used_ < arguments_.size()) {
    return fail(Code::kInvalid, "the format uses {} of {} arguments", used_, arguments_.size());
  }
  return std::move(out_);
}

Result<Value> format(Arguments arguments, CallContext& context) {
  Result<std::string> text =
      Formatter(arguments[0].as_string(), arguments.subspan(1), context.budget).run();
  if (!text) return pass(text);
  return Value::string(std::move(*text));
}

// Once for each element of the lists among the arguments; the others are the same each time.
Result<Value> formatlist(Arguments arguments, CallContext& context) {
  Arguments given = arguments.subspan(1);
  std::optional<size_t> rounds;
  auto is_list = [](const Value& value) { return value.type().is_sequence() && !value.is_null(); };
  for (const Value& argument : given) {
    if (!is_list(argument)) continue;
    if (rounds && *rounds != argument.size()) {
      return fail(Code::kInvalid, "the lists differ in length: {} and {}", *rounds,
                  argument.size());
    }
    rounds = argument.size();
  }
  Value::Items out;
  for (size_t i = 0; i < rounds.value_or(1); ++i) {
    std::vector<Value> row;
    for (const Value& argument : given)
      row.push_back(is_list(argument) ? argument.items()[i] : argument);
    if (!context.budget.spend_steps(1 + row.size())) return too_much();
    Result<std::string> text = Formatter(arguments[0].as_string(), row, context.budget).run();
    if (!text) return pass(text, "element {}", i);
    out.push_back(Value::string(std::move(*text)));
  }
  return Value::list(Type::string(), std::move(out));
}

}  // namespace

void add_format_functions(std::vector<Function>& out) {
  const Parameter text{"format", Type::string()};
  const Parameter any{"argument", Type::dynamic(), true};
  out.push_back({"format", {text, any}, true, format});
  out.push_back({"formatlist", {text, any}, true, formatlist});
}

}  // namespace sluice::hcl
