#include "app/balancer_admin.h"

#include <fmt/format.h>

#include <charconv>

#include "core/http.h"
#include "core/json.h"
#include "orchestrator/ui/pages.h"
#include "proxy/route_listing.h"

namespace sluice {

namespace {

constexpr std::string_view kJsonType = "application/json; charset=utf-8";
constexpr std::string_view kTextType = "text/plain; charset=utf-8";
constexpr std::string_view kHtmlType = "text/html; charset=utf-8";
constexpr std::string_view kManual = "/api/manual";
constexpr size_t kOverrideBytes = 512 * 1024;  // what Consul takes

Result<ManualOverrides::Value> parse_value(const std::string& body) {
  Result<Json> json = parse_json(body, {.max_bytes = 4 * kOverrideBytes});
  if (!json) return pass(json);
  const Json* value = json->find("value");
  if (value == nullptr || !value->is_string()) return fail(Code::kInvalid, "value is no text");
  ManualOverrides::Value out{.value = value->as_string()};
  if (out.value.size() > kOverrideBytes) {
    return fail(Code::kLimit, "value is longer than {} bytes", kOverrideBytes);
  }
  const Json* version = json->find("version");
  if (version == nullptr) return out;
  // fabio writes it as text; a number means the same.
  const std::string text = version->is_string() ? version->as_string() : to_json(*version);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out.version);
  if (error != std::errc() || end != text.data() + text.size()) {
    return fail(Code::kInvalid, "version is no number");
  }
  return out;
}

int status_of(const Error& error) {
  if (error.code == Code::kDenied) return 403;
  return error.code == Code::kUnavailable || error.code == Code::kTimeout ? 503 : 500;
}

}  // namespace

std::string BalancerAdmin::config_json(int indent) const {
  std::string out;
  JsonWriter json(out, indent);
  json.begin_object();
  for (const Property& property : known_properties()) {
    const std::string name(property.name);
    const std::string value = properties_.get(name);
    json.member(name, property.secret && !value.empty() ? "(secret)" : std::string_view(value));
  }
  json.end_object();
  out += '\n';
  return out;
}

BalancerAdmin::Answer BalancerAdmin::get(const HttpServerRequest& request) const {
  const int indent = request.find_query("pretty") != nullptr ? 4 : 0;
  if (request.path == "/health") {
    if (!healthy_) return {503, kTextType, "stopping\n"};
    return {200, kTextType, "OK\n"};
  }
  if (request.path == "/" || request.path == "/routes") {
    return {200, kHtmlType, std::string(orchestrator::kRoutesPage)};
  }
  if (request.path == "/manual") return {200, kHtmlType, std::string(orchestrator::kManualPage)};
  if (request.path == "/api/routes" && request.find_query("raw") != nullptr) {
    return {200, kTextType, proxy::routes_text(publisher_.table())};
  }
  if (request.path == "/api/routes") {
    return {200, kJsonType, proxy::routes_json(publisher_.table(), publisher_.names(), indent)};
  }
  if (request.path == "/api/rejected") {
    return {200, kJsonType, proxy::rejected_json(publisher_.rejected(), indent)};
  }
  if (request.path == "/api/config") return {200, kJsonType, config_json(indent)};
  if (request.path == "/api/version") return {200, kTextType, SLUICE_VERSION};
  return {404, kTextType, "not found\n"};
}

Task<BalancerAdmin::Answer> BalancerAdmin::paths() {
  std::vector<std::string> keys;
  if (overrides_ != nullptr) {
    Result<std::vector<std::string>> found = co_await overrides_->paths();
    if (!found) {
      co_return Answer{status_of(found.error()), kTextType, found.error().message + "\n"};
    }
    keys = *std::move(found);
  }
  Json list = Json::array();
  for (const std::string& key : keys) list.push(key);
  co_return Answer{200, kJsonType, to_json(list) + "\n"};
}

Task<BalancerAdmin::Answer> BalancerAdmin::explain(const HttpServerRequest& request) {
  const auto value_of = [&request](std::string_view name) {
    const std::string* value = request.find_query(name);
    return value == nullptr ? std::string() : *value;
  };
  std::vector<std::string> headers;
  for (const auto& [name, value] : request.query) {
    if (name == "header") headers.push_back(value);
  }
  Result<proxy::ExplainRequest> parsed =
      proxy::parse_explain(value_of("url"), value_of("method"), headers, value_of("client"));
  if (!parsed) co_return Answer{400, kTextType, parsed.error().message + "\n"};
  // The reactor may answer after this task was cancelled, so what it fills is shared with it.
  struct Said {
    explicit Said(Executor& executor) : done(executor) {}
    Event done;
    proxy::Explained value;
  };
  auto said = std::make_shared<Said>(executor_);
  explain_(*parsed, [said](proxy::Explained value) {
    said->value = std::move(value);
    said->done.set();
  });
  co_await said->done.wait();
  const int indent = request.find_query("pretty") != nullptr ? 4 : 0;
  co_return Answer{200, kJsonType,
                   proxy::explain_json(publisher_.table(), *parsed, said->value, indent)};
}

Task<BalancerAdmin::Answer> BalancerAdmin::manual(const HttpServerRequest& request,
                                                  std::string key) {
  if (request.method == "GET" || request.method == "HEAD") {
    ManualOverrides::Value value;
    if (overrides_ != nullptr) {
      Result<ManualOverrides::Value> found = co_await overrides_->read(std::move(key));
      if (!found) {
        co_return Answer{status_of(found.error()), kTextType, found.error().message + "\n"};
      }
      value = *std::move(found);
    }
    const Json json =
        Json::object({{"value", value.value}, {"version", fmt::format("{}", value.version)}});
    co_return Answer{200, kJsonType, to_json(json) + "\n"};
  }
  if (request.method != "PUT") co_return Answer{405, kTextType, "only GET and PUT\n"};
  if (properties_.get("ui.access") != "rw") {
    co_return Answer{403, kTextType, "-ui.access=ro: the overrides cannot be changed here\n"};
  }
  if (overrides_ == nullptr) {
    co_return Answer{501, kTextType,
                     "this registry keeps no overrides: they live in Consul's KV\n"};
  }
  Result<ManualOverrides::Value> value = parse_value(request.body);
  if (!value) co_return Answer{400, kTextType, value.error().message + "\n"};
  Result<bool> written = co_await overrides_->write(std::move(key), *std::move(value));
  if (!written) {
    co_return Answer{status_of(written.error()), kTextType, written.error().message + "\n"};
  }
  if (!*written) co_return Answer{409, kTextType, "version mismatch\n"};
  co_return Answer{200, kTextType, ""};
}

Task<void> BalancerAdmin::answer(const HttpServerRequest& request, HttpResponseWriter& writer) {
  Answer answer{405, kTextType, "only GET is answered here\n"};
  if (request.path == kManual || request.path.starts_with(fmt::format("{}/", kManual))) {
    answer = co_await manual(request, percent_decode(request.path.substr(kManual.size()), false));
  } else if (request.method == "GET" || request.method == "HEAD") {
    if (request.path == "/api/paths") {
      answer = co_await paths();
    } else if (request.path == "/api/explain") {
      answer = co_await explain(request);
    } else {
      answer = get(request);
    }
  }
  (void)co_await writer.respond(answer.status, answer.type, answer.body);
}

}  // namespace sluice
