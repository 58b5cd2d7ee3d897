// Functions of numbers.
#include <cmath>

#include "core/hcl/functions_impl.h"
#include "core/hcl/natural.h"

namespace sluice::hcl {

namespace {

Result<Value> abs_of(Arguments arguments, CallContext&) {
  const Number& number = arguments[0].as_number();
  return Value::number(number.sign() < 0 ? negate(number) : number);
}

// Toward zero, and one further if that went the wrong way.
Result<Value> round_to(const Number& number, int direction) {
  Number whole_part = truncate(number);
  if (compare(whole_part, number) * direction >= 0) return Value::number(whole_part);
  std::optional<Number> next = add(whole_part, Number(direction));
  if (!next) return fail(Code::kInvalid, "the number is too large");
  return Value::number(*next);
}

Result<Value> ceil_of(Arguments arguments, CallContext&) {
  return round_to(arguments[0].as_number(), 1);
}
Result<Value> floor_of(Arguments arguments, CallContext&) {
  return round_to(arguments[0].as_number(), -1);
}

Result<Value> extreme(Arguments arguments, int direction) {
  if (arguments.empty()) return fail(Code::kInvalid, "takes at least 1 argument");
  const Value* best = &arguments[0];
  for (const Value& argument : arguments) {
    if (compare(argument.as_number(), best->as_number()) * direction > 0) best = &argument;
  }
  return *best;
}

Result<Value> max_of(Arguments arguments, CallContext&) {
  return extreme(arguments, 1);
}
Result<Value> min_of(Arguments arguments, CallContext&) {
  return extreme(arguments, -1);
}

Result<Value> from_real(double real) {
  if (!std::isfinite(real)) return fail(Code::kInvalid, "there is no such number");
  return Value::number(Number::from_double(real));
}

Result<Value> log_of(Arguments arguments, CallContext&) {
  return from_real(std::log(arguments[0].as_number().to_double()) /
                   std::log(arguments[1].as_number().to_double()));
}

Result<Value> pow_of(Arguments arguments, CallContext&) {
  return from_real(
      std::pow(arguments[0].as_number().to_double(), arguments[1].as_number().to_double()));
}

Result<Value> signum(Arguments arguments, CallContext&) {
  Result<int64_t> number = whole(arguments[0], "number");
  if (!number) return pass(number);
  return Value::number((*number > 0) - (*number < 0));
}

// Up to base 36 the case of letters does not count; beyond it, a to z are 10 to 35 and A to Z 36
// to 61.
int digit_of(char c, int64_t base) {
  constexpr int kLetters = 26;
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'z') return c - 'a' + 10;
  if (c >= 'A' && c <= 'Z') return c - 'A' + 10 + (base > 10 + kLetters ? kLetters : 0);
  return 99;
}

Result<Value> parseint(Arguments arguments, CallContext&) {
  if (arguments[0].kind() != Type::Kind::kString) {
    return fail(Code::kInvalid, "a string is required, this is {}", arguments[0].type().name());
  }
  Result<int64_t> base = whole(arguments[1], "base");
  if (!base) return pass(base);
  if (*base < 2 || *base > 62) return fail(Code::kInvalid, "the base must be from 2 to 62");
  const std::string& text = arguments[0].as_string();
  std::string_view digits = text;
  bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  Natural value;
  bool good = !digits.empty() && digits.size() <= Number::kMaxDigits;
  for (size_t i = 0; good && i < digits.size(); ++i) {
    int digit = digit_of(digits[i], *base);
    good = digit < *base;
    value = value * Natural(static_cast<uint64_t>(*base)) + Natural(static_cast<uint64_t>(digit));
  }
  if (!good) return fail(Code::kInvalid, "\"{}\" is no whole number in base {}", text, *base);
  std::optional<Number> number = Number::parse((negative ? "-" : "") + value.decimal());
  if (!number) return fail(Code::kInvalid, "the number is too large");
  return Value::number(*number);
}

}  // namespace

void add_number_functions(std::vector<Function>& out) {
  const Parameter number{"number", Type::number()};
  out.push_back({"abs", {number}, false, abs_of});
  out.push_back({"ceil", {number}, false, ceil_of});
  out.push_back({"floor", {number}, false, floor_of});
  out.push_back({"max", {number}, true, max_of});
  out.push_back({"min", {number}, true, min_of});
  out.push_back({"log", {number, {"base", Type::number()}}, false, log_of});
  out.push_back({"pow", {number, {"power", Type::number()}}, false, pow_of});
  out.push_back({"signum", {number}, false, signum});
  out.push_back(
      {"parseint", {{"text", Type::dynamic()}, {"base", Type::number()}}, false, parseint});
}

}  // namespace sluice::hcl
