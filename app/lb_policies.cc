#include "app/lb_policies.h"

#include <algorithm>

#include "core/http1_text.h"
#include "core/random.h"
#include "proxy/address_ranges.h"
#include "proxy/tag_values.h"

namespace sluice {

namespace {

/// "" is none; what fabio sets anyhow is none, too.
Result<std::string> header_name(const Properties& properties, const char* property) {
  const std::string name = properties.get(property);
  if (!http1::all(http1::kToken, name)) {
    return fail(Code::kInvalid, "-{} '{}': want the name of a header", property, name);
  }
  if (http1::iequals(name, "X-Forwarded-For") || http1::iequals(name, "X-Real-Ip")) return "";
  if (http1::name_of(name) != http1::Name::kOther) {
    return fail(Code::kInvalid, "-{} {}: this header has a meaning of its own", property, name);
  }
  return name;
}

std::string sts_value(const Properties& properties) {
  const int64_t max_age = properties.get_int("proxy.header.sts.maxage");
  if (max_age == 0) return {};
  std::string value = "max-age=" + std::to_string(max_age);
  if (properties.get_bool("proxy.header.sts.subdomains")) value += "; includeSubdomains";
  if (properties.get_bool("proxy.header.sts.preload")) value += "; preload";
  return value;
}

}  // namespace

Result<std::unique_ptr<LbPolicies>> LbPolicies::open(const Properties& properties, Log& log) {
  std::unique_ptr<LbPolicies> policies(new LbPolicies());
  Result<void> read = policies->read(properties, log);
  if (!read) return pass(read);
  return policies;
}

Result<void> LbPolicies::read_headers(const Properties& properties) {
  using Field = std::pair<const char*, std::string*>;
  for (const auto& [property, field] : {Field{"proxy.header.clientip", &headers_.client_ip},
                                        Field{"proxy.header.tls", &headers_.tls_name},
                                        Field{"proxy.header.requestid", &headers_.request_id}}) {
    Result<std::string> name = header_name(properties, property);
    if (!name) return pass(name);
    *field = std::move(*name);
  }
  headers_.tls_value = properties.get("proxy.header.tls.value");
  if (std::ranges::any_of(headers_.tls_value,
                          [](unsigned char c) { return c < 0x20 || c == 0x7f; })) {
    return fail(Code::kInvalid, "-proxy.header.tls.value holds a control character");
  }
  headers_.sts = sts_value(properties);
  headers_.local_ip = properties.get("proxy.localip");
  return {};
}

Result<void> LbPolicies::read(const Properties& properties, Log& log) {
  SystemRandom random;
  seed_ = random.next();
  secret_ = {random.next(), random.next()};
  max_body_bytes_ = static_cast<uint64_t>(properties.get_int("proxy.maxbodysize"));
  queue_ms_ = properties.get_duration_ms("proxy.queuetimeout");
  Result<void> headers = read_headers(properties);
  if (!headers) return headers;

  auto trusted = proxy::parse_trusted(properties.get("proxy.trusted"));
  if (!trusted) return pass(trusted, "-proxy.trusted");
  trusted_ = std::move(*trusted);

  auto specs = proxy::parse_auth_specs(properties.get("proxy.auth"));
  if (!specs) return pass(specs, "-proxy.auth");
  if (!specs->empty()) {
    auto auth = proxy::AuthRegistry::open(std::move(*specs), disk_, log);
    if (!auth) return pass(auth, "-proxy.auth");
    auth_ = std::move(*auth);
  }

  if (const std::string types = properties.get("proxy.gzip.contenttype"); !types.empty()) {
    auto compiled = Regex::compile(types);
    if (!compiled) return pass(compiled, "-proxy.gzip.contenttype");
    gzip_types_ = std::move(*compiled);
  }

  proxy::AddressLimits::Options limits;
  limits.connections = static_cast<uint32_t>(
      std::min<int64_t>(properties.get_int("proxy.limit.ipconns"), INT32_MAX));
  if (const std::string rate = properties.get("proxy.limit.iprate"); !rate.empty()) {
    auto parsed = proxy::parse_rate("-proxy.limit.iprate", rate);
    if (!parsed) return pass(parsed);
    limits.rate = *parsed;
  }
  if (limits.connections != 0 || limits.rate.a_second > 0) {
    addresses_ = std::make_unique<proxy::AddressLimits>(limits, random.next());
  }
  return {};
}

void LbPolicies::set_options(proxy::PublisherOptions& options) const {
  if (auth_) options.auth_schemes = auth_->names();
  options.seed = seed_;
}

void LbPolicies::set_options(proxy::ProxyOptions& options) const {
  proxy::WorkerOptions& worker = options.worker;
  worker.headers = headers_;
  worker.trusted = trusted_;
  options.router.trusted = trusted_;
  worker.max_body_bytes = max_body_bytes_;
  worker.timeouts.queue_ms = queue_ms_;
  worker.gzip_types = gzip_types_ ? &*gzip_types_ : nullptr;
  worker.guards = {.auth = auth_.get(), .addresses = addresses_.get(), .secret = secret_};
}

Task<void> LbPolicies::watch(Executor& executor, proxy::Proxy& proxy) {
  if (!auth_) co_return;
  co_await auth_->watch(executor,
                        [&proxy](size_t scheme, std::shared_ptr<const proxy::UserList> users) {
                          proxy.post_to_all([scheme, users](uint32_t, proxy::Worker& worker) {
                            worker.auth()->set_users(scheme, users);
                          });
                        });
}

}  // namespace sluice
