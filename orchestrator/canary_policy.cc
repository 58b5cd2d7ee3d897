#include "orchestrator/canary_policy.h"

#include <algorithm>
#include <charconv>

namespace sluice::orchestrator {

namespace {

constexpr std::string_view kMinRequests = "sluice-min-requests";

template <class T>
bool read_number(std::string_view text, T& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return !text.empty() && error == std::errc() && end == text.data() + text.size();
}

}  // namespace

CanaryVerdict CanaryPolicy::judge(uint64_t answers, uint64_t errors) const {
  const auto allowed = max_error_rate * static_cast<double>(std::max(answers, min_requests));
  if (static_cast<double>(errors) > allowed) return CanaryVerdict::kBad;
  return answers >= min_requests ? CanaryVerdict::kGood : CanaryVerdict::kOpen;
}

Result<std::optional<CanaryPolicy>> parse_canary_policy(const StringMap& canary_meta) {
  const auto rate = canary_meta.find(std::string(kMaxErrorRate));
  const auto least = canary_meta.find(std::string(kMinRequests));
  if (rate == canary_meta.end() && least == canary_meta.end()) return std::nullopt;
  if (rate == canary_meta.end()) {
    return fail(Code::kInvalid, "{} needs {}", kMinRequests, kMaxErrorRate);
  }
  CanaryPolicy policy;
  std::string_view text = rate->second;
  const bool percent = text.ends_with('%');
  if (percent) text.remove_suffix(1);
  const bool is_number = read_number(text, policy.max_error_rate);
  if (percent) policy.max_error_rate /= 100;
  if (!is_number || !(policy.max_error_rate >= 0 && policy.max_error_rate < 1)) {
    return fail(Code::kInvalid, "{} must be a share below 1 or below 100%, not \"{}\"",
                kMaxErrorRate, rate->second);
  }
  if (least != canary_meta.end() &&
      (!read_number(least->second, policy.min_requests) || policy.min_requests == 0)) {
    return fail(Code::kInvalid, "{} must be a whole number above 0, not \"{}\"", kMinRequests,
                least->second);
  }
  return policy;
}

bool is_measured(const TaskGroup& group) {
  const auto asks = [](const Service& service) {
    return service.canary_meta.contains(std::string(kMaxErrorRate));
  };
  return std::ranges::any_of(group.services, asks) ||
         std::ranges::any_of(group.tasks, [&](const TaskConfig& task) {
           return std::ranges::any_of(task.services, asks);
         });
}

}  // namespace sluice::orchestrator
