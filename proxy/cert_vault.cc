// The vault certificate store: `cert` is a path of Vault's KV secrets, version 1 or 2, under which
// each secret has a `cert` and a `key`; under `clientca` a `cert`.
//
// VAULT_ADDR, VAULT_TOKEN, VAULT_NAMESPACE, VAULT_CACERT and VAULT_SKIP_VERIFY are what they are
// for Vault's own tools; `vaultfetchtoken=env:NAME` or `file:PATH` is read again at each load. A
// token that wraps another is unwrapped; one that can be renewed is, at half of its time.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <optional>

#include "core/disk.h"
#include "core/scope.h"
#include "proxy/cert_client.h"
#include "proxy/cert_source.h"
#include "proxy/option_text.h"

namespace sluice::proxy {

namespace {

constexpr size_t kMaxTokenBytes = 4096;
constexpr int64_t kLeastRenewMs = 1'000;

const Json& member(const Json& of, std::string_view key) {
  static const Json kNull;
  const Json* found = of.find(key);
  return found == nullptr ? kNull : *found;
}

std::string env(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

class VaultSource final : public CertSource {
 public:
  VaultSource(const CertStoreSpec& spec, Executor& executor, std::unique_ptr<CertClient> client)
      : spec_(spec), executor_(executor), client_(std::move(client)) {}

  Task<Result<CertMaterial>> load() override {
    Result<void> ready = co_await take_token();
    if (!ready) co_return pass(ready);
    co_await renew();
    std::map<std::string, std::string> texts;
    std::vector<RejectedCert> rejected;
    Result<void> read = co_await read_all(spec_.cert, texts, rejected);
    if (!read) co_return pass(read);
    CertMaterial material = pair_up(texts);
    for (RejectedCert& each : rejected) material.rejected.push_back(std::move(each));
    if (!spec_.client_ca.empty()) {
      texts.clear();
      rejected.clear();
      Result<void> clients = co_await read_all(spec_.client_ca, texts, rejected);
      if (!clients) co_return pass(clients, "clientca");
      if (!rejected.empty())
        co_return fail(Code::kUnavailable, "clientca: {}", rejected.front().reason);
      for (const auto& [name, text] : texts) material.client_ca += text + "\n";
    }
    co_return material;
  }

 private:
  /// Where a path's secrets are listed and read: of version 2 the two differ.
  struct Place {
    std::string list;
    std::string read;
    bool version2 = false;
  };

  Result<std::string> given_token() const {
    const std::string_view fetch = spec_.vault_token;
    if (fetch.empty()) return env("VAULT_TOKEN");
    if (fetch.starts_with("env:")) return env(std::string(fetch.substr(4)).c_str());
    PosixDisk disk;
    Result<std::string> text = disk.read_file(std::string(fetch.substr(5)), kMaxTokenBytes);
    if (!text) return text;
    std::string_view token = *text;
    while (!token.empty() && (token.back() == '\n' || token.back() == '\r' || token.back() == ' '))
      token.remove_suffix(1);
    return std::string(token);
  }

  Task<Result<void>> take_token() {
    Result<std::string> token = given_token();
    if (!token) co_return pass(token);
    if (token->empty()) co_return fail(Code::kDenied, "there is no token for Vault (VAULT_TOKEN)");
    if (*token == given_) co_return Result<void>();
    client_->set_header("X-Vault-Token", *token);
    Result<HttpResponse> answer = co_await client_->send("PUT", "/v1/sys/wrapping/unwrap", "{}");
    if (!answer) co_return pass(answer);
    if (answer->status == 200) {
      Result<Json> body = parse_json(answer->body);
      const std::string inner(body ? member(*body, "auth").get_string("client_token")
                                   : std::string_view());
      if (inner.empty()) co_return fail(Code::kInvalid, "what Vault's token wraps is no token");
      client_->set_header("X-Vault-Token", inner);
    }
    given_ = *token;
    renew_at_ms_ = 0;
    co_return Result<void>();
  }

  /// A failure shows by itself, once the token has run out.
  Task<void> renew() {
    if (executor_.now_ms() < renew_at_ms_) co_return;
    Result<Json> own = co_await client_->get_json("/v1/auth/token/lookup-self");
    if (!own) co_return;
    const Json& data = member(*own, "data");
    const int64_t ttl_ms = data.get_int("ttl") * 1'000;
    if (!data.get_bool("renewable") || ttl_ms == 0) {
      renew_at_ms_ = INT64_MAX;
      co_return;
    }
    const bool first = renew_at_ms_ == 0;
    renew_at_ms_ = executor_.now_ms() + std::max(ttl_ms / 2, kLeastRenewMs);
    if (first) co_return;
    const std::string body = "{\"increment\":" + std::to_string(data.get_int("creation_ttl")) + "}";
    (void)co_await client_->send("PUT", "/v1/auth/token/renew-self", body);
  }

  Task<Place> place_of(std::string path) {
    while (path.starts_with('/')) path.erase(0, 1);
    while (path.ends_with('/')) path.pop_back();
    Place place{"/v1/" + path, "/v1/" + path, false};
    // Vault's own tools ask this, too. Where it may not be asked, it is version 1.
    Result<Json> mount = co_await client_->get_json("/v1/sys/internal/ui/mounts/" + path);
    if (!mount) co_return place;
    const Json& data = member(*mount, "data");
    std::string root(data.get_string("path"));
    if (member(data, "options").get_string("version") != "2" || root.empty()) co_return place;
    if (!root.ends_with('/')) root += '/';
    if (!path.starts_with(root)) co_return place;
    const std::string rest = path.substr(root.size());
    // Paths of the API itself, "secret/data/x", are understood as well.
    const std::string_view inner =
        rest.starts_with("data/") ? std::string_view(rest).substr(5) : std::string_view(rest);
    co_return Place{"/v1/" + root + "metadata/" + std::string(inner),
                    "/v1/" + root + "data/" + std::string(inner), true};
  }

  Task<Result<void>> read_all(std::string path, std::map<std::string, std::string>& texts,
                              std::vector<RejectedCert>& rejected) {
    const Place place = co_await place_of(std::move(path));
    Result<Json> list = co_await client_->get_json(place.list + "?list=true");
    if (!list) co_return pass(list);
    const Json& keys = member(member(*list, "data"), "keys");
    if (!keys.is_array())
      co_return fail(Code::kInvalid, "{}: Vault's list has no keys", place.list);
    const CertLimits limits;
    if (keys.as_array().size() > limits.files)
      co_return fail(Code::kLimit, "{}: more than {} secrets", place.list, limits.files);
    for (const Json& key : keys.as_array()) {
      if (!key.is_string() || key.as_string().ends_with('/')) continue;
      const std::string& name = key.as_string();
      Result<Json> secret = co_await client_->get_json(place.read + "/" + percent_encode(name));
      if (!secret) {
        const Code code = secret.error().code;
        if (code != Code::kNotFound && code != Code::kDenied) co_return pass(secret);
        rejected.push_back({name + "-cert.pem", secret.error().message});
        continue;
      }
      const Json& outer = member(*secret, "data");
      const Json& data = place.version2 ? member(outer, "data") : outer;
      for (const char* part : {"cert", "key"}) {
        const std::string_view text = data.get_string(part);
        if (!text.empty()) texts.emplace(name + "-" + part + ".pem", text);
      }
    }
    co_return Result<void>();
  }

  const CertStoreSpec spec_;
  Executor& executor_;
  std::unique_ptr<CertClient> client_;
  std::string given_;  // the token that was taken last
  int64_t renew_at_ms_ = 0;
};

}  // namespace

Result<std::unique_ptr<CertSource>> make_vault_source(const CertStoreSpec& spec,
                                                      const CertReach& reach) {
  const std::string address = env("VAULT_ADDR");
  if (address.empty()) return fail(Code::kInvalid, "type=vault wants VAULT_ADDR");
  Result<CertUrl> base = parse_cert_url(address);
  if (!base) return pass(base, "VAULT_ADDR");
  std::shared_ptr<const tls::ClientContext> context = reach.tls;
  if (const std::string file = env("VAULT_CACERT"); !file.empty()) {
    PosixDisk disk;
    Result<std::string> pem = disk.read_file(file, tls::kMaxPemBytes);
    if (!pem) return pass(pem, "VAULT_CACERT");
    auto authorities = tls::Authorities::load(*pem);
    if (!authorities) return pass(authorities, "VAULT_CACERT {}", file);
    context = tls::ClientContext::make(std::move(*authorities));
  }
  const std::string skip = env("VAULT_SKIP_VERIFY");
  const Result<bool> skip_verify = skip.empty() ? Result<bool>(false) : parse_option_bool(skip);
  if (!skip_verify) return fail(Code::kInvalid, "VAULT_SKIP_VERIFY {}: want true or false", skip);
  auto client = std::make_unique<CertClient>(reach.executor, reach.network, std::move(*base),
                                             std::move(context), *skip_verify);
  if (const std::string space = env("VAULT_NAMESPACE"); !space.empty())
    client->set_header("X-Vault-Namespace", space);
  return std::make_unique<VaultSource>(spec, reach.executor, std::move(client));
}

}  // namespace sluice::proxy
