// consul-template's functions that need nothing from outside.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "core/base64.h"
#include "core/digest.h"
#include "core/hcl/unicode.h"
#include "core/json_strings.h"
#include "core/regex.h"
#include "orchestrator/node/template_function.h"
#include "orchestrator/node/template_inputs.h"

namespace sluice::orchestrator {

namespace {

using Arguments = TemplateArguments;
using text_template::Functions;
using text_template::to_text;

size_t first_length(std::string_view text) {
  return hcl::first_code_point(text).length;
}

/// What a word consists of, for toTitle (UAX #29, as far as it matters for titles): a quote, dot or
/// colon between two letters ends none.
bool in_word(std::string_view text, size_t at) {
  const auto letter = [&](size_t where) {
    if (where >= text.size()) return false;
    const uint32_t code = hcl::first_code_point(text.substr(where)).value;
    return (code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z') ||
           (code >= '0' && code <= '9') || code == '_' ||
           (code >= 0xc0 && !hcl::is_space(code) && (code < 0x2000 || code > 0x206f));
  };
  if (letter(at)) return true;
  const char c = text[at];
  return (c == '\'' || c == '.' || c == ':') && at > 0 && letter(at + 1) && text[at - 1] != ' ';
}

/// The first letter of each word in upper case, the others as they are: "1st" is "1St".
std::string title(const std::string& text) {
  std::string out;
  bool done = false;
  for (size_t at = 0; at < text.size();) {
    const size_t length = first_length(std::string_view(text).substr(at));
    const std::string letter = text.substr(at, length);
    const std::string raised = hcl::to_upper(letter);
    if (!in_word(text, at)) done = false;
    const bool cased = raised != letter || hcl::to_lower(letter) != letter;
    out += !done && cased ? raised : letter;
    if (cased && in_word(text, at)) done = true;
    at += length;
  }
  return out;
}

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  if (what.empty()) {  // between all characters
    std::string out = with;
    for (size_t at = 0; at < text.size();) {
      const size_t length = first_length(std::string_view(text).substr(at));
      out += text.substr(at, length) + with;
      at += length;
    }
    return out;
  }
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size()) {
    text.replace(at, what.size(), with);
  }
  return text;
}

/// Without the characters at its ends that `at_end` says of: it gets the text from one on.
template <class AtEnd>
std::string trimmed_by(std::string_view text, const AtEnd& at_end) {
  while (!text.empty() && at_end(text)) text.remove_prefix(first_length(text));
  size_t end = 0;
  for (size_t at = 0; at < text.size(); at += first_length(text.substr(at))) {
    if (!at_end(text.substr(at))) end = at + first_length(text.substr(at));
  }
  return std::string(text.substr(0, end));
}

std::string trimmed(std::string_view text) {
  return trimmed_by(
      text, [](std::string_view rest) { return hcl::is_space(hcl::first_code_point(rest).value); });
}

/// Without the characters of `set` at its ends.
std::string trimmed_of(const std::string& set, std::string_view text) {
  return trimmed_by(text, [&](std::string_view rest) {
    return set.find(rest.substr(0, first_length(rest))) != std::string::npos;
  });
}

/// Of the text without the space around it; nothing of nothing.
std::vector<std::string> split(const std::string& separator, const std::string& whole) {
  const std::string text = trimmed(whole);
  std::vector<std::string> out;
  if (text.empty()) return out;
  if (separator.empty()) {
    for (size_t at = 0; at < text.size();) {
      const size_t length = first_length(std::string_view(text).substr(at));
      out.push_back(text.substr(at, length));
      at += length;
    }
    return out;
  }
  size_t at = 0;
  while (true) {
    const size_t end = text.find(separator, at);
    out.push_back(text.substr(at, end - at));
    if (end == std::string::npos) return out;
    at = end + separator.size();
  }
}

Json split_to_map(const std::string& between, const std::string& inside, const std::string& text) {
  Json out = Json::object();
  for (const std::string& part : split(between, text)) {
    const size_t at = part.find(inside);
    if (at != std::string::npos) out.set(part.substr(0, at), part.substr(at + inside.size()));
  }
  return out;
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

/// Whole numbers equal whole ones, floats equal floats, texts texts; nothing else is ever in a
/// list.
bool held_in(const Json& list, const Json& value) {
  if (list.is_string() && value.is_string()) {
    return list.as_string().find(value.as_string()) != std::string::npos;
  }
  if (!list.is_array() || !(value.is_string() || value.is_number())) return false;
  return std::any_of(list.as_array().begin(), list.as_array().end(), [&](const Json& item) {
    return item.kind() == value.kind() && item == value;
  });
}

/// `in LIST VALUE`, and `LIST | contains VALUE`.
text_template::Function in(bool list_first) {
  return [list_first](Arguments args) -> Result<Json> {
    if (args.size() != 2) return wrong_count(2, args.size());
    return Json(held_in(args[list_first ? 0 : 1], args[list_first ? 1 : 0]));
  };
}

/// Over the values asked for: whether the first that is in the list, or is not (`until_held`),
/// decides against `without`.
text_template::Function contains_some(bool without, bool until_held) {
  return [without, until_held](Arguments args) -> Result<Json> {
    if (args.size() != 2) return wrong_count(2, args.size());
    if (!args[0].is_array()) return fail(Code::kInvalid, "{} is no list", to_text(args[0]));
    for (const Json& value : args[0].as_array()) {
      if (held_in(args[1], value) == until_held) return Json(!without);
    }
    return Json(without);
  };
}

Result<Json> loop(Arguments args) {
  constexpr int64_t kMost = 100'000;
  if (args.empty() || args.size() > 2) {
    return fail(Code::kInvalid, "wants 1 or 2 arguments, got {}", args.size());
  }
  std::array<int64_t, 2> bounds{};
  for (size_t i = 0; i < args.size(); ++i) {
    int64_t& bound = bounds[i + 2 - args.size()];
    const std::string text = args[i].is_string() ? args[i].as_string() : "";
    if (args[i].is_int()) {
      bound = args[i].as_int();
    } else if (const auto [end, trouble] =
                   std::from_chars(text.data(), text.data() + text.size(), bound);
               !args[i].is_string() ||
               (!text.empty() && (trouble != std::errc() || end != text.data() + text.size()))) {
      return fail(Code::kInvalid, "{} is no whole number", to_text(args[i]));
    }
  }
  const auto [from, to] = bounds;
  if (to > from && static_cast<uint64_t>(to) - static_cast<uint64_t>(from) > kMost) {
    return fail(Code::kLimit, "more than {} rounds", kMost);
  }
  Json out = Json::array();
  for (int64_t i = from; i < to; ++i) out.push(i);
  return out;
}

void add_encodings(Functions& functions) {
  functions["base64Encode"] =
      of_texts<1>([](const auto& texts) -> Result<Json> { return Json(base64_encode(texts[0])); });
  const auto swapped = [](std::string text, std::string_view from, std::string_view to) {
    for (char& c : text) {
      if (const size_t at = from.find(c); at != std::string_view::npos) c = to[at];
    }
    return text;
  };
  // Go leaves line breaks out, and takes each alphabet for itself.
  const auto decode = [](std::string text) -> Result<Json> {
    std::erase_if(text, [](char c) { return c == '\r' || c == '\n'; });
    Result<std::string> bytes = base64_decode(text);
    if (!bytes) return pass(bytes);
    return Json(*std::move(bytes));
  };
  functions["base64Decode"] =
      of_texts<1>([decode](const auto& texts) -> Result<Json> { return decode(texts[0]); });
  functions["base64URLEncode"] = of_texts<1>([swapped](const auto& texts) -> Result<Json> {
    return Json(swapped(base64_encode(texts[0]), "+/", "-_"));
  });
  functions["base64URLDecode"] = of_texts<1>([swapped, decode](const auto& texts) -> Result<Json> {
    return decode(swapped(texts[0], "-_+/", "+/-_"));
  });
  constexpr std::pair<const char*, DigestKind> kDigests[] = {{"md5sum", DigestKind::kMd5},
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

void add_texts(Functions& functions) {
  functions["toLower"] =
      of_texts<1>([](const auto& texts) -> Result<Json> { return Json(hcl::to_lower(texts[0])); });
  functions["toUpper"] =
      of_texts<1>([](const auto& texts) -> Result<Json> { return Json(hcl::to_upper(texts[0])); });
  functions["toTitle"] =
      of_texts<1>([](const auto& texts) -> Result<Json> { return Json(title(texts[0])); });
  functions["trimSpace"] =
      of_texts<1>([](const auto& texts) -> Result<Json> { return Json(trimmed(texts[0])); });
  functions["trim"] = of_texts<2>(
      [](const auto& texts) -> Result<Json> { return Json(trimmed_of(texts[0], texts[1])); });
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
  functions["split"] = of_texts<2>(
      [](const auto& texts) -> Result<Json> { return string_list(split(texts[0], texts[1])); });
  functions["splitToMap"] = of_texts<3>(
      [](const auto& texts) -> Result<Json> { return split_to_map(texts[0], texts[1], texts[2]); });
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
  functions["contains"] = in(false);
  functions["in"] = in(true);
  functions["containsAll"] = contains_some(true, false);
  functions["containsAny"] = contains_some(false, true);
  functions["containsNone"] = contains_some(true, true);
  functions["containsNotAll"] = contains_some(false, false);
  functions["loop"] = loop;
  functions["indent"] = indent;
}

}  // namespace

void add_template_helpers(Functions& functions) {
  add_texts(functions);
  add_encodings(functions);
  add_template_numbers(functions);
  add_template_maps(functions);
  add_template_yaml(functions);
  // The renderer's.
  functions[std::string(text_template::kExecute)] = [](Arguments) -> Result<Json> {
    return Json();
  };
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
