#include "orchestrator/scale_policy.h"

#include <algorithm>
#include <cmath>

#include "core/duration.h"

namespace sluice::orchestrator {

namespace {

constexpr std::string_view kSource = "sluice";
constexpr double kTolerance = 0.01;  // an instance more is not worth a load so little above
constexpr double kMostInstances = 1e9;
constexpr int64_t kLeastIntervalMs = 1'000;

/// A block as HCL leaves it, a list of one, or as JSON may have it.
const Json* only(const Json* value) {
  if (value != nullptr && value->is_array()) {
    return value->as_array().size() == 1 ? &value->as_array().front() : nullptr;
  }
  return value;
}

Result<void> read_duration(const Json& policy, std::string_view name, int64_t& out_ms) {
  const Json* value = policy.find(name);
  if (value == nullptr || value->is_null()) return {};
  int64_t ns = value->is_int() ? value->as_int() : 0;
  if (value->is_string()) {
    Result<int64_t> parsed = parse_go_duration(value->as_string());
    if (!parsed) return pass(parsed, "{}", name);
    ns = *parsed;
  } else if (!value->is_int()) {
    return fail(Code::kInvalid, "{} is no duration like \"30s\"", name);
  }
  out_ms = ns / 1'000'000;
  return {};
}

Result<ScaleCheck> read_check(const std::string& name, const Json& body) {
  ScaleCheck check{.name = name};
  for (const JsonMember& member : body.as_object()) {
    if (member.key == "source" || member.key == "query" || member.key == "strategy") continue;
    return fail(Code::kInvalid, "\"{}\" is not known with source \"{}\" (query and strategy are)",
                member.key, kSource);
  }
  const std::string_view query = body.get_string("query");
  if (query == "request_rate") {
    check.query = ScaleCheck::Query::kRequestRate;
  } else if (query != "requests") {
    return fail(Code::kInvalid, "query must be requests or request_rate, not \"{}\"", query);
  }
  const Json* strategy = only(body.find("strategy"));
  const Json* value =
      strategy != nullptr && strategy->is_object() ? only(strategy->find("target-value")) : nullptr;
  const Json* target = value != nullptr && value->is_object() ? value->find("target") : nullptr;
  if (target == nullptr) {
    return fail(Code::kInvalid, "needs strategy \"target-value\" {{ target = ... }}");
  }
  check.target = target->is_number() ? target->as_double() : 0;
  if (!(check.target > 0)) return fail(Code::kInvalid, "target must be a number above 0");
  return check;
}

}  // namespace

int64_t ScalePolicy::wanted(const MeasuredLoad& load) const {
  int64_t most = load.any ? 1 : 0;
  for (const ScaleCheck& check : checks) {
    const double value =
        check.query == ScaleCheck::Query::kRequests ? load.requests : load.request_rate;
    const double instances = std::ceil(value / check.target - kTolerance);
    most = std::max(most, static_cast<int64_t>(std::clamp(instances, 0.0, kMostInstances)));
  }
  return most;
}

Result<std::optional<ScalePolicy>> parse_scale_policy(const Json& policy) {
  const Json* block = only(&policy);
  if (block == nullptr || !block->is_object()) return std::nullopt;
  ScalePolicy made;
  const auto read = [&](const Json& named) -> Result<void> {
    if (!named.is_object()) return {};
    for (const JsonMember& member : named.as_object()) {
      const Json* body = only(&member.value);
      if (body == nullptr || !body->is_object() || body->get_string("source") != kSource) continue;
      Result<ScaleCheck> check = read_check(member.key, *body);
      if (!check) return pass(check, "check \"{}\"", member.key);
      made.checks.push_back(*std::move(check));
    }
    return {};
  };
  if (const Json* checks = block->find("check")) {
    if (checks->is_array()) {
      for (const Json& named : checks->as_array()) {
        if (Result<void> done = read(named); !done) return pass(done);
      }
    } else if (Result<void> done = read(*checks); !done) {
      return pass(done);
    }
  }
  if (made.checks.empty()) return std::nullopt;
  Result<void> read_times = read_duration(*block, "cooldown", made.cooldown_ms);
  if (read_times) read_times = read_duration(*block, "evaluation_interval", made.interval_ms);
  if (!read_times) return pass(read_times);
  if (made.interval_ms < kLeastIntervalMs) {
    return fail(Code::kInvalid, "evaluation_interval must be at least 1s");
  }
  if (made.cooldown_ms < made.interval_ms) {
    return fail(Code::kInvalid, "cooldown must not be less than evaluation_interval");
  }
  return made;
}

int64_t ScaleWindow::next(int64_t now_ms, int64_t wanted, int64_t count, int64_t cooldown_ms) {
  looks_.push_back({now_ms, wanted});
  const bool lasted = now_ms - looks_.front().at_ms >= cooldown_ms;
  while (now_ms - looks_.front().at_ms > cooldown_ms) looks_.pop_front();
  if (wanted > count) return wanted;
  if (!lasted) return count;
  const auto most = std::ranges::max_element(looks_, {}, &Look::wanted);
  return std::min(count, most->wanted);
}

}  // namespace sluice::orchestrator
