#include "proxy/cert_client.h"

#include <charconv>

#include "core/resolve.h"

namespace sluice::proxy {

std::string CertUrl::authority() const {
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<CertUrl> parse_cert_url(std::string_view text) {
  CertUrl url;
  std::string_view rest = text;
  if (rest.starts_with("https://")) {
    url.tls = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else {
    return fail(Code::kInvalid, "{} does not begin with http:// or https://", text);
  }
  const size_t end = std::min(rest.find_first_of("/?"), rest.size());
  std::string_view authority = rest.substr(0, end);
  rest.remove_prefix(end);
  const size_t mark = rest.find('?');
  url.path = rest.substr(0, mark);
  if (url.path.empty()) url.path = "/";
  if (mark != std::string_view::npos) url.query = rest.substr(mark + 1);
  url.port = url.tls ? 443 : 80;
  const size_t colon = authority.rfind(':');
  if (colon != std::string_view::npos && authority.find(']', colon) == std::string_view::npos) {
    const std::string_view digits = authority.substr(colon + 1);
    const auto [at, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), url.port);
    if (error != std::errc() || at != digits.data() + digits.size() || url.port == 0)
      return fail(Code::kInvalid, "{}: port {} is not a port", text, digits);
    authority = authority.substr(0, colon);
  }
  if (authority.starts_with('[') && authority.ends_with(']'))
    authority = authority.substr(1, authority.size() - 2);
  if (authority.empty() || authority.find('@') != std::string_view::npos)
    return fail(Code::kInvalid, "{}: the host is missing, or more than a host", text);
  url.host = authority;
  return url;
}

CertClient::CertClient(Executor& executor, Network& network, CertUrl base,
                       std::shared_ptr<const tls::ClientContext> context, bool skip_verify)
    : executor_(executor), network_(network), base_(std::move(base)) {
  if (!base_.tls) return;
  tls_ = std::make_unique<tls::TlsNetwork>(executor_, network_, std::move(context), base_.host,
                                           skip_verify);
}

void CertClient::set_header(std::string name, std::string value) {
  std::erase_if(headers_.fields, [&](const auto& field) { return field.first == name; });
  headers_.add(std::move(name), std::move(value));
}

Task<Result<HttpResponse>> CertClient::send(std::string method, std::string target,
                                            std::string body, int64_t wait_ms) {
  Result<Address> address = co_await resolve(executor_, base_.authority());
  if (!address) co_return pass(address);
  HttpClientOptions options{.host = base_.authority(),
                            .response_timeout_ms = wait_ms,
                            .body_limit_bytes = kCertAnswerBytes,
                            .kept_connections = 0};
  Network& network = tls_ ? *tls_ : network_;
  HttpClient client(executor_, network, *address, std::move(options));
  co_return co_await client.send({.method = std::move(method),
                                  .target = std::move(target),
                                  .headers = headers_,
                                  .body = std::move(body)});
}

std::unexpected<Error> bad_status(const HttpResponse& answer, std::string_view target) {
  Code code = Code::kUnavailable;
  if (answer.status == 404) code = Code::kNotFound;
  if (answer.status == 401 || answer.status == 403) code = Code::kDenied;
  // Without the query, which may hold a token.
  return fail(code, "{} answered {}", target.substr(0, target.find('?')), answer.status);
}

Task<Result<std::string>> CertClient::get(std::string target) {
  Result<HttpResponse> answer = co_await send("GET", target, {});
  if (!answer) co_return pass(answer);
  if (answer->status != 200) co_return bad_status(*answer, target);
  co_return std::move(answer->body);
}

Task<Result<Json>> CertClient::get_json(std::string target) {
  Result<std::string> body = co_await get(target);
  if (!body) co_return pass(body);
  Result<Json> parsed = parse_json(*body);
  if (!parsed) co_return pass(parsed, "{}", target.substr(0, target.find('?')));
  co_return parsed;
}

}  // namespace sluice::proxy
