#include "orchestrator/cli/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/civil_time.h"

namespace sluice::orchestrator::cli {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;

/// Columns on the screen: characters, without the escape sequences of colours.
size_t width_of(std::string_view text) {
  size_t width = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\x1b') {
      while (i < text.size() && text[i] != 'm') ++i;
    } else if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) {
      ++width;
    }
  }
  return width;
}

std::string layout(const std::vector<Row>& rows, std::string_view glue, std::string_view empty) {
  std::vector<size_t> widths;
  for (const Row& row : rows) {
    if (widths.size() < row.size()) widths.resize(row.size());
    for (size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], width_of(row[i].empty() ? empty : row[i]));
    }
  }
  std::string out;
  for (const Row& row : rows) {
    if (!out.empty()) out += '\n';
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string_view cell = row[i].empty() ? empty : std::string_view(row[i]);
      out += cell;
      if (i + 1 == row.size()) break;
      out.append(widths[i] - width_of(cell), ' ');
      out += glue;
    }
    while (out.ends_with(' ')) out.pop_back();
  }
  return out;
}

bool two_digits(std::string_view text, size_t at, int& value) {
  if (at + 2 > text.size()) return false;
  const auto digit = [&](size_t i) { return text[i] >= '0' && text[i] <= '9'; };
  if (!digit(at) || !digit(at + 1)) return false;
  value = (text[at] - '0') * 10 + (text[at + 1] - '0');
  return true;
}

}  // namespace

std::string Style::paint(std::string_view code, std::string_view text) const {
  if (!on) return std::string(text);
  return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}

std::string columns(const std::vector<Row>& rows, std::string_view empty) {
  return layout(rows, "  ", empty);
}

std::string key_values(const std::vector<std::pair<std::string, std::string>>& pairs) {
  std::vector<Row> rows;
  for (const auto& [key, value] : pairs) rows.push_back({key, value});
  return layout(rows, " = ", "<none>");
}

std::string short_id(std::string_view id, bool full) {
  return std::string(full ? id : id.substr(0, 8));
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
          out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        } else {
          out += c;
        }
    }
  }
  return out + '"';
}

std::string time_text(int64_t unix_ns, const Clock& clock) {
  const int64_t seconds = unix_ns / kSecondNs;
  if (seconds < 1) return "N/A";
  const int32_t offset = clock.utc_offset_s ? clock.utc_offset_s(seconds) : 0;
  std::string out = date_time_text(to_civil(seconds + offset));
  if (offset == 0) return out + "Z";
  const int32_t minutes = std::abs(offset) / 60;
  return out + fmt::format("{}{:02}:{:02}", offset < 0 ? '-' : '+', minutes / 60, minutes % 60);
}

std::string time_difference(int64_t unix_ns, int64_t now_ns) {
  if (unix_ns == 0) return "";
  const auto rounded = [](int64_t ns) { return (ns + kSecondNs / 2) / kSecondNs; };
  int64_t left = rounded(now_ns) - rounded(unix_ns);
  const std::string_view suffix = left >= 0 ? "ago" : "from now";
  left = std::abs(left);
  static constexpr std::pair<int64_t, std::string_view> kUnits[] = {{12 * 30 * 86'400, "y"},
                                                                    {30 * 86'400, "mo"},
                                                                    {86'400, "d"},
                                                                    {3'600, "h"},
                                                                    {60, "m"},
                                                                    {1, "s"}};
  std::string out;
  int shown = 0;
  for (const auto& [length, name] : kUnits) {
    const int64_t count = left / length;
    left %= length;
    if (count == 0 || shown == 2) continue;
    out += fmt::format("{}{}", count, name);
    ++shown;
  }
  if (out.empty()) out = "0s";
  return fmt::format("{} {}", out, suffix);
}

std::optional<int64_t> parse_time(std::string_view text) {
  CivilTime t{};
  int century = 0, year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  if (text.size() < 20 || text[4] != '-' || text[7] != '-' || text[13] != ':' || text[16] != ':' ||
      !two_digits(text, 0, century) || !two_digits(text, 2, year) || !two_digits(text, 5, month) ||
      !two_digits(text, 8, day) || !two_digits(text, 11, hour) || !two_digits(text, 14, minute) ||
      !two_digits(text, 17, second)) {
    return std::nullopt;
  }
  t.year = century * 100 + year;
  if (t.year < 1970) return std::nullopt;
  t.month = static_cast<uint8_t>(month);
  t.day = static_cast<uint8_t>(day);
  t.hour = static_cast<uint8_t>(hour);
  t.minute = static_cast<uint8_t>(minute);
  t.second = static_cast<uint8_t>(second);
  int64_t ns = from_civil(t) * kSecondNs;
  size_t at = 19;
  if (text[at] == '.') {
    int64_t unit = kSecondNs / 10;
    for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, unit /= 10) {
      ns += (text[at] - '0') * unit;
    }
  }
  if (at < text.size() && text[at] == 'Z') return ns;
  int offset_hours = 0, offset_minutes = 0;
  if (at + 6 > text.size() || (text[at] != '+' && text[at] != '-') ||
      !two_digits(text, at + 1, offset_hours) || !two_digits(text, at + 4, offset_minutes)) {
    return std::nullopt;
  }
  const int64_t offset_ns = (offset_hours * 3600 + offset_minutes * 60) * kSecondNs;
  return text[at] == '+' ? ns - offset_ns : ns + offset_ns;
}

std::string task_time(std::string_view rfc3339) {
  if (!parse_time(rfc3339)) return "N/A";
  std::string out(rfc3339.substr(0, 19));
  size_t at = 19;
  while (at < rfc3339.size() &&
         (rfc3339[at] == '.' || (rfc3339[at] >= '0' && rfc3339[at] <= '9'))) {
    ++at;
  }
  return out.append(rfc3339.substr(at));
}

std::string size_text(uint64_t bytes) {
  static constexpr std::string_view kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  size_t unit = 0;
  double value = static_cast<double>(bytes);
  while (value >= 1024 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  if (unit == 0) return fmt::format("{} B", bytes);
  value = std::floor(value * 10 + 0.5) / 10;
  return value < 10 ? fmt::format("{:.1f} {}", value, kUnits[unit])
                    : fmt::format("{:.0f} {}", value, kUnits[unit]);
}

std::string join(const std::vector<std::string>& parts, std::string_view glue) {
  return fmt::format("{}", fmt::join(parts, glue));
}

std::vector<std::string> strings_of(const Json* list) {
  std::vector<std::string> out;
  if (!list || !list->is_array()) return out;
  for (const Json& item : list->as_array()) {
    if (item.is_string()) out.push_back(item.as_string());
  }
  return out;
}

std::string number_text(const Json* value) {
  if (!value || !value->is_number()) return "0";
  if (value->is_int()) return std::to_string(value->as_int());
  return fmt::format("{}", value->as_double());
}

const Json& at(const Json& object, std::string_view key) {
  static const Json kNull;
  const Json* found = object.find(key);
  return found ? *found : kNull;
}

std::vector<std::string> sorted_keys(const Json& object) {
  std::vector<std::string> keys;
  if (object.is_object()) {
    for (const JsonMember& member : object.as_object()) keys.push_back(member.key);
  }
  std::sort(keys.begin(), keys.end());
  return keys;
}

const Json::Array& items(const Json& list) {
  static const Json::Array kNone;
  return list.is_array() ? list.as_array() : kNone;
}

}  // namespace sluice::orchestrator::cli
