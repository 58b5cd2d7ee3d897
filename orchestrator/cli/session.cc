#include "orchestrator/cli/session.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/ascii.h"
#include "core/text_template/template.h"
#include "core/tls/client_files.h"

namespace sluice::orchestrator::cli {
namespace {

constexpr std::string_view kDefaultAddress = "http://127.0.0.1:4646";
constexpr std::string_view kDefaultPort = ":4646";
constexpr std::string_view kHttps = "https://";
constexpr std::string_view kBlockingWait = "30000ms";  // below the client's time limit

std::string first_set(std::initializer_list<std::string> values) {
  for (const std::string& value : values) {
    if (!value.empty()) return value;
  }
  return "";
}

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) {
    text.pop_back();
  }
  return text;
}

/// RFC 1123 2.1, and the underscores that people give their machines; but no number, which is an
/// address that is none.
bool may_be_host_name(std::string_view text) {
  const bool bytes = std::ranges::all_of(
      text, [](char c) { return ascii::is_alphanumeric(c) || c == '-' || c == '.' || c == '_'; });
  return bytes && text.size() <= 253 && !text.starts_with('.') && !text.starts_with('-') &&
         text.find_first_not_of("0123456789.") != std::string_view::npos;
}

}  // namespace

Result<Address> parse_api_address(std::string_view url) {
  if (url.starts_with("unix://")) return Address{.ip = {}, .path = std::string(url.substr(7))};
  std::string_view rest = url;
  if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else if (rest.starts_with(kHttps)) {
    rest.remove_prefix(kHttps.size());
  } else if (rest.find("://") != std::string_view::npos) {
    return fail(Code::kInvalid, "address {}: expected http://HOST:PORT", url);
  }
  rest = rest.substr(0, rest.find('/'));
  const auto wrong = [url] {
    return fail(Code::kInvalid, "address {}: expected http://HOST:PORT, such as {}", url,
                kDefaultAddress);
  };
  std::string_view host = rest, port;
  if (const size_t bracket = rest.find(']'); rest.starts_with('[')) {  // RFC 3986 3.2.2
    if (bracket == std::string_view::npos) return wrong();
    host = rest.substr(0, bracket + 1);
    port = rest.substr(bracket + 1);
  } else if (const size_t colon = rest.find(':'); colon != std::string_view::npos) {
    host = rest.substr(0, colon);
    port = rest.substr(colon);
  }
  if (port.empty()) port = kDefaultPort;
  if (host.empty() || host == "localhost") host = "127.0.0.1";
  Result<Address> address = parse_address(fmt::format("{}{}", host, port));
  if (address) return address;
  if (host.starts_with('[') || !may_be_host_name(host)) return wrong();
  address = parse_address(fmt::format("127.0.0.1{}", port));
  if (!address) return wrong();
  address->ip = std::string(host);
  return address;
}

Result<std::unique_ptr<Session>> Session::open(CliEnv& env, const Flags& flags) {
  auto session = std::unique_ptr<Session>(new Session(env, flags));
  session->address_text_ = first_set({flags.value_or("address", ""), env.environment("SLUICE_ADDR"),
                                      env.environment("NOMAD_ADDR"), std::string(kDefaultAddress)});
  session->token_ = first_set({flags.value_or("token", ""), env.environment("SLUICE_TOKEN"),
                               env.environment("NOMAD_TOKEN")});
  session->namespace_ =
      first_set({flags.value_or("namespace", ""), env.environment("NOMAD_NAMESPACE")});
  session->region_ = first_set({flags.value_or("region", ""), env.environment("NOMAD_REGION")});
  session->style_.on = env.terminal.out_is_terminal() && !flags.is_on("no-color") &&
                       env.environment("NO_COLOR").empty() &&
                       env.environment("NOMAD_CLI_NO_COLOR").empty();
  Result<Address> address = parse_api_address(session->address_text_);
  if (!address) return pass(address);
  sluice::Network* network = &session->network_;
  if (session->address_text_.starts_with(kHttps)) {
    Result<void> secured = session->use_tls(*address);
    if (!secured) return pass(secured);
    network = session->tls_network_.get();
  }
  HttpClientOptions options;
  options.response_timeout_ms = 60'000;
  session->client_ =
      std::make_unique<HttpClient>(env.executor, *network, *address, std::move(options));
  return session;
}

Result<void> Session::use_tls(const Address& address) {
  const auto setting = [&](std::string_view flag, const char* variable) {
    return first_set({flags_.value_or(flag, ""), env_.environment(variable)});
  };
  const tls::ClientFiles files{.ca_file = setting("ca-cert", "NOMAD_CACERT"),
                               .ca_folder = setting("ca-path", "NOMAD_CAPATH"),
                               .certificate_file = setting("client-cert", "NOMAD_CLIENT_CERT"),
                               .key_file = setting("client-key", "NOMAD_CLIENT_KEY")};
  auto context = tls::load_client(env_.disk, files);
  if (!context) return pass(context);
  const std::string skip = env_.environment("NOMAD_SKIP_VERIFY");
  const bool skips = flags_.is_on("tls-skip-verify") || skip == "1" || skip == "true";
  std::string name = setting("tls-server-name", "NOMAD_TLS_SERVER_NAME");
  if (name.empty()) {
    const std::string_view host = std::string_view(address_text_).substr(kHttps.size());
    const bool local =
        host == "localhost" || host.starts_with("localhost:") || host.starts_with("localhost/");
    name = local ? "localhost" : address.ip;
  }
  tls_network_ = std::make_unique<tls::TlsNetwork>(env_.executor, network_, *std::move(context),
                                                   std::move(name), skips);
  return {};
}

void Session::print(std::string_view text) {
  env_.terminal.out(text);
  if (!text.ends_with('\n')) env_.terminal.out("\n");
}

int Session::error(std::string_view text) {
  env_.terminal.err(text);
  if (!text.ends_with('\n')) env_.terminal.err("\n");
  return 1;
}

int Session::error(std::string_view doing, const Error& why) {
  return error(fmt::format("Error {}: {}", doing, why.message));
}

std::string Session::target(std::string_view path, const Query& query) const {
  std::string out(path);
  char glue = '?';
  const auto add = [&](std::string_view key, std::string_view value) {
    out += glue;
    out += percent_encode(key) + "=" + percent_encode(value);
    glue = '&';
  };
  for (const auto& [key, value] : query) add(key, value);
  if (!namespace_.empty()) add("namespace", namespace_);
  if (!region_.empty()) add("region", region_);
  return out;
}

HttpRequest Session::request(std::string method, std::string_view path, const Query& query) const {
  HttpRequest request;
  request.method = std::move(method);
  request.target = target(path, query);
  if (!token_.empty()) request.headers.add("X-Nomad-Token", token_);
  return request;
}

Error Session::explain(Error error) const {
  if (error.code == Code::kUnavailable) {
    error.message = fmt::format(
        "no agent answers at {} ({}). Start one with `sluice agent -dev`, or name another with "
        "-address or SLUICE_ADDR",
        address_text_, error.message);
  }
  return error;
}

Task<Result<ApiReply>> Session::send(HttpRequest request) {
  Result<HttpResponse> response = co_await client_->send(std::move(request));
  if (!response) co_return std::unexpected(explain(std::move(response).error()));
  if (response->status != 200) {
    const Code code = response->status == 404   ? Code::kNotFound
                      : response->status == 403 ? Code::kDenied
                                                : Code::kInvalid;
    co_return fail(code, "Unexpected response code: {} ({})", response->status,
                   trimmed(response->body));
  }
  ApiReply reply;
  if (const std::string* index = response->headers.find("X-Nomad-Index")) {
    uint64_t value = 0;
    http1::parse_length(*index, value);
    reply.index = value;
  }
  if (const std::string* token = response->headers.find("X-Nomad-NextToken")) {
    reply.next_token = *token;
  }
  Result<Json> body = parse_json(response->body);
  if (!body) co_return pass(body, "the agent's answer is not JSON");
  reply.body = std::move(*body);
  co_return reply;
}

Task<Result<ApiReply>> Session::get(std::string path, Query query) {
  co_return co_await send(request("GET", path, query));
}

Task<Result<ApiReply>> Session::get_after(std::string path, uint64_t index, Query query) {
  query.emplace_back("index", std::to_string(index));
  query.emplace_back("wait", kBlockingWait);
  co_return co_await send(request("GET", path, query));
}

Task<Result<ApiReply>> Session::put(std::string path, Json body, Query query) {
  HttpRequest message = request("PUT", path, query);
  message.headers.add("Content-Type", "application/json");
  message.body = to_json(body);
  co_return co_await send(std::move(message));
}

Task<Result<ApiReply>> Session::remove(std::string path, Query query) {
  co_return co_await send(request("DELETE", path, query));
}

Task<Result<std::unique_ptr<HttpExchange>>> Session::open(HttpRequest request) {
  auto exchange = co_await client_->open(std::move(request));
  if (!exchange) co_return std::unexpected(explain(std::move(exchange).error()));
  co_return std::move(*exchange);
}

Task<Result<std::unique_ptr<HttpExchange>>> Session::stream(std::string path, Query query) {
  Result<std::unique_ptr<HttpExchange>> exchange = co_await open(request("GET", path, query));
  if (!exchange) co_return exchange;
  if ((*exchange)->status() != 200) {
    constexpr size_t kErrorBytes = 64 * 1024;
    Result<std::string> text = co_await (*exchange)->read_all(kErrorBytes);
    co_return fail((*exchange)->status() == 404 ? Code::kNotFound : Code::kInvalid,
                   "Unexpected response code: {} ({})", (*exchange)->status(),
                   text ? trimmed(*text) : text.error().message);
  }
  co_return std::move(*exchange);
}

/// Go's templates over the API's answer, as Nomad's `-t` takes them.
Result<std::string> Session::render(std::string_view text, const Json& value) {
  const auto& functions = text_template::builtin_functions();
  auto parsed =
      text_template::Template::parse("format", text, functions, {.error_on_missing_key = true});
  if (!parsed) return pass(parsed, "Error parsing template");
  return parsed->render(value, functions);
}

bool Session::print_raw(const Json& value, int& exit_code) {
  exit_code = 0;
  if (flags_.is_on("json")) {
    print(to_json(value, 4));
    return true;
  }
  const auto text = flags_.value("t");
  if (!text) return false;
  const Result<std::string> rendered = render(*text, value);
  if (rendered) {
    print(*rendered);
  } else {
    exit_code = error(rendered.error().message);
  }
  return true;
}

bool Session::confirm(std::string_view question) {
  if (flags_.is_on("yes") || flags_.is_on("y")) return true;
  env_.terminal.out(fmt::format("{} [y/N] ", question));
  const auto answer = env_.terminal.read_line();
  if (answer && *answer == "y") return true;
  if (answer && !answer->empty() && (answer->front() == 'y' || answer->front() == 'Y')) {
    print("For confirmation, an exact 'y' is required.");
  }
  return false;
}

}  // namespace sluice::orchestrator::cli
