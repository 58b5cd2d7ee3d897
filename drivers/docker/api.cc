#include "drivers/docker/api.h"

#include <charconv>
#include <utility>

#include "drivers/docker/container.h"

namespace sluice::drivers {
namespace {

struct ApiNumber {
  int major = 0;
  int minor = 0;
  auto operator<=>(const ApiNumber&) const = default;
};

constexpr ApiNumber kOldest{1, 41};  // Docker 20.10
constexpr ApiNumber kNewest{1, 47};  // the last whose changes were read for what we use
constexpr size_t kAnswerBytes = 64 << 20;
constexpr size_t kErrorBytes = 64 << 10;
constexpr int64_t kQuickTimeoutMs = 60'000;
constexpr int64_t kSlowTimeoutMs = 10 * 60'000;

ApiNumber parse_api_number(std::string_view text) {
  ApiNumber number;
  const char* end = text.data() + text.size();
  auto [dot, error] = std::from_chars(text.data(), end, number.major);
  if (error != std::errc() || dot == end || *dot != '.') return {};
  if (std::from_chars(dot + 1, end, number.minor).ec != std::errc()) return {};
  return number;
}

HttpClientOptions options(int64_t response_timeout_ms) {
  return {.host = "docker", .response_timeout_ms = response_timeout_ms, .kept_connections = 0};
}

}  // namespace

std::string query_value(std::string_view text) {
  return percent_encode(text);
}

DockerApi::DockerApi(Executor& executor, Network& network, Address socket)
    : quick_(executor, network, socket, options(kQuickTimeoutMs)),
      slow_(executor, network, socket, options(kSlowTimeoutMs)) {}

Error DockerApi::unavailable(const Error& error) const {
  return {Code::kUnavailable, fmt::format("Docker does not answer on {}: {}",
                                          to_string(quick_.address()), error.message)};
}

Task<Result<DockerVersion>> DockerApi::negotiate() {
  version_.clear();
  auto answer = co_await call({.target = "/version", .doing = "ask for Docker's version"});
  if (!answer) co_return pass(answer);
  const std::string newest(answer->get_string("ApiVersion"));
  const std::string oldest(answer->get_string("MinAPIVersion", "1.24"));
  if (parse_api_number(newest) < kOldest) {
    co_return fail(Code::kUnsupported,
                   "Docker {} speaks API {}; version {}.{} (Docker 20.10) or later is needed",
                   answer->get_string("Version"), newest, kOldest.major, kOldest.minor);
  }
  if (parse_api_number(oldest) > kNewest) {
    co_return fail(Code::kUnsupported, "Docker {} speaks no API before {}; ours ends at {}.{}",
                   answer->get_string("Version"), oldest, kNewest.major, kNewest.minor);
  }
  ApiNumber ours = std::min(parse_api_number(newest), kNewest);
  version_ = fmt::format("/v{}.{}", ours.major, ours.minor);
  co_return DockerVersion{std::string(answer->get_string("Version")), version_.substr(2)};
}

Task<Result<std::unique_ptr<HttpExchange>>> DockerApi::open(HttpClient& client, DockerCall& call) {
  HttpRequest request{.method = std::move(call.method),
                      .target = version_ + call.target,
                      .headers = std::move(call.headers),
                      .body = {}};
  if (!call.body.is_null()) {
    request.headers.add("Content-Type", "application/json");
    request.body = to_json(call.body);
  }
  auto exchange = co_await client.open(std::move(request));
  if (!exchange) co_return std::unexpected(unavailable(exchange.error()));
  int status = (*exchange)->status();
  if ((status < 200 || status >= 300) && status != 304 && status != 101) {
    auto text = co_await (*exchange)->read_all(kErrorBytes);
    co_return std::unexpected(docker_error(status, text.value_or(""), call.doing));
  }
  co_return std::move(exchange);
}

Task<Result<Json>> DockerApi::call(DockerCall call) {
  auto exchange = co_await open(quick_, call);
  if (!exchange) co_return pass(exchange);
  auto text = co_await (*exchange)->read_all(kAnswerBytes);
  if (!text) co_return std::unexpected(unavailable(text.error()));
  if (text->empty()) co_return Json();
  auto json = parse_json(*text);
  if (!json) co_return pass(json, "{}", call.doing);
  co_return std::move(json);
}

Task<Result<std::unique_ptr<HttpExchange>>> DockerApi::stream(DockerCall call) {
  co_return co_await open(slow_, call);
}

Task<Result<std::unique_ptr<Stream>>> DockerApi::hijack(DockerCall call, std::string& early_bytes) {
  call.headers.add("Connection", "Upgrade");
  call.headers.add("Upgrade", "tcp");
  auto exchange = co_await open(quick_, call);
  if (!exchange) co_return pass(exchange);
  co_return (*exchange)->take_stream(early_bytes);
}

}  // namespace sluice::drivers
