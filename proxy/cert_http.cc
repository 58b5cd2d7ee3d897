// The http certificate store: `cert` is the URL of a text with the name of one file a line; the
// files lie beside it.
#include <map>

#include "proxy/cert_client.h"
#include "proxy/cert_source.h"
#include "proxy/option_text.h"

namespace sluice::proxy {

namespace {

class HttpSource final : public CertSource {
 public:
  HttpSource(std::unique_ptr<CertClient> certificates, std::unique_ptr<CertClient> clients)
      : certificates_(std::move(certificates)), clients_(std::move(clients)) {}

  Task<Result<CertMaterial>> load() override {
    std::vector<RejectedCert> rejected;
    auto texts = co_await fetch(*certificates_, rejected);
    if (!texts) co_return pass(texts);
    CertMaterial material = pair_up(*texts);
    for (RejectedCert& each : rejected) material.rejected.push_back(std::move(each));
    if (clients_) {
      rejected.clear();
      auto authorities = co_await fetch(*clients_, rejected);
      if (!authorities) co_return pass(authorities, "clientca");
      if (!rejected.empty())
        co_return fail(Code::kUnavailable, "clientca: {}", rejected.front().reason);
      for (const auto& [name, text] : *authorities) material.client_ca += text + "\n";
    }
    co_return material;
  }

 private:
  using Texts = std::map<std::string, std::string>;

  static Task<Result<Texts>> fetch(CertClient& client, std::vector<RejectedCert>& rejected) {
    const CertUrl& base = client.base();
    const std::string mark = base.query.empty() ? "" : "?" + base.query;
    Result<std::string> list = co_await client.get(base.path + mark);
    if (!list) co_return pass(list);
    const std::string folder = base.path.substr(0, base.path.rfind('/'));
    const CertLimits limits;
    Texts texts;
    for (size_t begin = 0; begin < list->size();) {
      const size_t end = std::min(list->find('\n', begin), list->size());
      std::string_view line = std::string_view(*list).substr(begin, end - begin);
      begin = end + 1;
      if (line.ends_with('\r')) line.remove_suffix(1);
      line = trim_spaces(line);
      if (line.empty()) continue;
      if (texts.size() >= limits.files)
        co_return fail(Code::kLimit, "the list has more than {} files", limits.files);
      const std::string target = folder + (line.starts_with('/') ? "" : "/") + std::string(line);
      Result<std::string> text = co_await client.get(target);
      if (text && text->size() <= tls::kMaxPemBytes) {
        texts.emplace(target, std::move(*text));
      } else if (text) {
        rejected.push_back({target, "it is too large"});
      } else if (text.error().code == Code::kNotFound || text.error().code == Code::kDenied) {
        rejected.push_back({target, text.error().message});
      } else {
        co_return pass(text);
      }
    }
    co_return texts;
  }

  std::unique_ptr<CertClient> certificates_;
  std::unique_ptr<CertClient> clients_;
};

Result<std::unique_ptr<CertClient>> make_client(const std::string& url, const CertStoreSpec& spec,
                                                const CertReach& reach) {
  Result<CertUrl> base = parse_cert_url(url);
  if (!base) return pass(base);
  auto client =
      std::make_unique<CertClient>(reach.executor, reach.network, std::move(*base), reach.tls);
  if (spec.header.empty()) return client;
  const size_t colon = spec.header.find(':');
  if (colon == std::string::npos || colon == 0)
    return fail(Code::kInvalid, "hdr= wants \"Name: value\"");
  client->set_header(spec.header.substr(0, colon),
                     std::string(trim_spaces(std::string_view(spec.header).substr(colon + 1))));
  return client;
}

}  // namespace

Result<std::unique_ptr<CertSource>> make_http_source(const CertStoreSpec& spec,
                                                     const CertReach& reach) {
  auto certificates = make_client(spec.cert, spec, reach);
  if (!certificates) return pass(certificates, "cert");
  std::unique_ptr<CertClient> clients;
  if (!spec.client_ca.empty()) {
    auto made = make_client(spec.client_ca, spec, reach);
    if (!made) return pass(made, "clientca");
    clients = std::move(*made);
  }
  return std::make_unique<HttpSource>(std::move(*certificates), std::move(clients));
}

}  // namespace sluice::proxy
