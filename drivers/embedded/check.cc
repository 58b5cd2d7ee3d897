#include "drivers/embedded/check.h"

#include <fmt/core.h>

#include <algorithm>

#include "core/http_client.h"
#include "core/scope.h"
#include "core/tls/network.h"
#include "drivers/embedded/grpc_check.h"

namespace sluice::drivers {

using orchestrator::CheckStatus;
using orchestrator::ServiceCheck;

namespace {

CheckResult critical(std::string output) {
  return CheckResult{.status = CheckStatus::kCritical, .output = std::move(output)};
}

Task<CheckResult> ask_tcp(Env& env, const ServiceCheck& check) {
  const Address at{.ip = check.address, .port = check.port};
  Result<std::unique_ptr<Stream>> stream = co_await env.network.connect(at, check.timeout_ms);
  if (!stream) co_return critical(stream.error().message);
  co_return CheckResult{.status = CheckStatus::kPassing,
                        .output = fmt::format("TCP connect {}: Success", to_string(at))};
}

Task<CheckResult> ask_http(Env& env, Network& network, const ServiceCheck& check) {
  const Address at{.ip = check.address, .port = check.port};
  HttpRequest request{.method = check.method.empty() ? "GET" : check.method,
                      .target = check.path.starts_with('/') ? check.path : "/" + check.path,
                      .headers = {},
                      .body = check.body};
  HttpClientOptions options{.connect_timeout_ms = check.timeout_ms,
                            .response_timeout_ms = check.timeout_ms,
                            .body_limit_bytes = 1024 * 1024,
                            .kept_connections = 0};
  for (const auto& [name, values] : check.headers) {
    if (http1::iequals(name, "host") && !values.empty()) {
      options.host = values.front();
      continue;
    }
    for (const std::string& value : values) request.headers.add(name, value);
  }
  const std::string what =
      fmt::format("HTTP {} {}://{}{}", request.method, check.protocol == "https" ? "https" : "http",
                  to_string(at), request.target);
  HttpClient client(env.executor, network, at, std::move(options));
  // Status and head decide; what is longer than the limit still has a status.
  Result<std::unique_ptr<HttpExchange>> exchange = co_await client.open(std::move(request));
  if (!exchange) co_return critical(fmt::format("{}: {}", what, exchange.error().message));
  const int status = (*exchange)->status();
  Result<std::string> body =
      co_await with_timeout(env.executor, check.timeout_ms, (*exchange)->read());
  std::string output =
      fmt::format("{}: {} {} Output: {}", what, status, http1::reason_phrase(status),
                  body.value_or("").substr(0, kOutputBytes));
  if (status >= 200 && status < 300) {
    co_return CheckResult{.status = CheckStatus::kPassing, .output = std::move(output)};
  }
  if (status == 429)
    co_return CheckResult{.status = CheckStatus::kWarning, .output = std::move(output)};
  co_return critical(std::move(output));
}

}  // namespace

Task<CheckResult> ask(Env& env, std::shared_ptr<const tls::ClientContext> tls,
                      const ServiceCheck& check) {
  if (check.type == "tcp") co_return co_await ask_tcp(env, check);
  const bool secure = check.protocol == "https";
  if ((check.type == "grpc" && !secure) || (check.type == "http" && (!secure || tls))) {
    tls::TlsNetwork behind_tls(
        env.executor, env.network, std::move(tls),
        check.tls_server_name.empty() ? check.address : check.tls_server_name,
        check.tls_skip_verify);
    auto body = [](Env& world, Network& network,
                   const ServiceCheck& what) -> Task<Result<CheckResult>> {
      if (what.type == "grpc") co_return co_await ask_grpc(world, what);
      co_return co_await ask_http(world, network, what);
    };
    Network& network = secure ? static_cast<Network&>(behind_tls) : env.network;
    Result<CheckResult> result =
        co_await with_timeout(env.executor, check.timeout_ms, body(env, network, check));
    if (!result) co_return critical(result.error().message);
    co_return std::move(*result);
  }
  co_return critical(fmt::format("the embedded catalog does not ask {}{} checks",
                                 secure ? "TLS " : "", check.type));
}

CheckHistory::CheckHistory(const ServiceCheck& check)
    : successes_needed_(std::max<int64_t>(check.success_before_passing, 1)),
      failures_needed_(std::max<int64_t>(check.failures_before_critical, 1)),
      failures_to_warn_(check.failures_before_warning > 0
                            ? std::min(check.failures_before_warning, failures_needed_)
                            : failures_needed_) {
  if (check.initial_status == "passing") status_ = CheckStatus::kPassing;
  if (check.initial_status == "warning") status_ = CheckStatus::kWarning;
}

bool CheckHistory::add(CheckStatus result) {
  const CheckStatus before = status_;
  switch (result) {
    case CheckStatus::kPassing:
      failures_ = 0;
      if (++successes_ >= successes_needed_) status_ = CheckStatus::kPassing;
      break;
    case CheckStatus::kWarning:
      failures_ = successes_ = 0;
      status_ = CheckStatus::kWarning;
      break;
    case CheckStatus::kCritical:
      successes_ = 0;
      if (++failures_ >= failures_needed_) {
        status_ = CheckStatus::kCritical;
      } else if (failures_ >= failures_to_warn_) {
        status_ = CheckStatus::kWarning;
      }
      break;
  }
  return status_ != before;
}

}  // namespace sluice::drivers
