// JSON as a value (Json), as text in (parse_json) and out (to_json, JsonWriter).
//
// What for: API bodies, job specifications, driver configurations, stored records. Json is a value:
// copy and move it; it belongs to whoever holds it, and threads may share it only while nobody
// changes it. Large answers are better written with JsonWriter, which builds no tree. Limits:
// JsonLimits bound what parse_json accepts. Looking a key up is linear, so keep objects that are
// searched often small, or read them once into a struct.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/result.h"

namespace sluice {

struct JsonMember;

template <class T>
concept JsonInteger = std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char>;

class Json {
 public:
  enum class Kind : uint8_t { kNull, kBool, kInt, kDouble, kString, kArray, kObject };
  using Array = std::vector<Json>;
  using Object = std::vector<JsonMember>;  // in the order of insertion

  Json() noexcept;  // null
  Json(std::nullptr_t) noexcept;
  // A template, so that no pointer becomes a bool.
  template <std::same_as<bool> T>
  Json(T value) noexcept;
  // What does not fit in 64 signed bits becomes a double, as in parse_json.
  template <JsonInteger T>
  Json(T value) noexcept;
  Json(double value) noexcept;
  Json(const char* value);
  Json(std::string value) noexcept;
  Json(std::string_view value);
  Json(Array value) noexcept;
  Json(Object value) noexcept;
  Json(const Json&);
  Json(Json&&) noexcept;
  Json& operator=(const Json&);
  Json& operator=(Json&&) noexcept;
  ~Json();

  static Json array();
  static Json array(std::initializer_list<Json> items);
  /// `Json::object({{"ID", id}, {"Count", 2}})`. A key given twice keeps the later value.
  static Json object();
  static Json object(std::initializer_list<JsonMember> members);

  [[nodiscard]] Kind kind() const { return static_cast<Kind>(value_.index()); }
  [[nodiscard]] bool is_null() const { return kind() == Kind::kNull; }
  [[nodiscard]] bool is_bool() const { return kind() == Kind::kBool; }
  [[nodiscard]] bool is_int() const { return kind() == Kind::kInt; }
  [[nodiscard]] bool is_number() const { return is_int() || kind() == Kind::kDouble; }
  [[nodiscard]] bool is_string() const { return kind() == Kind::kString; }
  [[nodiscard]] bool is_array() const { return kind() == Kind::kArray; }
  [[nodiscard]] bool is_object() const { return kind() == Kind::kObject; }

  // These CHECK the kind: ask first, or use the get_ forms.
  [[nodiscard]] bool as_bool() const;
  [[nodiscard]] int64_t as_int() const;
  [[nodiscard]] double as_double() const;  // also of an int
  [[nodiscard]] const std::string& as_string() const;
  [[nodiscard]] const Array& as_array() const;
  [[nodiscard]] Array& as_array();
  [[nodiscard]] const Object& as_object() const;
  [[nodiscard]] Object& as_object();

  /// Members or items; 0 for every other kind.
  [[nodiscard]] size_t size() const;

  /// The member of that name; nullptr if there is none or this is no object.
  [[nodiscard]] const Json* find(std::string_view key) const;
  [[nodiscard]] Json* find(std::string_view key);

  // The member's value, or `fallback` if it is absent, null or of another kind (who must refuse the
  // wrong kind uses find). get_int takes a double that is a whole number, too. The view lives as
  // long as the member.
  [[nodiscard]] bool get_bool(std::string_view key, bool fallback = false) const;
  [[nodiscard]] int64_t get_int(std::string_view key, int64_t fallback = 0) const;
  [[nodiscard]] double get_double(std::string_view key, double fallback = 0) const;
  [[nodiscard]] std::string_view get_string(std::string_view key,
                                            std::string_view fallback = {}) const;

  /// Sets or replaces a member; a null value becomes an object first, anything else is CHECKed.
  Json& set(std::string_view key, Json value);
  /// Appends an item; a null value becomes an array first, anything else is CHECKed.
  Json& push(Json value);
  /// Removes a member; false if there was none.
  bool erase(std::string_view key);

  /// Deep. The order of members does not count; 1 equals 1.0.
  friend bool operator==(const Json& a, const Json& b);

 private:
  std::variant<std::nullptr_t, bool, int64_t, double, std::string, Array, Object> value_;
};

struct JsonMember {
  std::string key;
  Json value;
};

template <std::same_as<bool> T>
Json::Json(T value) noexcept : value_(value) {}

template <JsonInteger T>
Json::Json(T value) noexcept : value_(static_cast<int64_t>(value)) {
  if constexpr (std::unsigned_integral<T> && sizeof(T) == 8) {
    if (value > static_cast<T>(std::numeric_limits<int64_t>::max())) {
      value_ = static_cast<double>(value);
    }
  }
}

struct JsonLimits {
  size_t max_bytes = 64u << 20;
  size_t max_depth = 128;
  size_t max_values =
      8u << 20;  // a value costs sizeof(Json), 40 bytes, for as little as two of input
};

/// Strict RFC 8259 and valid UTF-8. Of a key given twice the last value counts, as in Go. An
/// integer above 2^63-1 becomes a double; one above 2^64-1 is an error. kInvalid or kLimit.
Result<Json> parse_json(std::string_view text, const JsonLimits& limits = {});

/// Compact with indent 0, else one member or item a line. See JsonWriter for the text's form.
std::string to_json(const Json& value, int indent = 0);

/// Appends JSON to a string of the caller's, which must outlive the writer. Calls must nest rightly
/// (CHECKed). Strings: only what RFC 8259 section 7 demands is escaped; bytes that are no valid
/// UTF-8 become U+FFFD. Doubles: the shortest form that reads back equal; not-a-number and
/// infinities, which JSON lacks, become null.
class JsonWriter {
 public:
  explicit JsonWriter(std::string& out, int indent = 0) : out_(out), indent_(indent) {}
  JsonWriter(const JsonWriter&) = delete;
  JsonWriter& operator=(const JsonWriter&) = delete;

  JsonWriter& begin_object();
  JsonWriter& end_object();
  JsonWriter& begin_array();
  JsonWriter& end_array();
  JsonWriter& key(std::string_view key);

  JsonWriter& null();
  template <std::same_as<bool> T>
  JsonWriter& value(T value) {
    return boolean(value);
  }
  template <JsonInteger T>
  JsonWriter& value(T value) {
    if constexpr (std::unsigned_integral<T>) return unsigned_integer(value);
    return integer(static_cast<int64_t>(value));
  }
  JsonWriter& value(double value);
  JsonWriter& value(std::string_view value);
  JsonWriter& value(const char* value) { return this->value(std::string_view(value)); }
  JsonWriter& value(const std::string& value) { return this->value(std::string_view(value)); }
  JsonWriter& value(const Json& value);
  /// Text that is JSON already.
  JsonWriter& raw(std::string_view json);

  /// key and value in one.
  template <class T>
  JsonWriter& member(std::string_view key, const T& value) {
    return this->key(key).value(value);
  }

 private:
  JsonWriter& boolean(bool value);
  JsonWriter& integer(int64_t value);
  JsonWriter& unsigned_integer(uint64_t value);
  void before_value();
  void new_line();
  void close(char bracket);

  std::string& out_;
  int indent_;
  int depth_ = 0;
  bool comma_ = false;      // something stands before the next key or item
  bool after_key_ = false;  // the next value belongs to a key
};

/// Set by a user, as far as JSON can tell: not null, "", 0, false, [] or {}.
bool says_something(const Json& json);

/// Appends `text` with its quotes and escapes, as JsonWriter does.
void append_json_string(std::string& out, std::string_view text);

}  // namespace sluice
