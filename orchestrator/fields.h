// Field tables: how a record names its fields, once, for JSON in, JSON out, storage and the job
// diff.
//
// A record is a plain struct with
//
//   template <class V, class S>
//   static void fields(V& v, S& s) { v("ID", s.id); v("Count", s.count); }
//
// where S is the struct or the const struct. A visitor has three calls:
//
//   v(name, field)        part of what the user says, compared and shown by the diff;
//   v.meta(name, field)   the server's own, or said twice: encoded, but neither compared nor shown;
//   v.unsupported(name)   known to the language and not supported: refused by name when it is set.
//
// The names are those of Nomad's JSON. The visitors themselves are in orchestrator/fields_json.h.
//
// Threads: plain values.
#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::orchestrator {

/// A number that nobody has set; JSON null. canonicalize() leaves none where a default exists.
inline constexpr int64_t kUnset = std::numeric_limits<int64_t>::min();

/// A time that JSON carries as an RFC 3339 string; 0 is "0001-01-01T00:00:00Z", Go's zero time.
struct TimeStamp {
  int64_t ns = 0;  // Unix
  auto operator<=>(const TimeStamp&) const = default;
};

/// Specialised for each enum that JSON carries as a string: `static constexpr std::string_view
/// kNames[]` in the order of the enumerators.
template <class E>
struct EnumNames;

template <class E>
  requires requires { EnumNames<E>::kNames; }
std::string_view to_string(E value) {
  return EnumNames<E>::kNames[static_cast<size_t>(value)];
}

namespace fields_internal {
struct Probe {
  template <class T>
  void operator()(const char*, T&) {}
  template <class T>
  void meta(const char*, T&) {}
  void unsupported(const char*) {}
};
}  // namespace fields_internal

template <class T>
concept HasFields =
    requires(fields_internal::Probe& probe, T& record) { T::fields(probe, record); };

}  // namespace sluice::orchestrator
