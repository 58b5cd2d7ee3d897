#include "core/log.h"

#include <strings.h>
#include <time.h>

#include <algorithm>

#include "core/civil_time.h"

namespace sluice {

std::string_view to_string(LogLevel level) {
  switch (level) {
    case LogLevel::kTrace: return "TRACE";
    case LogLevel::kDebug: return "DEBUG";
    case LogLevel::kInfo: return "INFO";
    case LogLevel::kWarn: return "WARN";
    case LogLevel::kError: return "ERROR";
  }
  return "?";
}

std::optional<LogLevel> parse_log_level(std::string_view text) {
  static constexpr std::pair<std::string_view, LogLevel> kNames[] = {
      {"trace", LogLevel::kTrace}, {"debug", LogLevel::kDebug},  {"info", LogLevel::kInfo},
      {"warn", LogLevel::kWarn},   {"warning", LogLevel::kWarn}, {"error", LogLevel::kError},
      {"err", LogLevel::kError}};
  for (const auto& [name, level] : kNames) {
    if (text.size() == name.size() && strncasecmp(text.data(), name.data(), name.size()) == 0) {
      return level;
    }
  }
  return std::nullopt;
}

int64_t system_wall_ns() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * int64_t{1'000'000'000} + now.tv_nsec;
}

Log::Log(int fd, Options options, int64_t (*wall_ns)())
    : wall_ns_(wall_ns),
      utc_(options.utc),
      level_(options.level),
      threshold_(options.level),
      writer_(fd, options.writer) {}

void Log::set_level(LogLevel level) {
  const std::lock_guard lock(mutex_);
  level_.store(level, std::memory_order_relaxed);
  update_threshold();
}

void Log::update_threshold() {
  LogLevel lowest = level_.load(std::memory_order_relaxed);
  for (const Subscription& each : subscriptions_) lowest = std::min(lowest, each.level);
  threshold_.store(lowest, std::memory_order_relaxed);
}

void Log::put_time(int64_t unix_seconds) {
  if (unix_seconds == time_second_) return;
  time_second_ = unix_seconds;
  int64_t shown = unix_seconds;
  if (!utc_) {
    tm local{};
    const time_t moment = unix_seconds;
    if (localtime_r(&moment, &local) != nullptr) shown += local.tm_gmtoff;
  }
  const CivilTime time = to_civil(shown);
  char* out = time_text_;
  const auto put = [&out](uint64_t value, unsigned width, char after) {
    out += put_decimal(out, value, width);
    *out++ = after;
  };
  put(static_cast<uint64_t>(std::clamp(time.year, 0, 9999)), 4, '/');
  put(time.month, 2, '/');
  put(time.day, 2, ' ');
  put(time.hour, 2, ':');
  put(time.minute, 2, ':');
  put(time.second, 2, ' ');
}

void Log::write(LogLevel level, std::string_view message) {
  if (!enabled(level)) return;
  const bool cut = message.size() > kMessageBytes;
  if (cut) message = message.substr(0, kMessageBytes);
  const std::lock_guard lock(mutex_);
  const int64_t now_ns = wall_ns_();
  put_time(now_ns >= 0 ? now_ns / 1'000'000'000 : 0);
  line_.assign(time_text_, sizeof time_text_);
  line_ += '[';
  line_ += to_string(level);
  line_ += "] ";
  for (const char c : message) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte >= 0x20 && byte != 0x7f) || c == '\t') {
      line_ += c;
    } else {
      static constexpr char kHex[] = "0123456789abcdef";
      const char escape[] = {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
      line_.append(escape, sizeof escape);
    }
  }
  if (cut) line_ += "...";
  for (Subscription& each : subscriptions_) {
    if (level >= each.level) each.call(level, line_);
  }
  if (level >= level_.load(std::memory_order_relaxed)) {
    line_ += '\n';
    writer_.write(line_);
  }
}

uint64_t Log::subscribe(LogLevel level, Subscriber subscriber) {
  const std::lock_guard lock(mutex_);
  subscriptions_.push_back({next_id_, level, std::move(subscriber)});
  update_threshold();
  return next_id_++;
}

void Log::unsubscribe(uint64_t id) {
  const std::lock_guard lock(mutex_);
  std::erase_if(subscriptions_, [id](const Subscription& each) { return each.id == id; });
  update_threshold();
}

}  // namespace sluice
