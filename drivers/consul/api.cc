#include "drivers/consul/api.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/scope.h"

namespace sluice::drivers {
namespace {

constexpr int64_t kQuickTimeoutMs = 15'000;
constexpr int64_t kBlockingSlackMs = 15'000;
// Parsing what is longer takes longer than a turn of the control loop should.
constexpr size_t kParseInlineBytes = 128 << 10;
constexpr size_t kSaidBytes = 300;

HttpClientOptions quick_options(const ConsulApiOptions& options) {
  return {.response_timeout_ms = kQuickTimeoutMs,
          .body_limit_bytes = options.body_limit_bytes,
          .kept_connections = options.quick_connections};
}

HttpClientOptions blocking_options(const ConsulApiOptions& options) {
  // Consul adds up to a sixteenth of the wait, so that clients do not come back all at once.
  return {.response_timeout_ms = options.wait_ms + options.wait_ms / 16 + kBlockingSlackMs,
          .body_limit_bytes = options.body_limit_bytes,
          // A kept connection that broke would be replaced in silence, and the query repeated with
          // an index that a Consul without its data has not reached: it would wait for nothing.
          .kept_connections = 0};
}

std::unique_ptr<tls::TlsNetwork> secured(Executor& executor, Network& network,
                                         const ConsulApiOptions& options) {
  if (!options.tls) return nullptr;
  return std::make_unique<tls::TlsNetwork>(executor, network, options.tls, options.tls_server_name,
                                           options.tls_skip_verify);
}

Code code_of_status(int status) {
  if (status == 401 || status == 403) return Code::kDenied;
  if (status == 404) return Code::kNotFound;
  if (status == 429) return Code::kLimit;
  return status >= 500 ? Code::kInternal : Code::kInvalid;
}

}  // namespace

ConsulApi::ConsulApi(Executor& executor, Network& network, ConsulApiOptions options)
    : executor_(executor),
      options_(std::move(options)),
      network_(executor, network),
      tls_(secured(executor, network_, options_)),
      quick_(executor, reached(), options_.address, quick_options(options_)),
      blocking_(executor, reached(), options_.address, blocking_options(options_)) {}

Network& ConsulApi::reached() {
  if (tls_) return *tls_;
  return network_;
}

HttpRequest ConsulApi::request(std::string method, std::string target) const {
  HttpRequest request{
      .method = std::move(method), .target = std::move(target), .headers = {}, .body = {}};
  if (!options_.token.empty()) request.headers.add("X-Consul-Token", options_.token);
  return request;
}

std::string ConsulApi::with_reading(std::string path) const {
  auto add = [&](std::string_view query) {
    path += path.find('?') == std::string::npos ? '?' : '&';
    path += query;
  };
  if (options_.allow_stale) add("stale");
  if (options_.consistent) add("consistent");
  if (!options_.datacenter.empty()) add("dc=" + percent_encode(options_.datacenter));
  if (!options_.ns.empty()) add("ns=" + percent_encode(options_.ns));
  return path;
}

Task<Result<ConsulAnswer>> ConsulApi::answer(HttpClient& client, HttpRequest request,
                                             bool missing_is_null) {
  const std::string doing = request.method + " " + request.target;
  auto response = co_await client.send(std::move(request));
  if (!response) {
    co_return fail(Code::kUnavailable, "Consul does not answer on {}: {}",
                   to_string(client.address()), response.error().message);
  }
  const bool missing = missing_is_null && response->status == 404;
  if (missing) response->body.clear();
  if (!response->ok() && !missing) {
    std::string_view said = response->body;
    while (!said.empty() && (said.back() == '\n' || said.back() == ' ')) said.remove_suffix(1);
    co_return fail(code_of_status(response->status), "Consul on {}, {}: {} {}",
                   to_string(client.address()), doing, response->status,
                   said.substr(0, kSaidBytes));
  }
  ConsulAnswer answer;
  if (const std::string* text = response->headers.find("X-Consul-Index")) {
    (void)std::from_chars(text->data(), text->data() + text->size(), answer.index);
  }
  if (const std::string* text = response->headers.find("X-Consul-KnownLeader")) {
    answer.known_leader = *text != "false";
  }
  if (response->body.empty()) co_return answer;
  Result<Json> json;
  if (response->body.size() <= kParseInlineBytes) {
    json = parse_json(response->body);
  } else {
    json = co_await on_pool(executor_, [text = std::move(response->body)] {
      return parse_json(text, {.max_bytes = text.size()});
    });
  }
  if (!json) co_return pass(json, "Consul on {}, {}", to_string(client.address()), doing);
  answer.body = *std::move(json);
  co_return answer;
}

Task<Result<ConsulAnswer>> ConsulApi::get(std::string path) {
  co_return co_await answer(quick_, request("GET", with_reading(std::move(path))));
}

std::string ConsulApi::with_waiting(std::string path, uint64_t index) const {
  std::string target = with_reading(std::move(path));
  if (index > 0) {
    target += target.find('?') == std::string::npos ? '?' : '&';
    target += fmt::format("index={}&wait={}ms", index, options_.wait_ms);
  }
  return target;
}

Task<Result<ConsulAnswer>> ConsulApi::get_after(std::string path, uint64_t index) {
  co_return co_await answer(blocking_, request("GET", with_waiting(std::move(path), index)));
}

Task<Result<ConsulAnswer>> ConsulApi::get_kv(std::string path, uint64_t index) {
  co_return co_await answer(index > 0 ? blocking_ : quick_,
                            request("GET", with_waiting(std::move(path), index)), true);
}

Task<Result<bool>> ConsulApi::put_kv(std::string key, std::string value, uint64_t index) {
  HttpRequest put = request("PUT", fmt::format("/v1/kv/{}?cas={}", key, index));
  if (!options_.datacenter.empty()) put.target += "&dc=" + percent_encode(options_.datacenter);
  if (!options_.ns.empty()) put.target += "&ns=" + percent_encode(options_.ns);
  put.body = std::move(value);
  auto done = co_await answer(quick_, std::move(put));
  if (!done) co_return pass(done);
  if (!done->body.is_bool()) co_return fail(Code::kInternal, "Consul answered no true or false");
  co_return done->body.as_bool();
}

Task<Result<void>> ConsulApi::put(std::string path, Json body) {
  HttpRequest put = request("PUT", std::move(path));
  if (!body.is_null()) {
    put.headers.add("Content-Type", "application/json");
    put.body = to_json(body);
  }
  const std::string doing = put.target;
  auto response = co_await quick_.send(std::move(put));
  if (!response) {
    co_return fail(Code::kUnavailable, "Consul does not answer on {}: {}",
                   to_string(quick_.address()), response.error().message);
  }
  if (response->ok()) co_return Result<void>();
  std::string_view said = response->body;
  co_return fail(code_of_status(response->status), "Consul on {}, PUT {}: {} {}",
                 to_string(quick_.address()), doing, response->status, said.substr(0, kSaidBytes));
}

}  // namespace sluice::drivers
