#include "core/duration.h"

#include <fmt/core.h>

#include <charconv>
#include <cmath>
#include <utility>

namespace sluice {

namespace {

constexpr int64_t kMicrosecondNs = 1'000;
constexpr int64_t kMillisecondNs = 1'000'000;
constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int64_t kMinuteNs = 60 * kSecondNs;
constexpr int64_t kHourNs = 60 * kMinuteNs;

/// `value` in units of `unit`, without trailing zeros: 1500 of 1000 is "1.5".
std::string decimal(uint64_t value, uint64_t unit) {
  std::string text = fmt::format("{}", value / unit);
  uint64_t rest = value % unit;
  if (rest == 0) return text;
  text += '.';
  while (rest > 0) {
    unit /= 10;
    text += static_cast<char>('0' + rest / unit);
    rest %= unit;
  }
  return text;
}

int64_t unit_of(std::string_view name) {
  if (name == "ns") return 1;
  if (name == "us" || name == "µs" || name == "μs") return kMicrosecondNs;
  if (name == "ms") return kMillisecondNs;
  if (name == "s") return kSecondNs;
  if (name == "m") return kMinuteNs;
  if (name == "h") return kHourNs;
  return 0;
}

}  // namespace

std::string go_duration(int64_t ns) {
  if (ns == 0) return "0s";
  const std::string sign = ns < 0 ? "-" : "";
  const uint64_t value = ns < 0 ? ~static_cast<uint64_t>(ns) + 1 : static_cast<uint64_t>(ns);
  if (value < kMicrosecondNs) return sign + fmt::format("{}ns", value);
  if (value < kMillisecondNs) return sign + decimal(value, kMicrosecondNs) + "µs";
  if (value < kSecondNs) return sign + decimal(value, kMillisecondNs) + "ms";
  std::string text = sign;
  if (value >= kHourNs) text += fmt::format("{}h", value / kHourNs);
  if (value >= kMinuteNs) text += fmt::format("{}m", value % kHourNs / kMinuteNs);
  return text + decimal(value % kMinuteNs, kSecondNs) + "s";
}

Result<int64_t> parse_go_duration(std::string_view text) {
  const auto wrong = [text] {
    return fail(Code::kInvalid,
                "'{}' is not a duration: want numbers with units, like 1h30m or 250ms", text);
  };
  std::string_view rest = text;
  const bool negative = rest.starts_with('-');
  if (negative || rest.starts_with('+')) rest.remove_prefix(1);
  if (rest == "0") return 0;
  if (rest.empty()) return wrong();
  double total = 0;
  while (!rest.empty()) {
    if (!((rest[0] >= '0' && rest[0] <= '9') || rest[0] == '.')) return wrong();
    double number = 0;
    const auto [end, error] =
        std::from_chars(rest.data(), rest.data() + rest.size(), number, std::chars_format::fixed);
    if (error != std::errc()) return wrong();
    rest.remove_prefix(static_cast<size_t>(end - rest.data()));
    size_t length = 0;
    while (length < rest.size() && rest[length] != '.' &&
           !(rest[length] >= '0' && rest[length] <= '9')) {
      ++length;
    }
    const int64_t unit = unit_of(rest.substr(0, length));
    if (unit == 0) return wrong();
    rest.remove_prefix(length);
    total += number * static_cast<double>(unit);
  }
  if (total > 9.2e18) return wrong();
  const auto value = static_cast<int64_t>(std::llround(total));
  return negative ? -value : value;
}

}  // namespace sluice
