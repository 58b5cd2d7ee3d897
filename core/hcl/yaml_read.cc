// Reading YAML, on libyaml's events.
#include <yaml.h>

#include <map>
#include <memory>
#include <optional>

#include "core/base64.h"
#include "core/hcl/functions_impl.h"
#include "core/hcl/yaml_document.h"
#include "core/regex.h"

namespace sluice::hcl {

namespace {

// ---- what a plain scalar stands for ----

std::string_view event_text(const yaml_char_t* text) {
  return text ? std::string_view(reinterpret_cast<const char*>(text)) : std::string_view();
}

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  for (std::string_view word : words) {
    if (text == word) return true;
  }
  return false;
}

std::optional<bool> as_bool(std::string_view text) {
  if (is_one_of(text, {"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"})) {
    return true;
  }
  if (is_one_of(text,
                {"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"})) {
    return false;
  }
  return std::nullopt;
}

bool is_no_finite_number(std::string_view text) {
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  return is_one_of(text, {".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN"});
}

bool is_null_word(std::string_view text) {
  return is_one_of(text, {"", "~", "null", "Null", "NULL"});
}

// 16 for 0x, 8 for 0o, else 10; the text goes on behind that. kGoYaml: 2 for 0b, 8 for 0 as well.
int take_base(std::string_view& digits, YamlWords words) {
  const bool go = words == YamlWords::kGoYaml;
  const int base = digits.starts_with("0x")         ? 16
                   : digits.starts_with("0o")       ? 8
                   : go && digits.starts_with("0b") ? 2
                                                    : 10;
  if (base != 10) digits.remove_prefix(2);
  const bool octal = go && base == 10 && digits.size() > 1 && digits[0] == '0' &&
                     digits.find_first_not_of("01234567_") == std::string_view::npos;
  return octal ? 8 : base;
}

// Decimal with _ between digits, or with one of these bases.
std::optional<Number> as_number(std::string_view text, YamlWords words) {
  bool negative = text.starts_with('-');
  std::string_view digits = text;
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  if (digits.empty()) return std::nullopt;
  const std::string_view whole = digits;
  const int base = take_base(digits, words);
  std::string plain;
  for (char c : digits) {
    if (c != '_') plain += c;
  }
  if (base == 10) {
    bool starts = plain.starts_with('.') || (!plain.empty() && plain[0] >= '0' && plain[0] <= '9');
    if (!starts || whole.starts_with('_')) return std::nullopt;
    return Number::parse((negative ? "-" : "") + plain);
  }
  char* end = nullptr;
  if (plain.empty() || plain.size() > 15) return std::nullopt;
  int64_t value = std::strtoll(plain.c_str(), &end, base);
  if (*end != '\0') return std::nullopt;
  return Number(negative ? -value : value);
}

// "2001-02-03", which the reference turns into a full timestamp.
bool is_date(std::string_view text) {
  if (text.size() != 10) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    bool dash = i == 4 || i == 7;
    if (dash ? text[i] != '-' : text[i] < '0' || text[i] > '9') return false;
  }
  int month = (text[5] - '0') * 10 + text[6] - '0';
  int day = (text[8] - '0') * 10 + text[9] - '0';
  return month >= 1 && month <= 12 && day >= 1 && day <= 31;
}

Value plain_scalar(std::string_view text, YamlWords words) {
  if (is_null_word(text)) return Value::null();
  if (std::optional<bool> truth = as_bool(text)) return Value::boolean(*truth);
  if (std::optional<Number> number = as_number(text, words)) return Value::number(*number);
  if (words == YamlWords::kCty && is_date(text))
    return Value::string(std::string(text) + "T00:00:00Z");
  return Value::string(std::string(text));
}

Result<Value> tagged_scalar(std::string_view tag, std::string_view text, YamlWords words) {
  auto wrong = [&] { return fail(Code::kInvalid, "\"{}\" is no {}", text, tag); };
  if (tag == YAML_STR_TAG) return Value::string(std::string(text));
  if (tag == YAML_NULL_TAG) return Value::null();
  if (tag == YAML_BOOL_TAG) {
    std::optional<bool> truth = as_bool(text);
    if (!truth) return wrong();
    return Value::boolean(*truth);
  }
  if (tag == YAML_INT_TAG || tag == YAML_FLOAT_TAG) {
    std::optional<Number> number = as_number(text, words);
    if (!number) return wrong();
    return Value::number(*number);
  }
  if (tag == "tag:yaml.org,2002:binary") {
    if (!base64_decode(text)) return wrong();
    return Value::string(std::string(text));
  }
  return fail(Code::kInvalid, "the tag {} is not supported", tag);
}

// ---- reading ----

class Event {
 public:
  Event() = default;
  ~Event() { yaml_event_delete(&event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  yaml_event_t* operator->() { return &event_; }
  yaml_event_t* get() { return &event_; }
  [[nodiscard]] yaml_event_type_t type() const { return event_.type; }

 private:
  yaml_event_t event_{};
};

class YamlReader {
 public:
  YamlReader(std::string_view text, YamlWords words, Budget& budget)
      : words_(words), budget_(budget) {
    yaml_parser_initialize(&parser_);
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text.data()),
                                 text.size());
  }
  ~YamlReader() { yaml_parser_delete(&parser_); }
  YamlReader(const YamlReader&) = delete;
  YamlReader& operator=(const YamlReader&) = delete;

  Result<Value> read();

 private:
  static constexpr int kMaxDepth = 100;

  Result<void> next(Event& event);
  Result<Value> read_value(Event& event);
  Result<Value> read_scalar(Event& event);
  Result<Value> read_sequence(Event& event);
  Result<Value> read_mapping(Event& event);
  Result<void> read_member(Event& key, Value::Members& members);
  Result<Value> named(const yaml_char_t* anchor, Value value);

  yaml_parser_t parser_{};
  YamlWords words_;
  Budget& budget_;
  int depth_ = 0;
  std::map<std::string, std::optional<Value>, std::less<>> anchors_;  // empty: inside of it
};

Result<void> YamlReader::next(Event& event) {
  if (yaml_parser_parse(&parser_, event.get())) return {};
  return fail(Code::kInvalid, "line {}, column {}: {}", parser_.problem_mark.line + 1,
              parser_.problem_mark.column + 1, parser_.problem ? parser_.problem : "not YAML");
}

Result<Value> YamlReader::read() {
  Event start;
  Event document;
  Result<void> got = next(start);
  if (got) got = next(document);
  if (!got) return pass(got);
  if (document.type() != YAML_DOCUMENT_START_EVENT) {
    if (words_ == YamlWords::kGoYaml) return Value::null();
    return fail(Code::kInvalid, "there is no value");
  }
  Event first;
  got = next(first);
  if (!got) return pass(got);
  Result<Value> value = read_value(first);
  if (!value) return value;
  Event end;
  Event rest;
  got = next(end);
  if (got) got = next(rest);
  if (!got) return pass(got);
  if (rest.type() != YAML_STREAM_END_EVENT) {
    return fail(Code::kInvalid, "only one document is allowed");
  }
  return value;
}

Result<Value> YamlReader::named(const yaml_char_t* anchor, Value value) {
  if (anchor) anchors_[std::string(event_text(anchor))] = value;
  return value;
}

Result<Value> YamlReader::read_value(Event& event) {
  if (!budget_.spend_steps(1)) return too_much();
  switch (event.type()) {
    case YAML_SCALAR_EVENT: return read_scalar(event);
    case YAML_ALIAS_EVENT: {
      std::string_view name = event_text(event->data.alias.anchor);
      auto at = anchors_.find(name);
      if (at == anchors_.end()) return fail(Code::kInvalid, "there is no anchor \"{}\"", name);
      if (!at->second) return fail(Code::kInvalid, "the anchor \"{}\" contains itself", name);
      return *at->second;
    }
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT: {
      if (++depth_ > kMaxDepth) return fail(Code::kLimit, "nested deeper than {}", kMaxDepth);
      Result<Value> value =
          event.type() == YAML_MAPPING_START_EVENT ? read_mapping(event) : read_sequence(event);
      --depth_;
      return value;
    }
    default: return fail(Code::kInvalid, "a value is missing");
  }
}

Result<Value> YamlReader::read_scalar(Event& event) {
  std::string_view text{reinterpret_cast<const char*>(event->data.scalar.value),
                        event->data.scalar.length};
  std::string_view tag = event_text(event->data.scalar.tag);
  bool quoted = event->data.scalar.style == YAML_SINGLE_QUOTED_SCALAR_STYLE ||
                event->data.scalar.style == YAML_DOUBLE_QUOTED_SCALAR_STYLE;
  bool text_block = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
  Result<Value> value = Value::string(std::string(text));
  if (!tag.empty() && tag != "!") {
    value = tagged_scalar(tag, text, words_);
  } else if (!quoted && !text_block) {
    if (words_ == YamlWords::kCty && is_no_finite_number(text)) {
      return fail(Code::kInvalid, "\"{}\" is no finite number", text);
    }
    value = plain_scalar(text, words_);
  }
  if (!value) return value;
  return named(event->data.scalar.anchor, std::move(*value));
}

Result<Value> YamlReader::read_sequence(Event& event) {
  const yaml_char_t* anchor = event->data.sequence_start.anchor;
  std::string_view tag = event_text(event->data.sequence_start.tag);
  if (!tag.empty() && tag != YAML_SEQ_TAG) return fail(Code::kInvalid, "a list is no {}", tag);
  if (anchor) anchors_[std::string(event_text(anchor))] = std::nullopt;
  Value::Items items;
  while (true) {
    Event item;
    Result<void> got = next(item);
    if (!got) return pass(got);
    if (item.type() == YAML_SEQUENCE_END_EVENT) break;
    Result<Value> value = read_value(item);
    if (!value) return value;
    items.push_back(std::move(*value));
  }
  return named(anchor, Value::tuple(std::move(items)));
}

// A key and its value; `<<: *other` merges the other's members.
Result<void> YamlReader::read_member(Event& key, Value::Members& members) {
  if (key.type() != YAML_SCALAR_EVENT) return fail(Code::kInvalid, "a key must be plain text");
  bool plain = key->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !key->data.scalar.tag;
  bool merges = plain && event_text(key->data.scalar.value) == "<<";
  Result<Value> name = read_scalar(key);
  if (!name) return pass(name);
  if (name->is_null()) return fail(Code::kInvalid, "a key must not be null");
  Event event;
  Result<void> got = next(event);
  if (!got) return got;
  Result<Value> value = read_value(event);
  if (!value) return pass(value);
  if (merges) {
    if (value->is_null() || !value->type().is_mapping()) {
      return fail(Code::kInvalid, "only a map can be merged into a map");
    }
    if (!budget_.spend_steps(value->size())) return too_much();
    members.insert(members.end(), value->members().begin(), value->members().end());
    return {};
  }
  Result<Value> text = convert(*name, Type::string());
  if (!text) return fail(Code::kInvalid, "a key must be plain text");
  members.push_back({text->as_string(), std::move(*value)});
  return {};
}

Result<Value> YamlReader::read_mapping(Event& event) {
  const yaml_char_t* anchor = event->data.mapping_start.anchor;
  std::string_view tag = event_text(event->data.mapping_start.tag);
  if (!tag.empty() && tag != YAML_MAP_TAG) return fail(Code::kInvalid, "a map is no {}", tag);
  if (anchor) anchors_[std::string(event_text(anchor))] = std::nullopt;
  Value::Members members;
  while (true) {
    Event key;
    Result<void> got = next(key);
    if (!got) return pass(got);
    if (key.type() == YAML_MAPPING_END_EVENT) break;
    got = read_member(key, members);
    if (!got) return pass(got);
  }
  return named(anchor, Value::object(std::move(members)));
}

}  // namespace

Result<Value> read_yaml(std::string_view text, YamlWords words, Budget& budget) {
  return YamlReader(text, words, budget).read();
}

bool is_plain_text(std::string_view word) {
  // Times, with or without a date, are quoted too: YAML 1.1 took 1:30 for a number to the base
  // of 60.
  static const Regex kTime = *Regex::compile(R"([-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?$|)"
                                             R"([0-9]{4}-[0-9]{1,2}-[0-9]{1,2})"
                                             R"(([Tt ][0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2}(\.[0-9]+)?)"
                                             R"((Z|[-+][0-9]{2}:[0-9]{2})?)?$)");
  return !kTime.matches_start(word) && !is_no_finite_number(word) &&
         plain_scalar(word, YamlWords::kGoYaml).kind() == Type::Kind::kString;
}

}  // namespace sluice::hcl
