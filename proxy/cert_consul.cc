// The consul certificate store: `cert` is the URL of a prefix of Consul's KV,
// http://host:8500/v1/kv/path?token=..., whose keys are named like files. It is followed by
// blocking queries, so a change is live at once.
#include <map>

#include "core/base64.h"
#include "proxy/cert_client.h"
#include "proxy/cert_source.h"

namespace sluice::proxy {

namespace {

constexpr std::string_view kKvPrefix = "/v1/kv/";
constexpr int64_t kWaitS = 60;
constexpr int64_t kWaitWithClientsS = 5;  // client CAs are looked at as often
constexpr int64_t kSlackMs = 15'000;      // Consul adds up to a sixteenth of the wait

using Texts = std::map<std::string, std::string>;

struct Listing {
  Texts texts;
  uint64_t index = 0;
};

Result<Listing> decode(const HttpResponse& answer, std::string_view target) {
  if (answer.status != 200) return bad_status(answer, target);
  const std::string* leader = answer.headers.find("X-Consul-KnownLeader");
  if (leader != nullptr && *leader == "false")
    return fail(Code::kUnavailable, "Consul has no leader");
  Result<Json> entries = parse_json(answer.body);
  if (!entries) return pass(entries);
  if (!entries->is_array()) return fail(Code::kInvalid, "Consul's answer is no list");
  Listing listing;
  for (const Json& entry : entries->as_array()) {
    if (entry.get_string("Value").empty()) continue;  // a folder
    Result<std::string> text = base64_decode(entry.get_string("Value"));
    if (!text) return pass(text);
    listing.texts.emplace(entry.get_string("Key"), std::move(*text));
  }
  const std::string* index = answer.headers.find("X-Consul-Index");
  if (index != nullptr) listing.index = std::strtoull(index->c_str(), nullptr, 10);
  return listing;
}

class ConsulSource final : public CertSource {
 public:
  ConsulSource(std::unique_ptr<CertClient> certificates, std::unique_ptr<CertClient> clients)
      : certificates_(std::move(certificates)), clients_(std::move(clients)) {}

  bool waits() const override { return true; }

  Task<Result<CertMaterial>> load() override {
    const uint64_t seen = index_;
    index_ = 0;  // after a failure it is asked without waiting
    Result<Listing> listing = co_await list(*certificates_, seen);
    if (!listing) co_return pass(listing);
    CertMaterial material = pair_up(listing->texts);
    if (clients_) {
      Result<Listing> authorities = co_await list(*clients_, 0);
      if (!authorities) co_return pass(authorities, "clientca");
      for (const auto& [name, text] : authorities->texts) material.client_ca += text + "\n";
    }
    // An index that went back belongs to another history: begin anew (Consul's own advice).
    index_ = listing->index < seen ? 0 : listing->index;
    co_return material;
  }

 private:
  Task<Result<Listing>> list(CertClient& client, uint64_t index) {
    std::string target = client.base().path + "?recurse&consistent";
    int64_t wait_ms = kCertWaitMs;
    if (index != 0) {
      const int64_t wait_s = clients_ ? kWaitWithClientsS : kWaitS;
      target += "&index=" + std::to_string(index) + "&wait=" + std::to_string(wait_s) + "s";
      wait_ms = wait_s * 1'000 + kSlackMs;
    }
    Result<HttpResponse> answer = co_await client.send("GET", target, {}, wait_ms);
    if (!answer) co_return pass(answer);
    co_return decode(*answer, target);
  }

  std::unique_ptr<CertClient> certificates_;
  std::unique_ptr<CertClient> clients_;
  uint64_t index_ = 0;
};

Result<std::unique_ptr<CertClient>> make_client(const std::string& url, const CertReach& reach) {
  Result<CertUrl> base = parse_cert_url(url);
  if (!base) return pass(base);
  if (!base->path.starts_with(kKvPrefix) || base->path.size() == kKvPrefix.size())
    return fail(Code::kInvalid, "wants http://host:port{}PATH", kKvPrefix);
  std::string token;
  for (auto& [name, value] : parse_query(base->query)) {
    if (name == "token") token = std::move(value);
  }
  base->query.clear();
  auto client =
      std::make_unique<CertClient>(reach.executor, reach.network, std::move(*base), reach.tls);
  if (!token.empty()) client->set_header("X-Consul-Token", token);
  return client;
}

}  // namespace

Result<std::unique_ptr<CertSource>> make_consul_source(const CertStoreSpec& spec,
                                                       const CertReach& reach) {
  auto certificates = make_client(spec.cert, reach);
  if (!certificates) return pass(certificates, "cert");
  std::unique_ptr<CertClient> clients;
  if (!spec.client_ca.empty()) {
    auto made = make_client(spec.client_ca, reach);
    if (!made) return pass(made, "clientca");
    clients = std::move(*made);
  }
  return std::make_unique<ConsulSource>(std::move(*certificates), std::move(clients));
}

}  // namespace sluice::proxy
