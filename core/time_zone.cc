#include "core/time_zone.h"

#include <algorithm>
#include <charconv>

#include "core/ascii.h"

namespace sluice {

namespace {

constexpr std::string_view kFolders[] = {"/usr/share/zoneinfo/", "/usr/lib/zoneinfo/"};
constexpr int64_t kDay = 86'400;

/// Big-endian reads that stop at the end of the text.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  [[nodiscard]] bool has(size_t count) const { return bytes_.size() >= count; }
  int64_t number(size_t width) {
    if (!has(width)) {
      failed_ = true;
      return 0;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < width; ++i) value = value << 8 | static_cast<unsigned char>(bytes_[i]);
    bytes_.remove_prefix(width);
    if (width == 4) return static_cast<int32_t>(value);
    return static_cast<int64_t>(value);
  }
  void skip(size_t count) {
    failed_ |= !has(count);
    bytes_.remove_prefix(std::min(count, bytes_.size()));
  }
  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] std::string_view rest() const { return bytes_; }

 private:
  std::string_view bytes_;
  bool failed_ = false;
};

struct Header {
  char version = 0;
  uint32_t utc_marks = 0, standard_marks = 0, leaps = 0, times = 0, types = 0, characters = 0;

  /// Of the data block behind it, with times of that many bytes.
  [[nodiscard]] size_t block_bytes(size_t width) const {
    return size_t{times} * (width + 1) + size_t{types} * 6 + characters + leaps * (width + 4) +
           standard_marks + utc_marks;
  }
};

std::optional<Header> read_header(Reader& reader) {
  if (!reader.rest().starts_with("TZif") || !reader.has(44)) return std::nullopt;
  Header header;
  header.version = reader.rest()[4];
  reader.skip(20);
  for (uint32_t* count : {&header.utc_marks, &header.standard_marks, &header.leaps, &header.times,
                          &header.types, &header.characters}) {
    *count = static_cast<uint32_t>(reader.number(4));
    if (*count > TimeZone::kMaxTransitions) return std::nullopt;
  }
  return header;
}

// ---- the footer: POSIX's TZ, "CET-1CEST,M3.5.0,M10.5.0/3" ----

/// A zone's name, bare or in <>.
bool take_name(std::string_view& text) {
  if (text.starts_with('<')) {
    const size_t end = text.find('>');
    if (end == std::string_view::npos) return false;
    text.remove_prefix(end + 1);
    return true;
  }
  size_t length = 0;
  while (length < text.size() && ascii::is_letter(text[length])) {
    ++length;
  }
  text.remove_prefix(length);
  return length >= 3;
}

bool take_number(std::string_view& text, int& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data() || value < 0) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return true;
}

bool take_char(std::string_view& text, char wanted) {
  if (!text.starts_with(wanted)) return false;
  text.remove_prefix(1);
  return true;
}

/// [+-]h[h[h]][:mm[:ss]] in seconds.
bool take_time(std::string_view& text, int64_t& seconds) {
  const bool negative = take_char(text, '-');
  if (!negative) take_char(text, '+');
  int hours = 0, minutes = 0, rest = 0;
  if (!take_number(text, hours) || hours > 167) return false;
  if (take_char(text, ':') && !take_number(text, minutes)) return false;
  if (take_char(text, ':') && !take_number(text, rest)) return false;
  if (minutes > 59 || rest > 59) return false;
  seconds = hours * 3600 + minutes * 60 + rest;
  if (negative) seconds = -seconds;
  return true;
}

bool is_leap(int32_t year) {
  return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

int64_t first_of(int32_t year, int month) {
  return from_civil(CivilTime{year, static_cast<uint8_t>(month), 1, 0, 0, 0, 0});
}

}  // namespace

std::optional<TimeZone::Footer> TimeZone::parse_footer(std::string_view text) {
  Footer footer;
  int64_t west = 0;
  if (!take_name(text) || !take_time(text, west)) return std::nullopt;
  footer.standard = -west;
  if (text.empty()) return footer;
  footer.has_summer = true;
  footer.summer = footer.standard + 3600;
  if (!take_name(text)) return std::nullopt;
  if (!text.starts_with(',')) {
    if (!take_time(text, west)) return std::nullopt;
    footer.summer = -west;
  }
  for (Rule* rule : {&footer.begin, &footer.end}) {
    if (!take_char(text, ',')) return std::nullopt;
    if (take_char(text, 'M')) {
      if (!take_number(text, rule->month) || !take_char(text, '.') ||
          !take_number(text, rule->week) || !take_char(text, '.') ||
          !take_number(text, rule->day)) {
        return std::nullopt;
      }
      if (rule->month < 1 || rule->month > 12 || rule->week < 1 || rule->week > 5 ||
          rule->day > 6) {
        return std::nullopt;
      }
    } else {
      rule->kind = take_char(text, 'J') ? Rule::Kind::kJulian : Rule::Kind::kDayOfYear;
      if (!take_number(text, rule->day) || rule->day > 365) return std::nullopt;
    }
    if (take_char(text, '/') && !take_time(text, rule->at_seconds)) return std::nullopt;
  }
  if (!text.empty()) return std::nullopt;
  return footer;
}

/// When it happens in that year, in seconds of the local clock that holds before it.
int64_t TimeZone::rule_time(const Rule& rule, int32_t year) {
  int64_t day = 0;
  switch (rule.kind) {
    case Rule::Kind::kMonthWeekDay: {
      const int64_t first = first_of(year, rule.month);
      const int64_t days_in_month =
          ((rule.month == 12 ? first_of(year + 1, 1) : first_of(year, rule.month + 1)) - first) /
          kDay;
      int64_t at = (rule.day - to_civil(first).weekday + 7) % 7 + (rule.week - 1) * 7;
      if (at >= days_in_month) at -= 7;  // week 5 is the last one
      day = first / kDay + at;
      break;
    }
    case Rule::Kind::kJulian:  // 1 to 365, without the 29th of February
      day = first_of(year, 1) / kDay + rule.day - 1 + (is_leap(year) && rule.day > 59 ? 1 : 0);
      break;
    case Rule::Kind::kDayOfYear: day = first_of(year, 1) / kDay + rule.day; break;
  }
  return day * kDay + rule.at_seconds;
}

int64_t TimeZone::footer_offset(int64_t unix_seconds) const {
  const Footer& footer = *footer_;
  if (!footer.has_summer) return footer.standard;
  const int32_t year = to_civil(unix_seconds + footer.standard).year;
  const int64_t begin = rule_time(footer.begin, year) - footer.standard;
  const int64_t end = rule_time(footer.end, year) - footer.summer;
  const bool summer = begin < end ? unix_seconds >= begin && unix_seconds < end
                                  : unix_seconds >= begin || unix_seconds < end;
  return summer ? footer.summer : footer.standard;
}

Result<TimeZone> TimeZone::parse(std::string_view bytes) {
  const auto broken = [] { return fail(Code::kInvalid, "not a time zone file (RFC 9636)"); };
  Reader reader(bytes);
  std::optional<Header> header = read_header(reader);
  if (!header) return broken();
  if (header->version < '2') return fail(Code::kInvalid, "a time zone file of version 1");
  // The first block is for those that read 32-bit times.
  reader.skip(header->block_bytes(4));
  header = read_header(reader);
  if (!header || header->types == 0 || !reader.has(header->block_bytes(8))) return broken();
  TimeZone zone;
  for (uint32_t i = 0; i < header->times; ++i) zone.transitions_.push_back(reader.number(8));
  if (!std::is_sorted(zone.transitions_.begin(), zone.transitions_.end())) return broken();
  std::vector<size_t> types{0};  // RFC 9636, section 3.2: type 0 holds before the first transition
  for (uint32_t i = 0; i < header->times; ++i) {
    types.push_back(static_cast<size_t>(reader.number(1)));
  }
  std::vector<int64_t> offsets;
  for (uint32_t i = 0; i < header->types; ++i) {
    offsets.push_back(reader.number(4));
    reader.skip(2);
  }
  for (const size_t type : types) {
    if (type >= offsets.size()) return broken();
    zone.offsets_.push_back(offsets[type]);
  }
  reader.skip(header->characters + header->leaps * size_t{12} + header->standard_marks +
              header->utc_marks);
  std::string_view text = reader.rest();
  if (reader.failed() || !text.starts_with('\n')) return broken();
  text.remove_prefix(1);
  const size_t end = text.find('\n');
  if (end == std::string_view::npos) return broken();
  if (end > 0) {
    zone.footer_ = parse_footer(text.substr(0, end));
    if (!zone.footer_) return broken();
  }
  return zone;
}

int64_t TimeZone::offset_at(int64_t unix_seconds) const {
  const auto after = std::upper_bound(transitions_.begin(), transitions_.end(), unix_seconds);
  if (after == transitions_.end() && footer_) return footer_offset(unix_seconds);
  if (offsets_.empty()) return 0;
  return offsets_[static_cast<size_t>(after - transitions_.begin())];
}

Result<TimeZone> load_time_zone(Disk& disk, const std::string& name) {
  if (name.empty() || name == "UTC") return TimeZone();
  const auto unknown = [&] { return fail(Code::kNotFound, "unknown time zone {}", name); };
  if (name.front() == '/' || name.find("..") != std::string::npos ||
      name.find('\0') != std::string::npos) {
    return unknown();
  }
  if (name == "Local") {
    Result<std::string> bytes = disk.read_file("/etc/localtime", TimeZone::kMaxZoneBytes);
    if (!bytes) return TimeZone();  // as the C library: UTC
    return TimeZone::parse(*bytes);
  }
  for (const std::string_view folder : kFolders) {
    Result<std::string> bytes = disk.read_file(std::string(folder) + name, TimeZone::kMaxZoneBytes);
    if (!bytes) continue;
    Result<TimeZone> zone = TimeZone::parse(*bytes);
    if (!zone) return pass(zone, "time zone {}", name);
    return zone;
  }
  return unknown();
}

}  // namespace sluice
