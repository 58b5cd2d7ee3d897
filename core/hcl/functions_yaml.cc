// yamldecode and yamlencode, on libyaml's events.
#include <yaml.h>

#include <map>
#include <memory>
#include <optional>

#include "core/base64.h"
#include "core/hcl/functions_impl.h"

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

bool is_null_word(std::string_view text) {
  return is_one_of(text, {"", "~", "null", "Null", "NULL"});
}

// Decimal with _ between digits, 0x, 0o and 0b.
std::optional<Number> as_number(std::string_view text) {
  bool negative = text.starts_with('-');
  std::string_view digits = text;
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  if (digits.empty()) return std::nullopt;
  bool hexadecimal = digits.starts_with("0x");
  bool octal = digits.starts_with("0o");
  std::string plain;
  for (char c : hexadecimal || octal ? digits.substr(2) : digits) {
    if (c != '_') plain += c;
  }
  if (!hexadecimal && !octal) {
    bool starts = plain.starts_with('.') || (!plain.empty() && plain[0] >= '0' && plain[0] <= '9');
    if (!starts || digits.starts_with('_')) return std::nullopt;
    return Number::parse((negative ? "-" : "") + plain);
  }
  char* end = nullptr;
  if (plain.empty() || plain.size() > 15) return std::nullopt;
  int64_t value = std::strtoll(plain.c_str(), &end, hexadecimal ? 16 : 8);
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

Value plain_scalar(std::string_view text) {
  if (is_null_word(text)) return Value::null();
  if (std::optional<bool> truth = as_bool(text)) return Value::boolean(*truth);
  if (std::optional<Number> number = as_number(text)) return Value::number(*number);
  if (is_date(text)) return Value::string(std::string(text) + "T00:00:00Z");
  return Value::string(std::string(text));
}

Result<Value> tagged_scalar(std::string_view tag, std::string_view text) {
  auto wrong = [&] { return fail(Code::kInvalid, "\"{}\" is no {}", text, tag); };
  if (tag == YAML_STR_TAG) return Value::string(std::string(text));
  if (tag == YAML_NULL_TAG) return Value::null();
  if (tag == YAML_BOOL_TAG) {
    std::optional<bool> truth = as_bool(text);
    if (!truth) return wrong();
    return Value::boolean(*truth);
  }
  if (tag == YAML_INT_TAG || tag == YAML_FLOAT_TAG) {
    std::optional<Number> number = as_number(text);
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
  YamlReader(std::string_view text, Budget& budget) : budget_(budget) {
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
  if (document.type() != YAML_DOCUMENT_START_EVENT)
    return fail(Code::kInvalid, "there is no value");
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
    value = tagged_scalar(tag, text);
  } else if (!quoted && !text_block) {
    value = plain_scalar(text);
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

// ---- writing ----

class YamlWriter {
 public:
  YamlWriter() {
    yaml_emitter_initialize(&emitter_);
    yaml_emitter_set_unicode(&emitter_, 1);
    yaml_emitter_set_output(&emitter_, append, &out_);
  }
  ~YamlWriter() { yaml_emitter_delete(&emitter_); }
  YamlWriter(const YamlWriter&) = delete;
  YamlWriter& operator=(const YamlWriter&) = delete;

  Result<std::string> write(const Value& value);

 private:
  static int append(void* out, unsigned char* bytes, size_t size) {
    static_cast<std::string*>(out)->append(reinterpret_cast<const char*>(bytes), size);
    return 1;
  }
  bool emit(yaml_event_t& event) { return yaml_emitter_emit(&emitter_, &event) == 1; }
  bool write_value(const Value& value);
  bool write_scalar(std::string_view text, yaml_scalar_style_t style);
  bool write_text(std::string_view text);

  yaml_emitter_t emitter_{};
  std::string out_;
};

bool YamlWriter::write_scalar(std::string_view text, yaml_scalar_style_t style) {
  yaml_event_t event;
  yaml_scalar_event_initialize(&event, nullptr, nullptr,
                               reinterpret_cast<const yaml_char_t*>(text.data()),
                               static_cast<int>(text.size()), 1, 1, style);
  return emit(event);
}

bool YamlWriter::write_text(std::string_view text) {
  return write_scalar(
      text, text.contains('\n') ? YAML_LITERAL_SCALAR_STYLE : YAML_DOUBLE_QUOTED_SCALAR_STYLE);
}

bool YamlWriter::write_value(const Value& value) {
  if (value.is_null()) return write_scalar("null", YAML_PLAIN_SCALAR_STYLE);
  yaml_event_t event;
  if (value.type().is_sequence()) {
    yaml_sequence_start_event_initialize(&event, nullptr, nullptr, 1, YAML_BLOCK_SEQUENCE_STYLE);
    if (!emit(event)) return false;
    for (const Value& item : value.items()) {
      if (!write_value(item)) return false;
    }
    yaml_sequence_end_event_initialize(&event);
    return emit(event);
  }
  if (value.type().is_mapping()) {
    yaml_mapping_start_event_initialize(&event, nullptr, nullptr, 1, YAML_BLOCK_MAPPING_STYLE);
    if (!emit(event)) return false;
    for (const NamedValue& member : value.members()) {
      if (!write_text(member.name) || !write_value(member.value)) return false;
    }
    yaml_mapping_end_event_initialize(&event);
    return emit(event);
  }
  if (value.kind() == Type::Kind::kString) return write_text(value.as_string());
  if (value.kind() == Type::Kind::kBool) {
    return write_scalar(value.as_bool() ? "true" : "false", YAML_PLAIN_SCALAR_STYLE);
  }
  return write_scalar(value.as_number().text(), YAML_PLAIN_SCALAR_STYLE);
}

Result<std::string> YamlWriter::write(const Value& value) {
  yaml_event_t event;
  bool good = true;
  yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING);
  good = good && emit(event);
  yaml_document_start_event_initialize(&event, nullptr, nullptr, nullptr, 1);
  good = good && emit(event);
  good = good && write_value(value);
  if (good) {
    yaml_document_end_event_initialize(&event, 1);
    good = emit(event);
  }
  if (good) {
    yaml_stream_end_event_initialize(&event);
    good = emit(event);
  }
  if (!good) {
    return fail(Code::kInvalid, "{}", emitter_.problem ? emitter_.problem : "cannot be written");
  }
  return std::move(out_);
}

Result<Value> yamldecode(Arguments arguments, CallContext& context) {
  return YamlReader(arguments[0].as_string(), context.budget).read();
}

Result<Value> yamlencode(Arguments arguments, CallContext&) {
  Result<std::string> text = YamlWriter().write(arguments[0]);
  if (!text) return pass(text);
  // The reference ends a document that is one plain word so.
  bool plain = arguments[0].is_null() || arguments[0].kind() == Type::Kind::kNumber ||
               arguments[0].kind() == Type::Kind::kBool;
  if (plain) *text += "...\n";
  return Value::string(std::move(*text));
}

}  // namespace

void add_yaml_functions(std::vector<Function>& out) {
  out.push_back({"yamldecode", {{"text", Type::string()}}, false, yamldecode});
  out.push_back({"yamlencode", {{"value", Type::dynamic(), true}}, false, yamlencode});
}

}  // namespace sluice::hcl
