// Writing JSON.
#include <charconv>
#include <cmath>

#include "core/check.h"
#include "core/json.h"

namespace sluice {

namespace {

// The length of the valid UTF-8 sequence at the start (RFC 3629 section 4), 0 if there is none.
size_t utf8_length(std::string_view text) {
  auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  auto tail = [&](size_t from, size_t to) {
    if (text.size() < to) return false;
    for (size_t i = from; i < to; ++i) {
      if ((byte(i) & 0xC0) != 0x80) return false;
    }
    return true;
  };
  unsigned char first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return tail(1, 2) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    if (!tail(1, 3)) return 0;
    if (first == 0xE0 && byte(1) < 0xA0) return 0;  // overlong
    if (first == 0xED && byte(1) > 0x9F) return 0;  // surrogates
    return 3;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    if (!tail(1, 4)) return 0;
    if (first == 0xF0 && byte(1) < 0x90) return 0;
    if (first == 0xF4 && byte(1) > 0x8F) return 0;
    return 4;
  }
  return 0;
}

void append_escape(std::string& out, unsigned char c) {
  static constexpr char kHex[] = "0123456789abcdef";
  switch (c) {
    case '"': out += "\\\""; return;
    case '\\': out += "\\\\"; return;
    case '\b': out += "\\b"; return;
    case '\f': out += "\\f"; return;
    case '\n': out += "\\n"; return;
    case '\r': out += "\\r"; return;
    case '\t': out += "\\t"; return;
    default: out += "\\u00"; break;
  }
  out += kHex[c >> 4];
  out += kHex[c & 15];
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  size_t plain = 0;  // where the bytes start that need no change and are not copied yet
  size_t i = 0;
  while (i < text.size()) {
    auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\') {
      ++i;
      continue;
    }
    size_t length = c < 0x80 ? 0 : utf8_length(text.substr(i));
    if (length != 0) {
      i += length;
      continue;
    }
    out += text.substr(plain, i - plain);
    if (c < 0x80) {
      append_escape(out, c);
    } else {
      out += "\xEF\xBF\xBD";
    }
    plain = ++i;
  }
  out += text.substr(plain);
  out += '"';
}

static void append_double(std::string& out, double value) {
  if (!std::isfinite(value)) {
    out += "null";
    return;
  }
  // Plain digits where Go and JavaScript write them so, too, but not past 63 bits: what has no
  // point is an integer to readers, and ours refuses those that do not fit.
  double size = std::fabs(value);
  bool fixed = size == 0 || (size >= 1e-6 && size < 0x1p63);
  char text[64];
  auto end = std::to_chars(text, text + sizeof text, value,
                           fixed ? std::chars_format::fixed : std::chars_format::scientific);
  CHECK(end.ec == std::errc());
  out.append(text, end.ptr);
}

void JsonWriter::new_line() {
  if (indent_ == 0) return;
  out_ += '\n';
  out_.append(static_cast<size_t>(indent_ * depth_), ' ');
}

void JsonWriter::before_value() {
  if (after_key_) {
    after_key_ = false;
  } else {
    CHECK(depth_ > 0 || !comma_);
    if (comma_) out_ += ',';
    if (depth_ > 0) new_line();
  }
  comma_ = true;
}

JsonWriter& JsonWriter::key(std::string_view key) {
  CHECK(depth_ > 0 && !after_key_);
  if (comma_) out_ += ',';
  new_line();
  append_json_string(out_, key);
  out_ += ':';
  if (indent_ != 0) out_ += ' ';
  after_key_ = true;
  return *this;
}

JsonWriter& JsonWriter::begin_object() {
  before_value();
  out_ += '{';
  ++depth_;
  comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::begin_array() {
  before_value();
  out_ += '[';
  ++depth_;
  comma_ = false;
  return *this;
}

void JsonWriter::close(char bracket) {
  CHECK(depth_ > 0 && !after_key_);
  --depth_;
  if (comma_) new_line();
  out_ += bracket;
  comma_ = true;
}

JsonWriter& JsonWriter::end_object() {
  close('}');
  return *this;
}

JsonWriter& JsonWriter::end_array() {
  close(']');
  return *this;
}

JsonWriter& JsonWriter::raw(std::string_view json) {
  before_value();
  out_ += json;
  return *this;
}

JsonWriter& JsonWriter::null() {
  return raw("null");
}
JsonWriter& JsonWriter::boolean(bool value) {
  return raw(value ? "true" : "false");
}

JsonWriter& JsonWriter::integer(int64_t value) {
  char text[24];
  return raw({text, std::to_chars(text, text + sizeof text, value).ptr});
}

JsonWriter& JsonWriter::unsigned_integer(uint64_t value) {
  char text[24];
  return raw({text, std::to_chars(text, text + sizeof text, value).ptr});
}

JsonWriter& JsonWriter::value(double value) {
  before_value();
  append_double(out_, value);
  return *this;
}

JsonWriter& JsonWriter::value(std::string_view value) {
  before_value();
  append_json_string(out_, value);
  return *this;
}

JsonWriter& JsonWriter::value(const Json& value) {
  switch (value.kind()) {
    case Json::Kind::kNull: return null();
    case Json::Kind::kBool: return boolean(value.as_bool());
    case Json::Kind::kInt: return integer(value.as_int());
    case Json::Kind::kDouble: return this->value(value.as_double());
    case Json::Kind::kString: return this->value(std::string_view(value.as_string()));
    case Json::Kind::kArray:
      begin_array();
      for (const Json& item : value.as_array()) this->value(item);
      return end_array();
    case Json::Kind::kObject:
      begin_object();
      for (const JsonMember& member : value.as_object()) key(member.key).value(member.value);
      return end_object();
  }
  CHECK(false);
  return *this;
}

std::string to_json(const Json& value, int indent) {
  std::string out;
  JsonWriter(out, indent).value(value);
  return out;
}

}  // namespace sluice
