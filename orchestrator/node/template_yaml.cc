// consul-template's parseYAML and toYAML, as gopkg.in/yaml.v2 reads and writes.
#include <algorithm>

#include "core/hcl/unicode.h"
#include "core/hcl/yaml_document.h"
#include "orchestrator/node/template_function.h"

namespace sluice::orchestrator {

namespace {

bool is_letter(std::string_view text) {
  const uint32_t code = hcl::first_code_point(text).value;
  return (code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z') || code >= 0xc0;
}

/// The digits at the start.
std::string_view digits_of(std::string_view text) {
  return text.substr(0, std::min(text.find_first_not_of("0123456789"), text.size()));
}

bool shorter_or_before(std::string_view a, std::string_view b) {
  return a.size() != b.size() ? a.size() < b.size() : a < b;
}

/// The order of keys: numbers within them by their value (a9 before a10), what is no letter in
/// front of letters.
bool key_before(std::string_view a, std::string_view b) {
  size_t at = 0;
  while (at < a.size() && at < b.size() && a[at] == b[at]) ++at;
  if (at == a.size() || at == b.size()) return a.size() < b.size();
  const std::string_view before = a.substr(0, at);
  while (at > 0 && (static_cast<unsigned char>(a[at]) & 0xc0) == 0x80) --at;  // of one character
  const std::string_view rest_a = a.substr(at);
  const std::string_view rest_b = b.substr(at);
  const bool letter_a = is_letter(rest_a);
  const bool letter_b = is_letter(rest_b);
  if (letter_a || letter_b) return letter_a && letter_b ? rest_a < rest_b : letter_b;
  std::string_view number_a = digits_of(rest_a);
  std::string_view number_b = digits_of(rest_b);
  const size_t before_number = before.find_last_not_of("0123456789") + 1;
  if (before.find_first_not_of('0', before_number) == std::string_view::npos) {
    // No digit in front of them but zeros, so their own zeros do not count either.
    number_a.remove_prefix(std::min(number_a.find_first_not_of('0'), number_a.size()));
    number_b.remove_prefix(std::min(number_b.find_first_not_of('0'), number_b.size()));
  }
  if (number_a != number_b) return shorter_or_before(number_a, number_b);
  const size_t width_a = digits_of(rest_a).size();
  const size_t width_b = digits_of(rest_b).size();
  return width_a != width_b ? width_a < width_b : rest_a < rest_b;
}

bool write_text(hcl::YamlEmitter& out, std::string_view text) {
  return out.scalar(text, !hcl::is_plain_text(text) ? hcl::YamlStyle::kQuoted
                          : text.contains('\n')     ? hcl::YamlStyle::kBlock
                                                    : hcl::YamlStyle::kPlain);
}

bool write(hcl::YamlEmitter& out, const Json& value) {
  if (value.is_string()) return write_text(out, value.as_string());
  if (value.is_array()) {
    if (!out.begin_sequence()) return false;
    for (const Json& item : value.as_array()) {
      if (!write(out, item)) return false;
    }
    return out.end_sequence();
  }
  if (!value.is_object()) {
    return out.scalar(value.is_null() ? "null" : text_template::to_text(value),
                      hcl::YamlStyle::kPlain);
  }
  std::vector<const JsonMember*> members;
  for (const JsonMember& member : value.as_object()) {
    if (member.key != text_template::kRecord) members.push_back(&member);
  }
  std::ranges::sort(members, key_before,
                    [](const JsonMember* member) -> std::string_view { return member->key; });
  if (!out.begin_mapping()) return false;
  for (const JsonMember* member : members) {
    if (!write_text(out, member->key) || !write(out, member->value)) return false;
  }
  return out.end_mapping();
}

Result<Json> parse(std::string_view text) {
  if (text.empty()) return Json::object();
  hcl::Budget budget{hcl::HclLimits()};
  Result<hcl::Value> value = hcl::read_yaml(text, hcl::YamlWords::kGoYaml, budget);
  if (!value) return pass(value);
  return hcl::to_json_value(*value);
}

/// Without the line's end: a template has its own.
Result<Json> to_yaml(TemplateArguments args) {
  if (args.size() != 1) return wrong_count(1, args.size());
  hcl::YamlEmitter out;
  write(out, args[0]);
  Result<std::string> text = out.finish();
  if (!text) return pass(text);
  for (const std::string_view end : {"\n...\n", "\n"}) {
    if (text->ends_with(end)) text->resize(text->size() - end.size());
  }
  while (text->ends_with('\n')) text->pop_back();
  return Json(*std::move(text));
}

}  // namespace

void add_template_yaml(text_template::Functions& functions) {
  functions["parseYAML"] = of_texts<1>([](const auto& texts) { return parse(texts[0]); });
  functions["toYAML"] = to_yaml;
}

}  // namespace sluice::orchestrator
