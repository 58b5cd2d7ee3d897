// jsonencode and jsondecode. A reader of their own, because a JSON number here keeps all its
// digits.
#include <optional>

#include "core/hcl/functions_impl.h"
#include "core/hcl/unicode.h"

namespace sluice::hcl {

void append_go_json_string(std::string& out, std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  out += '"';
  while (!text.empty()) {
    CodePoint c = first_code_point(text);
    std::string_view bytes = text.substr(0, c.length);
    text.remove_prefix(c.length);
    switch (c.value) {
      case '"': out += "\\\""; continue;
      case '\\': out += "\\\\"; continue;
      case '\n': out += "\\n"; continue;
      case '\r': out += "\\r"; continue;
      case '\t': out += "\\t"; continue;
      case 0x2028: out += "\\u2028"; continue;
      case 0x2029: out += "\\u2029"; continue;
      default: break;
    }
    if (c.value < 0x20 || c.value == '<' || c.value == '>' || c.value == '&') {
      out += "\\u00";
      out += kHex[c.value >> 4];
      out += kHex[c.value & 15];
    } else if (c.value == 0xFFFD && c.length == 1) {
      out += "\\ufffd";
    } else {
      out += bytes;
    }
  }
  out += '"';
}

void append_go_json(std::string& out, const Value& value) {
  if (value.is_null()) {
    out += "null";
    return;
  }
  switch (value.kind()) {
    case Type::Kind::kDynamic: out += "null"; break;
    case Type::Kind::kBool: out += value.as_bool() ? "true" : "false"; break;
    case Type::Kind::kNumber: out += value.as_number().text(); break;
    case Type::Kind::kString: append_go_json_string(out, value.as_string()); break;
    case Type::Kind::kList:
    case Type::Kind::kSet:
    case Type::Kind::kTuple: {
      out += '[';
      bool first = true;
      for (const Value& item : value.items()) {
        if (!first) out += ',';
        first = false;
        append_go_json(out, item);
      }
      out += ']';
      break;
    }
    case Type::Kind::kMap:
    case Type::Kind::kObject: {
      out += '{';
      bool first = true;
      for (const NamedValue& member : value.members()) {
        if (!first) out += ',';
        first = false;
        append_go_json_string(out, member.name);
        out += ':';
        append_go_json(out, member.value);
      }
      out += '}';
      break;
    }
  }
}

namespace {

class JsonReader {
 public:
  JsonReader(std::string_view text, Budget& budget) : text_(text), budget_(budget) {}

  Result<Value> read();

 private:
  static constexpr int kMaxDepth = 100;

  Result<Value> read_value();
  Result<Value> read_array();
  Result<Value> read_object();
  Result<Value> read_number();
  Result<std::string> read_string();
  std::optional<uint32_t> read_hex();
  bool read_escape(std::string& out);
  void skip_space();
  bool take(std::string_view token);
  [[nodiscard]] char next() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  std::unexpected<Error> wrong() const {
    return fail(Code::kInvalid, "this is not JSON, from offset {} on", at_);
  }

  std::string_view text_;
  Budget& budget_;
  size_t at_ = 0;
  int depth_ = 0;
};

void JsonReader::skip_space() {
  while (next() == ' ' || next() == '\t' || next() == '\n' || next() == '\r') ++at_;
}

bool JsonReader::take(std::string_view token) {
  if (!text_.substr(at_).starts_with(token)) return false;
  at_ += token.size();
  return true;
}

Result<Value> JsonReader::read() {
  Result<Value> value = read_value();
  if (!value) return value;
  skip_space();
  if (at_ != text_.size()) return wrong();
  return value;
}

Result<Value> JsonReader::read_value() {
  if (!budget_.spend_steps(1)) return too_much();
  skip_space();
  switch (next()) {
    case '{':
    case '[': {
      if (++depth_ > kMaxDepth) return fail(Code::kLimit, "nested deeper than {}", kMaxDepth);
      Result<Value> value = next() == '{' ? read_object() : read_array();
      --depth_;
      return value;
    }
    case '"': {
      Result<std::string> text = read_string();
      if (!text) return pass(text);
      return Value::string(std::move(*text));
    }
    default: break;
  }
  if (take("true")) return Value::boolean(true);
  if (take("false")) return Value::boolean(false);
  if (take("null")) return Value::null();
  return read_number();
}

Result<Value> JsonReader::read_number() {
  size_t start = at_;
  auto digits = [&] {
    size_t first = at_;
    while (next() >= '0' && next() <= '9') ++at_;
    return at_ - first;
  };
  take("-");
  size_t whole = at_;
  size_t count = digits();
  if (count == 0 || (count > 1 && text_[whole] == '0')) return wrong();
  if (take(".") && digits() == 0) return wrong();
  if (take("e") || take("E")) {
    if (!take("+")) take("-");
    if (digits() == 0) return wrong();
  }
  std::optional<Number> number = Number::parse(text_.substr(start, at_ - start));
  if (!number) return fail(Code::kInvalid, "a number in the JSON is too large");
  return Value::number(*number);
}

std::optional<uint32_t> JsonReader::read_hex() {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i, ++at_) {
    char c = next();
    if (c >= '0' && c <= '9') {
      value = value * 16 + static_cast<uint32_t>(c - '0');
    } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
      value = value * 16 + static_cast<uint32_t>((c | 0x20) - 'a' + 10);
    } else {
      return std::nullopt;
    }
  }
  return value;
}

// Behind the backslash.
bool JsonReader::read_escape(std::string& out) {
  char c = next();
  ++at_;
  switch (c) {
    case '"':
    case '\\':
    case '/': out += c; return true;
    case 'b': out += '\b'; return true;
    case 'f': out += '\f'; return true;
    case 'n': out += '\n'; return true;
    case 'r': out += '\r'; return true;
    case 't': out += '\t'; return true;
    case 'u': break;
    default: return false;
  }
  std::optional<uint32_t> unit = read_hex();
  if (!unit) return false;
  // Half of a pair alone becomes the replacement character.
  bool high = *unit >= 0xD800 && *unit < 0xDC00;
  if (high && text_.substr(at_).starts_with("\\u")) {
    size_t back = at_;
    at_ += 2;
    std::optional<uint32_t> low = read_hex();
    if (!low) return false;
    if (*low >= 0xDC00 && *low < 0xE000) {
      append_code_point(out, 0x10000 + ((*unit - 0xD800) << 10) + (*low - 0xDC00));
      return true;
    }
    at_ = back;
  }
  bool half = *unit >= 0xD800 && *unit < 0xE000;
  append_code_point(out, half ? 0xFFFD : *unit);
  return true;
}

Result<std::string> JsonReader::read_string() {
  if (!take("\"")) return wrong();
  std::string out;
  while (at_ < text_.size()) {
    char c = text_[at_];
    if (c == '"') {
      ++at_;
      return out;
    }
    if (static_cast<unsigned char>(c) < 0x20) return wrong();
    ++at_;
    if (c != '\\') {
      out += c;
    } else if (!read_escape(out)) {
      return wrong();
    }
  }
  return wrong();
}

Result<Value> JsonReader::read_array() {
  take("[");
  Value::Items items;
  skip_space();
  if (take("]")) return Value::tuple({});
  while (true) {
    Result<Value> item = read_value();
    if (!item) return item;
    items.push_back(std::move(*item));
    skip_space();
    if (take("]")) return Value::tuple(std::move(items));
    if (!take(",")) return wrong();
  }
}

Result<Value> JsonReader::read_object() {
  take("{");
  Value::Members members;
  skip_space();
  if (take("}")) return Value::object({});
  while (true) {
    skip_space();
    Result<std::string> key = read_string();
    if (!key) return pass(key);
    skip_space();
    if (!take(":")) return wrong();
    Result<Value> value = read_value();
    if (!value) return value;
    members.push_back({std::move(*key), std::move(*value)});
    skip_space();
    if (take("}")) return Value::object(std::move(members));
    if (!take(",")) return wrong();
  }
}

Result<Value> jsonencode(Arguments arguments, CallContext&) {
  std::string out;
  append_go_json(out, arguments[0]);
  return Value::string(std::move(out));
}

Result<Value> jsondecode(Arguments arguments, CallContext& context) {
  return JsonReader(arguments[0].as_string(), context.budget).read();
}

}  // namespace

void add_json_functions(std::vector<Function>& out) {
  out.push_back({"jsonencode", {{"value", Type::dynamic(), true}}, false, jsonencode});
  out.push_back({"jsondecode", {{"text", Type::string()}}, false, jsondecode});
}

}  // namespace sluice::hcl
