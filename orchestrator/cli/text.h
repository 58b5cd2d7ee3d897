// Text of the command line: aligned columns, times, sizes and quoting, laid out as Nomad's users
// know it.
//
// Pure functions on values; any thread. The time and the time zone are arguments.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/json.h"

namespace sluice::orchestrator::cli {

/// The moment that "8m ago" is measured from, and the zone in which times are printed.
struct Clock {
  int64_t now_ns = 0;                                 // Unix
  int32_t (*utc_offset_s)(int64_t unix_s) = nullptr;  // nullptr: UTC
};

/// Colours, where the output is a terminal. Off, every function returns its argument.
struct Style {
  bool on = false;

  [[nodiscard]] std::string bold(std::string_view text) const { return paint("1", text); }
  [[nodiscard]] std::string red(std::string_view text) const { return paint("31", text); }
  [[nodiscard]] std::string green(std::string_view text) const { return paint("32", text); }
  [[nodiscard]] std::string yellow(std::string_view text) const { return paint("33", text); }
  [[nodiscard]] std::string blue(std::string_view text) const { return paint("34", text); }
  [[nodiscard]] std::string cyan(std::string_view text) const { return paint("36", text); }
  [[nodiscard]] std::string light_yellow(std::string_view text) const { return paint("93", text); }
  [[nodiscard]] std::string paint(std::string_view code, std::string_view text) const;
};

using Row = std::vector<std::string>;

/// Left-aligned columns two spaces apart, no newline at the end. An empty cell prints as `empty`.
std::string columns(const std::vector<Row>& rows, std::string_view empty = "<none>");
/// "ID            = x" lines, aligned, no newline at the end.
std::string key_values(const std::vector<std::pair<std::string, std::string>>& pairs);

/// The first eight characters, or the whole id where `full` is set.
std::string short_id(std::string_view id, bool full = false);
/// In double quotes, with Go's escapes.
std::string quoted(std::string_view text);

/// "2019-03-30T04:58:09+08:00"; "N/A" for 0 and below.
std::string time_text(int64_t unix_ns, const Clock& clock);
/// "8m ago", "7m50s ago", "1h2m from now": the two largest units; "" for 0.
std::string time_difference(int64_t unix_ns, int64_t now_ns);
/// RFC 3339 with any offset and fraction. Go's zero time and nonsense are nullopt.
std::optional<int64_t> parse_time(std::string_view text);
/// An RFC 3339 time of the API in its own zone, to the second; "N/A" if it is the zero time.
std::string task_time(std::string_view rfc3339);

/// "300 MiB", "6.3 MiB".
std::string size_text(uint64_t bytes);

std::string join(const std::vector<std::string>& parts, std::string_view glue);
/// The strings of a JSON list; everything else is left out.
std::vector<std::string> strings_of(const Json* list);
/// Integers and doubles as Go's %v prints them.
std::string number_text(const Json* value);

/// The member, or a null value: never a null pointer.
const Json& at(const Json& object, std::string_view key);
/// The members' keys, sorted.
std::vector<std::string> sorted_keys(const Json& object);
/// The items of a list; none for anything else.
const Json::Array& items(const Json& list);

}  // namespace sluice::orchestrator::cli
