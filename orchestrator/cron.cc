#include "orchestrator/cron.h"

#include <algorithm>
#include <charconv>
#include <string>

#include "core/ascii.h"

namespace sluice::orchestrator {

namespace {

constexpr std::string_view kMonths[] = {"jan", "feb", "mar", "apr", "may", "jun",
                                        "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::string_view kWeekdays[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
constexpr std::string_view kLongWeekdays[] = {"sunday",   "monday", "tuesday", "wednesday",
                                              "thursday", "friday", "saturday"};
constexpr std::string_view kLongMonths[] = {"january",   "february", "march",    "april",
                                            "may",       "june",     "july",     "august",
                                            "september", "october",  "november", "december"};

struct Shorthand {
  std::string_view name, fields;
};
constexpr Shorthand kShorthands[] = {{"@yearly", "0 0 0 1 1 * *"},  {"@annually", "0 0 0 1 1 * *"},
                                     {"@monthly", "0 0 0 1 * * *"}, {"@weekly", "0 0 0 * * 0 *"},
                                     {"@daily", "0 0 0 * * * *"},   {"@midnight", "0 0 0 * * * *"},
                                     {"@hourly", "0 0 * * * * *"}};

struct Field {
  std::string_view name;
  int min, max;
  std::span<const std::string_view> words = {}, long_words = {};
  int first_word = 0;  // the value of words[0]
};

constexpr Field kSecond{"second", 0, 59};
constexpr Field kMinute{"minute", 0, 59};
constexpr Field kHour{"hour", 0, 23};
constexpr Field kDayOfMonth{"day of month", 1, 31};
constexpr Field kMonth{"month", 1, 12, kMonths, kLongMonths, 1};
constexpr Field kDayOfWeek{"day of week", 0, 7, kWeekdays, kLongWeekdays, 0};  // 7 is Sunday too
constexpr Field kYear{"year", Cron::kFirstYear, Cron::kLastYear};

std::optional<int> value_of(std::string_view text, const Field& field) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size()) {
    if (value < field.min || value > field.max) return std::nullopt;
    return value;
  }
  for (const auto& words : {field.words, field.long_words}) {
    const auto found = std::find(words.begin(), words.end(), text);
    if (found != words.end()) return field.first_word + static_cast<int>(found - words.begin());
  }
  return std::nullopt;
}

struct Span {
  int first = 0, last = 0, step = 1;
};

/// `*`, `5`, `1-5`, each with `/step`. nullopt: none of these.
std::optional<Span> span_of(std::string_view text, const Field& field) {
  Span span{field.min, field.max, 1};
  const size_t slash = text.find('/');
  const std::string_view range = text.substr(0, slash);
  if (slash != std::string_view::npos) {
    const std::string_view step = text.substr(slash + 1);
    const auto [end, error] = std::from_chars(step.data(), step.data() + step.size(), span.step);
    if (error != std::errc() || end != step.data() + step.size() || span.step < 1) {
      return std::nullopt;
    }
  }
  if (range == "*" || range == "?") return span;
  const size_t dash = range.find('-');
  const auto first = value_of(range.substr(0, dash), field);
  if (!first) return std::nullopt;
  span.first = *first;
  if (dash != std::string_view::npos) {
    const auto last = value_of(range.substr(dash + 1), field);
    if (!last || *last < *first) return std::nullopt;
    span.last = *last;
  } else if (slash == std::string_view::npos) {
    span.last = *first;
  }
  return span;
}

/// `special` may take an entry for itself; `set` gets each value of the others.
template <class Special, class Set>
Result<void> parse_field(std::string_view text, const Field& field, Special special, Set set) {
  if (text.empty()) return fail(Code::kInvalid, "cron: the {} is missing", field.name);
  while (true) {
    const size_t comma = text.find(',');
    const std::string_view entry = text.substr(0, comma);
    if (!special(entry)) {
      const auto span = span_of(entry, field);
      if (!span) {
        return fail(Code::kInvalid, "cron: \"{}\" is no {} (from {} to {})", entry, field.name,
                    field.min, field.max);
      }
      for (int value = span->first; value <= span->last; value += span->step) set(value);
    }
    if (comma == std::string_view::npos) return {};
    text.remove_prefix(comma + 1);
  }
}

template <size_t N>
Result<void> parse_plain(std::string_view text, const Field& field, std::bitset<N>& bits,
                         int base = 0) {
  return parse_field(
      text, field, [](std::string_view) { return false; },
      [&](int value) { bits.set(static_cast<size_t>(value - base)); });
}

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> words;
  while (true) {
    const size_t begin = text.find_first_not_of(" \t");
    if (begin == std::string_view::npos) return words;
    text.remove_prefix(begin);
    const size_t end = std::min(text.find_first_of(" \t"), text.size());
    words.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

int days_in_month(int32_t year, int month) {
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return kDays[month - 1] + (month == 2 && leap ? 1 : 0);
}

/// The weekday, Monday to Friday, that is nearest to that day without leaving its month.
int nearest_workday(int day, int weekday_of_day, int last_day) {
  if (weekday_of_day == 6) return day > 1 ? day - 1 : day + 2;
  if (weekday_of_day == 0) return day < last_day ? day + 1 : day - 2;
  return day;
}

}  // namespace

Result<Cron> Cron::parse(std::string_view given) {
  const std::string lower = ascii::lower(given);
  std::string_view text = lower;
  for (const Shorthand& shorthand : kShorthands) {
    if (text == shorthand.name) text = shorthand.fields;
  }
  std::vector<std::string_view> words = split(text);
  if (words.size() < 5 || words.size() > 7) {
    return fail(Code::kInvalid,
                "cron: \"{}\" has {} fields; 5 are wanted (minute hour day month weekday), 6 with "
                "a year, 7 with a second before them",
                given, words.size());
  }
  if (words.size() < 7) words.insert(words.begin(), "0");
  if (words.size() < 7) words.push_back("*");

  Cron cron;
  const auto day_entry = [&](std::string_view entry) {
    if (entry == "l") return cron.last_day_ = true;
    if (entry == "lw" || entry == "wl") return cron.last_workday_ = true;
    if (!entry.ends_with('w')) return false;
    entry.remove_suffix(1);
    const auto day = value_of(entry, kDayOfMonth);
    if (day) cron.workday_nearest_.set(static_cast<size_t>(*day));
    return day.has_value();
  };
  const auto weekday_entry = [&](std::string_view entry) {
    if (entry.size() > 1 && entry.ends_with('l')) {
      const auto day = value_of(entry.substr(0, entry.size() - 1), kDayOfWeek);
      if (day) cron.last_weekday_.set(static_cast<size_t>(*day % 7));
      return day.has_value();
    }
    const size_t mark = entry.find('#');
    if (mark == std::string_view::npos) return false;
    const auto day = value_of(entry.substr(0, mark), kDayOfWeek);
    const std::string_view nth = entry.substr(mark + 1);
    if (!day || nth.size() != 1 || nth[0] < '1' || nth[0] > '5') return false;
    cron.nth_weekday_[static_cast<size_t>(*day % 7)].set(static_cast<size_t>(nth[0] - '0'));
    return true;
  };
  const auto any = [](std::string_view word) { return word == "*" || word == "?"; };
  cron.any_day_ = any(words[3]);
  cron.any_weekday_ = any(words[5]);
  Result<void> done = parse_plain(words[0], kSecond, cron.seconds_);
  if (done) done = parse_plain(words[1], kMinute, cron.minutes_);
  if (done) done = parse_plain(words[2], kHour, cron.hours_);
  if (done) {
    done = parse_field(words[3], kDayOfMonth, day_entry,
                       [&](int day) { cron.days_.set(static_cast<size_t>(day)); });
  }
  if (done) done = parse_plain(words[4], kMonth, cron.months_);
  if (done) {
    done = parse_field(words[5], kDayOfWeek, weekday_entry,
                       [&](int day) { cron.weekdays_.set(static_cast<size_t>(day % 7)); });
  }
  if (done) done = parse_plain(words[6], kYear, cron.years_, kFirstYear);
  if (!done) return pass(done);
  return cron;
}

bool Cron::day_fits(const CivilTime& at) const {
  if (any_day_ && any_weekday_) return true;
  const int last = days_in_month(at.year, at.month);
  const auto weekday_of = [&](int day) { return ((at.weekday + day - at.day) % 7 + 7) % 7; };
  bool by_day = days_.test(at.day) || (last_day_ && at.day == last);
  by_day |= last_workday_ && at.day == nearest_workday(last, weekday_of(last), last);
  for (int day = 1; workday_nearest_.any() && day <= last; ++day) {
    by_day |= workday_nearest_.test(static_cast<size_t>(day)) &&
              at.day == nearest_workday(day, weekday_of(day), last);
  }
  bool by_weekday = weekdays_.test(at.weekday);
  by_weekday |= last_weekday_.test(at.weekday) && at.day + 7 > last;
  by_weekday |= nth_weekday_[at.weekday].test(static_cast<size_t>((at.day - 1) / 7 + 1));
  if (any_day_) return by_weekday;
  if (any_weekday_) return by_day;
  return by_day || by_weekday;
}

std::optional<int64_t> Cron::next(int64_t after_unix_seconds, const TimeZone& zone) const {
  constexpr int64_t kHour = 3600, kDay = 24 * kHour;
  int64_t at = after_unix_seconds + 1;
  while (true) {
    const CivilTime clock = zone.civil(at);
    if (clock.year > kLastYear) return std::nullopt;
    const int64_t into_hour = clock.minute * 60 + clock.second;
    const bool year_fits =
        clock.year >= kFirstYear && years_.test(static_cast<size_t>(clock.year - kFirstYear));
    if (!year_fits || !months_.test(clock.month)) {
      // Days that cannot end the month at once, then hours: a day is not always 24 of them.
      at += clock.day < 27 ? kDay : kHour - into_hour;
    } else if (!day_fits(clock) || !hours_.test(clock.hour)) {
      at += kHour - into_hour;
    } else if (!minutes_.test(clock.minute)) {
      at += 60 - clock.second;
    } else if (!seconds_.test(clock.second)) {
      ++at;
    } else {
      return at;
    }
  }
}

std::optional<int64_t> next_of(std::span<const std::string> texts, int64_t after_unix_seconds,
                               const TimeZone& zone) {
  std::optional<int64_t> next;
  for (const std::string& text : texts) {
    const Result<Cron> cron = Cron::parse(text);
    const auto at = cron ? cron->next(after_unix_seconds, zone) : std::nullopt;
    if (at) next = std::min(next.value_or(*at), *at);
  }
  return next;
}

}  // namespace sluice::orchestrator
