#include "core/json.h"

#include <simdjson.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>

#include "core/check.h"

namespace sluice {

// ---- the value ----

Json::Json() noexcept = default;
Json::Json(std::nullptr_t) noexcept {}
Json::Json(double value) noexcept : value_(value) {}
Json::Json(const char* value) : value_(std::string(value)) {}
Json::Json(std::string value) noexcept : value_(std::move(value)) {}
Json::Json(std::string_view value) : value_(std::string(value)) {}
Json::Json(Array value) noexcept : value_(std::move(value)) {}
Json::Json(Object value) noexcept : value_(std::move(value)) {}
Json::Json(const Json&) = default;
Json::Json(Json&&) noexcept = default;
Json& Json::operator=(const Json&) = default;
Json& Json::operator=(Json&&) noexcept = default;
Json::~Json() = default;

Json Json::array() {
  return Json(Array{});
}
Json Json::array(std::initializer_list<Json> items) {
  return Json(Array(items));
}
Json Json::object() {
  return Json(Object{});
}

Json Json::object(std::initializer_list<JsonMember> members) {
  Json result = object();
  result.as_object().reserve(members.size());
  for (const JsonMember& member : members) result.set(member.key, member.value);
  return result;
}

bool Json::as_bool() const {
  CHECK(is_bool());
  return *std::get_if<bool>(&value_);
}

int64_t Json::as_int() const {
  CHECK(is_int());
  return *std::get_if<int64_t>(&value_);
}

double Json::as_double() const {
  if (is_int()) return static_cast<double>(as_int());
  CHECK(kind() == Kind::kDouble);
  return *std::get_if<double>(&value_);
}

const std::string& Json::as_string() const {
  CHECK(is_string());
  return *std::get_if<std::string>(&value_);
}

const Json::Array& Json::as_array() const {
  CHECK(is_array());
  return *std::get_if<Array>(&value_);
}

Json::Array& Json::as_array() {
  CHECK(is_array());
  return *std::get_if<Array>(&value_);
}

const Json::Object& Json::as_object() const {
  CHECK(is_object());
  return *std::get_if<Object>(&value_);
}

Json::Object& Json::as_object() {
  CHECK(is_object());
  return *std::get_if<Object>(&value_);
}

size_t Json::size() const {
  if (is_array()) return as_array().size();
  if (is_object()) return as_object().size();
  return 0;
}

const Json* Json::find(std::string_view key) const {
  if (!is_object()) return nullptr;
  for (const JsonMember& member : as_object()) {
    if (member.key == key) return &member.value;
  }
  return nullptr;
}

Json* Json::find(std::string_view key) {
  return const_cast<Json*>(std::as_const(*this).find(key));
}

bool Json::get_bool(std::string_view key, bool fallback) const {
  const Json* member = find(key);
  return member && member->is_bool() ? member->as_bool() : fallback;
}

int64_t Json::get_int(std::string_view key, int64_t fallback) const {
  const Json* member = find(key);
  if (!member || !member->is_number()) return fallback;
  if (member->is_int()) return member->as_int();
  double value = member->as_double();
  bool whole = value >= -0x1p63 && value < 0x1p63 && value == std::trunc(value);
  return whole ? static_cast<int64_t>(value) : fallback;
}

double Json::get_double(std::string_view key, double fallback) const {
  const Json* member = find(key);
  return member && member->is_number() ? member->as_double() : fallback;
}

std::string_view Json::get_string(std::string_view key, std::string_view fallback) const {
  const Json* member = find(key);
  return member && member->is_string() ? std::string_view(member->as_string()) : fallback;
}

Json& Json::set(std::string_view key, Json value) {
  if (is_null()) value_ = Object{};
  if (Json* member = find(key)) {
    *member = std::move(value);
  } else {
    as_object().push_back({std::string(key), std::move(value)});
  }
  return *this;
}

Json& Json::push(Json value) {
  if (is_null()) value_ = Array{};
  as_array().push_back(std::move(value));
  return *this;
}

bool Json::erase(std::string_view key) {
  if (!is_object()) return false;
  return std::erase_if(as_object(), [&](const JsonMember& m) { return m.key == key; }) != 0;
}

static bool equal_objects(const Json::Object& a, const Json& b) {
  const Json::Object& other = b.as_object();
  if (a.size() != other.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    // Mostly both are in the same order; then no search is needed.
    const Json* twin = other[i].key == a[i].key ? &other[i].value : b.find(a[i].key);
    if (!twin || !(a[i].value == *twin)) return false;
  }
  return true;
}

bool operator==(const Json& a, const Json& b) {
  if (a.is_number() && b.is_number() && a.kind() != b.kind()) {
    return a.as_double() == b.as_double();
  }
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Json::Kind::kNull: return true;
    case Json::Kind::kBool: return a.as_bool() == b.as_bool();
    case Json::Kind::kInt: return a.as_int() == b.as_int();
    case Json::Kind::kDouble: return a.as_double() == b.as_double();
    case Json::Kind::kString: return a.as_string() == b.as_string();
    case Json::Kind::kArray: return a.as_array() == b.as_array();
    case Json::Kind::kObject: return equal_objects(a.as_object(), b);
  }
  CHECK(false);
  return false;
}

// ---- reading ----

namespace {

// Keeps the last of each key. Sorting, because a hostile body must not cost a square.
void drop_repeated_keys(Json::Object& members) {
  std::vector<uint32_t> order(members.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, [&](uint32_t a, uint32_t b) {
    return std::tie(members[a].key, a) < std::tie(members[b].key, b);
  });
  std::vector<bool> drop(members.size());
  bool any = false;
  for (size_t i = 1; i < order.size(); ++i) {
    if (members[order[i - 1]].key != members[order[i]].key) continue;
    drop[order[i - 1]] = true;
    any = true;
  }
  if (!any) return;
  size_t kept = 0;
  for (size_t i = 0; i < members.size(); ++i) {
    if (drop[i]) continue;
    if (kept != i) members[kept] = std::move(members[i]);
    ++kept;
  }
  members.resize(kept);
}

class Reader {
 public:
  explicit Reader(size_t max_values) : left_(max_values) {}
  [[nodiscard]] bool over_limit() const { return over_; }

  // The depth is bounded by the parser's own limit.
  Json read(simdjson::dom::element element) {
    if (left_ == 0) {
      over_ = true;
      return {};
    }
    --left_;
    switch (element.type()) {
      case simdjson::dom::element_type::ARRAY: {
        Json::Array items;
        for (simdjson::dom::element item :
             simdjson::dom::array(element.get_array().value_unsafe())) {
          items.push_back(read(item));
          if (over_) break;
        }
        return items;
      }
      case simdjson::dom::element_type::OBJECT: {
        Json::Object members;
        for (auto field : simdjson::dom::object(element.get_object().value_unsafe())) {
          members.push_back({std::string(field.key), read(field.value)});
          if (over_) break;
        }
        drop_repeated_keys(members);
        return members;
      }
      case simdjson::dom::element_type::INT64: return element.get_int64().value_unsafe();
      case simdjson::dom::element_type::UINT64: return element.get_uint64().value_unsafe();
      case simdjson::dom::element_type::DOUBLE: return element.get_double().value_unsafe();
      case simdjson::dom::element_type::STRING: return element.get_string().value_unsafe();
      case simdjson::dom::element_type::BOOL: return element.get_bool().value_unsafe();
      case simdjson::dom::element_type::NULL_VALUE: return nullptr;
    }
    CHECK(false);
    return {};
  }

 private:
  size_t left_;
  bool over_ = false;
};

}  // namespace

Result<Json> parse_json(std::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.max_bytes) {
    return fail(Code::kLimit, "JSON of {} bytes, at most {} are taken", text.size(),
                limits.max_bytes);
  }
  simdjson::dom::parser parser(simdjson::SIMDJSON_MAXSIZE_BYTES);
  // simdjson counts the root as a level, too.
  auto error = parser.allocate(std::max<size_t>(text.size(), 1), limits.max_depth + 1);
  if (error != simdjson::SUCCESS) return fail(Code::kLimit, "no memory to read JSON");
  simdjson::dom::element root;
  error = parser.parse(text.data(), text.size()).get(root);
  if (error == simdjson::DEPTH_ERROR) {
    return fail(Code::kLimit, "JSON is nested deeper than {}", limits.max_depth);
  }
  if (error != simdjson::SUCCESS) {
    return fail(Code::kInvalid, "not JSON: {}", simdjson::error_message(error));
  }
  Reader reader(limits.max_values);
  Json value = reader.read(root);
  if (reader.over_limit()) {
    return fail(Code::kLimit, "JSON of more than {} values", limits.max_values);
  }
  return value;
}

bool says_something(const Json& json) {
  switch (json.kind()) {
    case Json::Kind::kNull: return false;
    case Json::Kind::kBool: return json.as_bool();
    case Json::Kind::kInt: return json.as_int() != 0;
    case Json::Kind::kDouble: return json.as_double() != 0;
    case Json::Kind::kString: return !json.as_string().empty();
    case Json::Kind::kArray:
    case Json::Kind::kObject: return json.size() != 0;
  }
  return true;
}

}  // namespace sluice
