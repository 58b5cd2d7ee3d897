// consul-template's functions of numbers, and of values as text: arithmetic, parseInt, parseJSON.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "core/json.h"
#include "orchestrator/node/template_function.h"

namespace sluice::orchestrator {

namespace {

using Arguments = TemplateArguments;
using text_template::Functions;
using text_template::to_text;

/// The value that a pipeline brings comes last, so `5 | subtract 2` is 3: the second less the
/// first.
template <class Whole, class Real>
text_template::Function arithmetic(Whole whole, Real real) {
  return [whole, real](Arguments args) -> Result<Json> {
    if (args.size() != 2) return wrong_count(2, args.size());
    if (!args[0].is_number() || !args[1].is_number()) {
      return fail(Code::kInvalid, "{} and {} are no numbers", to_text(args[0]), to_text(args[1]));
    }
    if (args[0].is_int() && args[1].is_int()) return whole(args[1].as_int(), args[0].as_int());
    return real(args[1].as_double(), args[0].as_double());
  };
}

void add_arithmetic(Functions& functions) {
  const auto checked = [](bool overflow, int64_t value) -> Result<Json> {
    if (overflow) return fail(Code::kInvalid, "the result is too large");
    return Json(value);
  };
  const auto real = [](double value) -> Result<Json> { return Json(value); };
  functions["add"] = arithmetic(
      [checked](int64_t a, int64_t b) {
        int64_t out = 0;
        return checked(__builtin_add_overflow(a, b, &out), out);
      },
      [real](double a, double b) { return real(a + b); });
  functions["subtract"] = arithmetic(
      [checked](int64_t a, int64_t b) {
        int64_t out = 0;
        return checked(__builtin_sub_overflow(a, b, &out), out);
      },
      [real](double a, double b) { return real(a - b); });
  functions["multiply"] = arithmetic(
      [checked](int64_t a, int64_t b) {
        int64_t out = 0;
        return checked(__builtin_mul_overflow(a, b, &out), out);
      },
      [real](double a, double b) { return real(a * b); });
  const auto by_zero = [](bool zero) -> Result<void> {
    if (zero) return fail(Code::kInvalid, "division by zero");
    return {};
  };
  functions["divide"] = arithmetic(
      [by_zero](int64_t a, int64_t b) -> Result<Json> {
        if (auto ok = by_zero(b == 0 || (b == -1 && a == INT64_MIN)); !ok) return pass(ok);
        return Json(a / b);
      },
      [](double a, double b) -> Result<Json> { return Json(a / b); });
  functions["modulo"] = arithmetic(
      [by_zero](int64_t a, int64_t b) -> Result<Json> {
        if (auto ok = by_zero(b == 0); !ok) return pass(ok);
        return Json(b == -1 ? 0 : a % b);
      },
      [](double, double) -> Result<Json> {
        return fail(Code::kInvalid, "modulo of no whole number");
      });
  const auto extreme = [](const char* what, bool least) {
    return [what, least](Arguments args) -> Result<Json> {
      if (args.size() != 2 || !args[0].is_number() || !args[1].is_number()) {
        return fail(Code::kInvalid, "{} wants two numbers", what);
      }
      const bool first = args[0].as_double() < args[1].as_double();
      return first == least ? args[0] : args[1];
    };
  };
  functions["minimum"] = extreme("minimum", true);
  functions["maximum"] = extreme("maximum", false);
}

/// Go's strconv: a sign may be a plus; no space.
template <class T>
Result<T> number(std::string text) {
  if (text.starts_with('+') && !text.starts_with("+-")) text.erase(0, 1);
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return fail(Code::kInvalid, "\"{}\" is no number", text);
  }
  return value;
}

/// Hexadecimal too; from_chars reads infinities and not-a-number as Go does.
Result<Json> real_number(std::string text) {
  const bool negative = text.starts_with('-');
  const std::string body = text.substr(negative || text.starts_with('+') ? 1 : 0);
  if (!body.starts_with("0x") && !body.starts_with("0X")) {
    Result<double> value = number<double>(text);
    if (!value) return pass(value);
    return Json(*value);
  }
  double value = 0;
  const char* last = body.data() + body.size();
  const auto [end, error] = std::from_chars(body.data() + 2, last, value, std::chars_format::hex);
  // Go wants the exponent of a hexadecimal number.
  if (error != std::errc() || end != last || body.find_first_of("pP") == std::string::npos) {
    return fail(Code::kInvalid, "\"{}\" is no number", text);
  }
  return Json(negative ? -value : value);
}

/// Go reads every number of JSON as a float64, and prints, compares and adds it as one.
Json with_real_numbers(Json value) {
  if (value.is_int()) return Json(static_cast<double>(value.as_int()));
  if (value.is_array()) {
    for (Json& item : value.as_array()) item = with_real_numbers(std::move(item));
  } else if (value.is_object()) {
    for (JsonMember& member : value.as_object()) {
      member.value = with_real_numbers(std::move(member.value));
    }
  }
  return value;
}

/// Go writes the keys of a map in their order.
Json sorted(Json value) {
  if (value.is_array()) {
    for (Json& item : value.as_array()) item = sorted(std::move(item));
  } else if (value.is_object()) {
    Json::Object& members = value.as_object();
    std::erase_if(members, [](auto& member) { return member.key == text_template::kRecord; });
    std::sort(members.begin(), members.end(), [](auto& a, auto& b) { return a.key < b.key; });
    for (JsonMember& member : members) member.value = sorted(std::move(member.value));
  }
  return value;
}

/// As Go's encoder: these two, and what HTML might take for its own, stand as escapes. They occur
/// only inside strings.
std::string escaped_json(std::string text, bool for_html) {
  constexpr std::pair<std::string_view, std::string_view> kLines[] = {{"\xe2\x80\xa8", "\\u2028"},
                                                                      {"\xe2\x80\xa9", "\\u2029"}};
  constexpr std::pair<std::string_view, std::string_view> kHtml[] = {
      {"<", "\\u003c"}, {">", "\\u003e"}, {"&", "\\u0026"}};
  const auto replace = [&text](std::string_view what, std::string_view with) {
    for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size()) {
      text.replace(at, what.size(), with);
    }
  };
  for (const auto& [what, with] : kLines) replace(what, with);
  if (for_html) {
    for (const auto& [what, with] : kHtml) replace(what, with);
  }
  return text;
}

text_template::Function json_text(int indent, bool for_html) {
  return [indent, for_html](Arguments args) -> Result<Json> {
    if (args.size() != 1) return wrong_count(1, args.size());
    return Json(escaped_json(to_json(sorted(args[0]), indent), for_html));
  };
}

void add_parsing(Functions& functions) {
  functions["parseInt"] = of_texts<1>([](const auto& texts) -> Result<Json> {
    if (texts[0].empty()) return Json(int64_t{0});
    Result<int64_t> value = number<int64_t>(texts[0]);
    if (!value) return pass(value);
    return Json(*value);
  });
  functions["parseUint"] = of_texts<1>([](const auto& texts) -> Result<Json> {
    if (texts[0].empty()) return Json(int64_t{0});
    if (texts[0].find_first_not_of("0123456789") != std::string::npos) {
      return fail(Code::kInvalid, "\"{}\" is no number from 0 on", texts[0]);
    }
    Result<int64_t> value = number<int64_t>(texts[0]);
    if (!value) return fail(Code::kInvalid, "{} is above 9223372036854775807", texts[0]);
    return Json(*value);
  });
  functions["parseFloat"] = of_texts<1>([](const auto& texts) -> Result<Json> {
    if (texts[0].empty()) return Json(0.0);
    return real_number(texts[0]);
  });
  functions["parseBool"] = of_texts<1>([](const auto& texts) -> Result<Json> {
    constexpr std::string_view kTrue[] = {"1", "t", "T", "true", "TRUE", "True"};
    constexpr std::string_view kFalse[] = {"", "0", "f", "F", "false", "FALSE", "False"};
    const std::string& word = texts[0];
    if (std::find(std::begin(kTrue), std::end(kTrue), word) != std::end(kTrue)) return Json(true);
    if (std::find(std::begin(kFalse), std::end(kFalse), word) != std::end(kFalse)) {
      return Json(false);
    }
    return fail(Code::kInvalid, "\"{}\" is neither true nor false", texts[0]);
  });
  functions["parseJSON"] = of_texts<1>([](const auto& texts) -> Result<Json> {
    if (texts[0].empty()) return Json::object();
    Result<Json> value = parse_json(texts[0]);
    if (!value) return value;
    return with_real_numbers(*std::move(value));
  });
  functions["toJSON"] = json_text(0, true);
  functions["toJSONPretty"] = json_text(2, true);
  functions["toUnescapedJSON"] = json_text(0, false);
  functions["toUnescapedJSONPretty"] = json_text(2, false);
}

}  // namespace

void add_template_numbers(Functions& functions) {
  add_arithmetic(functions);
  add_parsing(functions);
}

}  // namespace sluice::orchestrator
