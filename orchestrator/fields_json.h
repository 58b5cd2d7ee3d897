// The visitors of orchestrator/fields.h that read and write JSON. Include from .cc files only.
#pragma once

#include <fmt/format.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/civil_time.h"
#include "core/json.h"
#include "orchestrator/fields.h"

namespace sluice::orchestrator {

/// "2019-03-30T04:58:09.000000001Z"; Go's zero time for 0.
std::string format_time(TimeStamp time);
/// RFC 3339 with any offset; false if it is not.
bool parse_time(std::string_view text, TimeStamp& time);

template <class E>
concept NamedEnum = std::is_enum_v<E> && requires { EnumNames<E>::kNames; };

/// Collects the addresses of a record's fields, in the order of its table: two records of a type
/// are walked side by side by collecting one and visiting the other.
struct FieldPlaces {
  bool with_meta = true;
  std::vector<const void*> places = {};

  template <class F>
  void operator()(const char*, F& field) {
    places.push_back(&field);
  }
  template <class F>
  void meta(const char*, F& field) {
    if (with_meta) places.push_back(&field);
  }
  void unsupported(const char*) {}
};

/// The fields of a default-made T. For leaving defaults out.
template <class T>
const std::vector<const void*>& default_fields() {
  static const T kDefault{};
  static const std::vector<const void*> kPlaces = [] {
    FieldPlaces collect;
    T::fields(collect, kDefault);
    return collect.places;
  }();
  return kPlaces;
}

struct FieldsCompare {
  const std::vector<const void*>& places;
  size_t at = 0;
  bool same = true;

  template <class F>
  void operator()(const char*, const F& field) {
    same = same && field == *static_cast<const F*>(places[at]);
    ++at;
  }
  template <class F>
  void meta(const char*, const F&) {}
  void unsupported(const char*) {}
};

/// Whether two records say the same, the server's own fields aside.
template <class T>
bool same_said(const T& a, const T& b) {
  FieldPlaces collect{.with_meta = false};
  T::fields(collect, a);
  FieldsCompare compare{collect.places};
  T::fields(compare, b);
  return compare.same;
}

// -------------------------------------------------------------------------------------------
// Writing

struct EncodeOptions {
  bool compact = false;  // leave out what equals the default: for the store, not for the API
};

template <class T>
void encode(JsonWriter& out, const T& value, EncodeOptions options);

class FieldsEncoder {
 public:
  FieldsEncoder(JsonWriter& out, EncodeOptions options, const std::vector<const void*>* defaults)
      : out_(out), options_(options), defaults_(defaults) {}

  template <class T>
  void operator()(const char* name, const T& field) {
    if (defaults_) {
      const T& initial = *static_cast<const T*>((*defaults_)[at_++]);
      if (field == initial) return;
    }
    out_.key(name);
    encode(out_, field, options_);
  }
  template <class T>
  void meta(const char* name, const T& field) {
    (*this)(name, field);
  }
  void unsupported(const char*) {}

 private:
  JsonWriter& out_;
  EncodeOptions options_;
  const std::vector<const void*>* defaults_;
  size_t at_ = 0;
};

/// The members of a record without the braces, so that more can be added.
template <HasFields T>
void encode_members(JsonWriter& out, const T& record, EncodeOptions options = {}) {
  FieldsEncoder encoder(out, options, options.compact ? &default_fields<T>() : nullptr);
  T::fields(encoder, record);
}

namespace fields_internal {

template <class T>
void put(JsonWriter& out, const std::optional<T>& value, EncodeOptions options) {
  if (!value) {
    out.null();
  } else {
    encode(out, *value, options);
  }
}
template <class T>
void put(JsonWriter& out, const std::vector<T>& value, EncodeOptions options) {
  if (value.empty() && !options.compact) {
    out.null();  // as Go writes a nil slice
    return;
  }
  out.begin_array();
  for (const T& item : value) encode(out, item, options);
  out.end_array();
}
template <class T>
void put(JsonWriter& out, const std::map<std::string, T>& value, EncodeOptions options) {
  if (value.empty() && !options.compact) {
    out.null();
    return;
  }
  out.begin_object();
  for (const auto& [key, item] : value) {
    out.key(key);
    encode(out, item, options);
  }
  out.end_object();
}

}  // namespace fields_internal

template <class T>
void encode(JsonWriter& out, const T& value, EncodeOptions options) {
  if constexpr (std::same_as<T, int64_t>) {
    if (value == kUnset) {
      out.null();
    } else {
      out.value(value);
    }
  } else if constexpr (std::same_as<T, TimeStamp>) {
    out.value(format_time(value));
  } else if constexpr (NamedEnum<T>) {
    out.value(to_string(value));
  } else if constexpr (HasFields<T>) {
    out.begin_object();
    encode_members(out, value, options);
    out.end_object();
  } else if constexpr (requires { fields_internal::put(out, value, options); }) {
    fields_internal::put(out, value, options);
  } else {
    out.value(value);
  }
}

// -------------------------------------------------------------------------------------------
// Reading

struct DecodeContext {
  std::vector<std::string>* problems;
  std::string place;  // where we are: `group "web" task "srv" `
  bool refuse_unsupported = true;

  void problem(std::string_view name, std::string_view text) {
    problems->push_back(fmt::format("{}{}: {}", place, name, text));
  }
};

template <class T>
void decode(const Json& json, std::string_view name, T& value, DecodeContext& context);

std::string_view json_kind_name(const Json& json);

class FieldsDecoder {
 public:
  FieldsDecoder(const Json& json, DecodeContext& context) : json_(json), context_(context) {}

  template <class T>
  void operator()(const char* name, T& field) {
    const Json* found = json_.find(name);
    if (!found || found->is_null()) return;
    decode(*found, name, field, context_);
  }
  template <class T>
  void meta(const char* name, T& field) {
    (*this)(name, field);
  }
  void unsupported(const char* name) {
    if (!context_.refuse_unsupported) return;
    const Json* found = json_.find(name);
    if (found && says_something(*found)) context_.problem(name, "not supported by sluice");
  }

 private:
  const Json& json_;
  DecodeContext& context_;
};

namespace fields_internal {

/// `group "web" `; "" for records without a name of their own.
template <class T>
std::string place_of(const Json& json) {
  if constexpr (requires { T::kDiffName; }) {
    const std::string_view kind = T::kDiffName;
    const std::string_view name = json.get_string("Name");
    if (kind == "TaskGroup") return fmt::format("group \"{}\" ", name);
    if (kind == "Task") return fmt::format("task \"{}\" ", name);
    if (kind == "Service") return fmt::format("service \"{}\" ", name);
    if (kind == "Check") return fmt::format("check \"{}\" ", name);
    if (kind == "Port") return fmt::format("port \"{}\" ", json.get_string("Label"));
    if (kind != "Job") return fmt::format("{} ", kind);
  }
  return {};
}

template <class T>
void take(const Json& json, std::string_view name, std::optional<T>& value,
          DecodeContext& context) {
  value.emplace();
  decode(json, name, *value, context);
}
template <class T>
void take(const Json& json, std::string_view name, std::vector<T>& value, DecodeContext& context) {
  if (!json.is_array()) {
    context.problem(name, fmt::format("must be a list, not {}", json_kind_name(json)));
    return;
  }
  value.clear();
  value.reserve(json.size());
  for (const Json& item : json.as_array()) {
    if (item.is_null()) continue;
    decode(item, name, value.emplace_back(), context);
  }
}
template <class T>
void take(const Json& json, std::string_view name, std::map<std::string, T>& value,
          DecodeContext& context) {
  if (!json.is_object()) {
    context.problem(name, fmt::format("must be an object, not {}", json_kind_name(json)));
    return;
  }
  value.clear();
  for (const auto& [key, item] : json.as_object()) {
    if (item.is_null()) continue;
    decode(item, name, value[key], context);
  }
}

bool take_int(const Json& json, int64_t low, int64_t high, int64_t& value);

}  // namespace fields_internal

template <class T>
void decode(const Json& json, std::string_view name, T& value, DecodeContext& context) {
  const auto wrong = [&](std::string_view wanted) {
    context.problem(name, fmt::format("must be {}, not {}", wanted, json_kind_name(json)));
  };
  if constexpr (std::same_as<T, std::string>) {
    if (!json.is_string()) return wrong("a string");
    value = json.as_string();
  } else if constexpr (std::same_as<T, bool>) {
    if (!json.is_bool()) return wrong("true or false");
    value = json.as_bool();
  } else if constexpr (std::same_as<T, double>) {
    if (!json.is_number()) return wrong("a number");
    value = json.as_double();
  } else if constexpr (std::integral<T>) {
    int64_t number = 0;
    constexpr int64_t kLow = std::signed_integral<T> ? std::numeric_limits<int64_t>::min() + 1 : 0;
    constexpr int64_t kHigh = sizeof(T) == 8 ? std::numeric_limits<int64_t>::max()
                                             : static_cast<int64_t>(std::numeric_limits<T>::max());
    if (!fields_internal::take_int(json, kLow, kHigh, number)) return wrong("a whole number");
    value = static_cast<T>(number);
  } else if constexpr (std::same_as<T, TimeStamp>) {
    if (!json.is_string() || !parse_time(json.as_string(), value)) wrong("an RFC 3339 time");
  } else if constexpr (NamedEnum<T>) {
    if (!json.is_string()) return wrong("a string");
    size_t at = 0;
    for (std::string_view known : EnumNames<T>::kNames) {
      if (known == json.as_string()) {
        value = static_cast<T>(at);
        return;
      }
      ++at;
    }
    context.problem(name, fmt::format("unknown value \"{}\"", json.as_string()));
  } else if constexpr (std::same_as<T, Json>) {
    value = json;
  } else if constexpr (HasFields<T>) {
    if (!json.is_object()) return wrong("an object");
    const size_t before = context.place.size();
    context.place += fields_internal::place_of<T>(json);
    FieldsDecoder decoder(json, context);
    T::fields(decoder, value);
    context.place.resize(before);
  } else {
    fields_internal::take(json, name, value, context);
  }
}

}  // namespace sluice::orchestrator
