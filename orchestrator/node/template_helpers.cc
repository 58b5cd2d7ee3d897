// consul-template's functions that need nothing from outside.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "core/base64.h"
#include "core/digest.h"
#include "core/json.h"
#include "core/regex.h"
#include "orchestrator/node/template_inputs.h"

namespace sluice::orchestrator {

namespace {

using Arguments = std::span<const Json>;
using text_template::Functions;
using text_template::to_text;

std::unexpected<Error> wrong_count(size_t want, size_t got) {
  return fail(Code::kInvalid, "wants {} arguments, got {}", want, got);
}

/// A function of as many strings.
template <size_t N, class Run>
text_template::Function of_texts(Run run) {
  return [run](Arguments args) -> Result<Json> {
    if (args.size() != N) return wrong_count(N, args.size());
    std::array<std::string, N> texts;
    for (size_t i = 0; i < N; ++i) {
      if (!args[i].is_string()) return fail(Code::kInvalid, "argument {} is no string", i + 1);
      texts[i] = args[i].as_string();
    }
    return run(texts);
  };
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}
char upper(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
}

std::string mapped(std::string text, char (*change)(char)) {
  std::transform(text.begin(), text.end(), text.begin(), change);
  return text;
}

std::string title(std::string text) {
  bool first = true;
  for (char& c : text) {
    if (first) c = upper(c);
    first = c == ' ' || c == '\t' || c == '\n';
  }
  return text;
}

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  if (what.empty()) return text;
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size()) {
    text.replace(at, what.size(), with);
  }
  return text;
}

Json split(const std::string& separator, const std::string& text) {
  Json out = Json::array();
  if (separator.empty()) {
    for (const char c : text) out.push(std::string(1, c));
    return out;
  }
  size_t at = 0;
  while (true) {
    const size_t end = text.find(separator, at);
    out.push(text.substr(at, end - at));
    if (end == std::string::npos) return out;
    at = end + separator.size();
  }
}

std::string trimmed(const std::string& text) {
  constexpr const char* kSpace = " \t\r\n\v\f";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

Result<Json> join(Arguments args) {
  if (args.size() != 2 || !args[0].is_string() || !args[1].is_array()) {
    return fail(Code::kInvalid, "wants a string and a list");
  }
  std::string out;
  for (const Json& item : args[1].as_array()) {
    out += (&item == &args[1].as_array().front() ? "" : args[0].as_string()) + to_text(item);
  }
  return Json(std::move(out));
}

Result<Json> contains(Arguments args) {
  if (args.size() != 2) return wrong_count(2, args.size());
  const Json& list = args[1];
  if (list.is_string() && args[0].is_string()) {
    return Json(list.as_string().find(args[0].as_string()) != std::string::npos);
  }
  if (!list.is_array()) return fail(Code::kInvalid, "{} is no list", to_text(list));
  return Json(std::find(list.as_array().begin(), list.as_array().end(), args[0]) !=
              list.as_array().end());
}

/// `in LIST VALUE`: contains, the other way round.
Result<Json> in(Arguments args) {
  if (args.size() != 2) return wrong_count(2, args.size());
  const Json turned[] = {args[1], args[0]};
  return contains(turned);
}

Result<Json> loop(Arguments args) {
  constexpr int64_t kMost = 100'000;
  if (args.empty() || args.size() > 2) return wrong_count(2, args.size());
  for (const Json& arg : args) {
    if (!arg.is_int()) return fail(Code::kInvalid, "{} is no whole number", to_text(arg));
  }
  const int64_t from = args.size() == 2 ? args[0].as_int() : 0;
  const int64_t to = args.back().as_int();
  if (to - from > kMost) return fail(Code::kLimit, "more than {} rounds", kMost);
  Json out = Json::array();
  for (int64_t i = from; i < to; ++i) out.push(i);
  return out;
}

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
      [by_zero](double a, double b) -> Result<Json> {
        if (auto ok = by_zero(b == 0); !ok) return pass(ok);
        return Json(a / b);
      });
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

template <class T>
Result<T> number(const std::string& text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return fail(Code::kInvalid, "\"{}\" is no number", text);
  }
  return value;
}

void add_parsing(Functions& functions) {
  functions["parseInt"] = of_texts<1>([](const auto& texts) -> Result<Json> {
    if (texts[0].empty()) return Json(int64_t{0});
    Result<int64_t> value = number<int64_t>(texts[0]);
    if (!value) return pass(value);
    return Json(*value);
  });
  functions["parseUint"] = functions["parseInt"];
  functions["parseFloat"] = of_texts<1>([](const auto& texts) -> Result<Json> {
    if (texts[0].empty()) return Json(0.0);
    Result<double> value = number<double>(texts[0]);
    if (!value) return pass(value);
    return Json(*value);
  });
  functions["parseBool"] = of_texts<1>([](const auto& texts) -> Result<Json> {
    const std::string word = mapped(texts[0], lower);
    if (word == "true" || word == "1" || word == "t") return Json(true);
    if (word == "false" || word == "0" || word == "f" || word.empty()) return Json(false);
    return fail(Code::kInvalid, "\"{}\" is neither true nor false", texts[0]);
  });
  functions["parseJSON"] = of_texts<1>([](const auto& texts) -> Result<Json> {
    if (texts[0].empty()) return Json::object();
    return parse_json(texts[0]);
  });
  functions["toJSON"] = [](Arguments args) -> Result<Json> {
    if (args.size() != 1) return wrong_count(1, args.size());
    return Json(to_json(args[0]));
  };
  functions["toJSONPretty"] = [](Arguments args) -> Result<Json> {
    if (args.size() != 1) return wrong_count(1, args.size());
    return Json(to_json(args[0], 2));
  };
}

void add_encodings(Functions& functions) {
  functions["base64Encode"] =
      of_texts<1>([](const auto& texts) -> Result<Json> { return Json(base64_encode(texts[0])); });
  functions["base64Decode"] = of_texts<1>([](const auto& texts) -> Result<Json> {
    Result<std::string> bytes = base64_decode(texts[0]);
    if (!bytes) return pass(bytes);
    return Json(*std::move(bytes));
  });
  const auto url = [](std::string text) {
    std::replace(text.begin(), text.end(), '+', '-');
    std::replace(text.begin(), text.end(), '/', '_');
    return text;
  };
  functions["base64URLEncode"] = of_texts<1>(
      [url](const auto& texts) -> Result<Json> { return Json(url(base64_encode(texts[0]))); });
  functions["base64URLDecode"] = of_texts<1>([](const auto& texts) -> Result<Json> {
    std::string text = texts[0];
    std::replace(text.begin(), text.end(), '-', '+');
    std::replace(text.begin(), text.end(), '_', '/');
    Result<std::string> bytes = base64_decode(text);
    if (!bytes) return pass(bytes);
    return Json(*std::move(bytes));
  });
  constexpr std::pair<const char*, DigestKind> kDigests[] = {{"md5sum", DigestKind::kMd5},
                                                             {"sha1Hex", DigestKind::kSha1},
                                                             {"sha256Hex", DigestKind::kSha256}};
  for (const auto& [name, kind] : kDigests) {
    functions[name] = of_texts<1>(
        [kind](const auto& texts) -> Result<Json> { return Json(to_hex(digest(kind, texts[0]))); });
  }
}

Result<Json> indent(Arguments args) {
  if (args.size() != 2 || !args[0].is_int() || !args[1].is_string()) {
    return fail(Code::kInvalid, "wants a number and a string");
  }
  const int64_t spaces = args[0].as_int();
  if (spaces < 0 || spaces > 1000) return fail(Code::kInvalid, "{} spaces", spaces);
  const std::string pad(static_cast<size_t>(spaces), ' ');
  std::string out;
  bool begin = true;
  for (const char c : args[1].as_string()) {
    if (begin && c != '\n') out += pad;
    begin = c == '\n';
    out += c;
  }
  return Json(std::move(out));
}

/// [{Key: "a/b", Value: 1}, ...] as {a: {b: 1}}.
Result<Json> explode(Arguments args) {
  if (args.size() != 1 || !args[0].is_array()) return fail(Code::kInvalid, "wants a list of pairs");
  Json root = Json::object();
  for (const Json& pair : args[0].as_array()) {
    Json* at = &root;
    const Json parts = split("/", std::string(pair.get_string("Key")));
    const Json::Array& names = parts.as_array();
    for (size_t i = 0; i + 1 < names.size(); ++i) {
      Json* next = at->find(names[i].as_string());
      if (next == nullptr || !next->is_object()) {
        at->set(names[i].as_string(), Json::object());
        next = at->find(names[i].as_string());
      }
      at = next;
    }
    const Json* value = pair.find("Value");
    at->set(names.back().as_string(), value != nullptr ? *value : Json());
  }
  return root;
}

/// Pairs by the first part of their keys.
Result<Json> by_key(Arguments args) {
  if (args.size() != 1 || !args[0].is_array()) return fail(Code::kInvalid, "wants a list of pairs");
  Json out = Json::object();
  for (const Json& pair : args[0].as_array()) {
    const std::string key(pair.get_string("Key"));
    const size_t slash = key.find('/');
    if (slash == std::string::npos) continue;
    const std::string first = key.substr(0, slash), rest = key.substr(slash + 1);
    if (out.find(first) == nullptr) out.set(first, Json::object());
    Json inner = pair;
    inner.set("Key", rest);
    out.find(first)->set(rest, std::move(inner));
  }
  return out;
}

/// Services by each of their tags.
Result<Json> by_tag(Arguments args) {
  if (args.size() != 1 || !args[0].is_array()) {
    return fail(Code::kInvalid, "wants a list of services");
  }
  Json out = Json::object();
  for (const Json& service : args[0].as_array()) {
    const Json* tags = service.find("Tags");
    if (tags == nullptr || !tags->is_array()) continue;
    for (const Json& tag : tags->as_array()) {
      if (!tag.is_string()) continue;
      if (out.find(tag.as_string()) == nullptr) out.set(tag.as_string(), Json::array());
      out.find(tag.as_string())->push(service);
    }
  }
  return out;
}

void add_texts(Functions& functions) {
  constexpr std::pair<const char*, char (*)(char)> kCases[] = {{"toLower", lower},
                                                               {"toUpper", upper}};
  for (const auto& [name, change] : kCases) {
    functions[name] = of_texts<1>(
        [change](const auto& texts) -> Result<Json> { return Json(mapped(texts[0], change)); });
  }
  functions["toTitle"] =
      of_texts<1>([](const auto& texts) -> Result<Json> { return Json(title(texts[0])); });
  functions["trimSpace"] =
      of_texts<1>([](const auto& texts) -> Result<Json> { return Json(trimmed(texts[0])); });
  functions["trimPrefix"] = of_texts<2>([](const auto& texts) -> Result<Json> {
    const bool has = texts[1].starts_with(texts[0]);
    return Json(has ? texts[1].substr(texts[0].size()) : texts[1]);
  });
  functions["trimSuffix"] = of_texts<2>([](const auto& texts) -> Result<Json> {
    const bool has = texts[1].ends_with(texts[0]);
    return Json(has ? texts[1].substr(0, texts[1].size() - texts[0].size()) : texts[1]);
  });
  functions["replaceAll"] = of_texts<3>([](const auto& texts) -> Result<Json> {
    return Json(replaced(texts[2], texts[0], texts[1]));
  });
  functions["split"] =
      of_texts<2>([](const auto& texts) -> Result<Json> { return split(texts[0], texts[1]); });
  functions["regexMatch"] = of_texts<2>([](const auto& texts) -> Result<Json> {
    Result<bool> matched = regex_matches(texts[0], texts[1]);
    if (!matched) return pass(matched);
    return Json(*matched);
  });
  functions["regexReplaceAll"] = of_texts<3>([](const auto& texts) -> Result<Json> {
    Result<std::string> out = regex_replace_all(texts[0], texts[2], texts[1]);
    if (!out) return pass(out);
    return Json(*std::move(out));
  });
  functions["join"] = join;
  functions["contains"] = contains;
  functions["in"] = in;
  functions["loop"] = loop;
  functions["indent"] = indent;
  functions["explode"] = explode;
  functions["byKey"] = by_key;
  functions["byTag"] = by_tag;
}

}  // namespace

void add_template_helpers(Functions& functions) {
  add_texts(functions);
  add_arithmetic(functions);
  add_parsing(functions);
  add_encodings(functions);
}

const Functions& known_template_functions() {
  static const Functions kFunctions = [] {
    Functions all;
    add_template_helpers(all);
    for (const char* name :
         {"env", "envOrDefault", "mustEnv", "key", "keyExists", "keyOrDefault", "ls", "safeLs",
          "tree", "safeTree", "file", "service", "nomadService", "services", "nomadServices"}) {
      all[name] = [](Arguments) -> Result<Json> { return Json(); };
    }
    return all;
  }();
  return kFunctions;
}

}  // namespace sluice::orchestrator
