// CertClient: GET and POST of the servers that certificate stores ask: by URL, http or https, the
// host by name or address.
//
// Owner: a CertSource. Thread: the control loop's. Limits: kCertAnswerBytes an answer, kCertWaitMs
// for one, unless the request waits by itself.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/executor.h"
#include "core/http.h"
#include "core/http_client.h"
#include "core/json.h"
#include "core/network.h"
#include "core/result.h"
#include "core/task.h"
#include "core/tls/context.h"
#include "core/tls/network.h"

namespace sluice::proxy {

inline constexpr size_t kCertAnswerBytes = 64 << 20;
inline constexpr int64_t kCertWaitMs = 10'000;

struct CertUrl {
  bool tls = false;
  std::string host;  // without brackets
  uint16_t port = 0;
  std::string path;   // "/" at least
  std::string query;  // without its mark

  /// "host:port", as Host says it and resolve() takes it.
  std::string authority() const;
};
/// kInvalid: not http:// or https://, no host, a port that is none.
Result<CertUrl> parse_cert_url(std::string_view text);

class CertClient {
 public:
  /// `context` judges servers that speak https; `skip_verify`: it does not.
  CertClient(Executor& executor, Network& network, CertUrl base,
             std::shared_ptr<const tls::ClientContext> context, bool skip_verify = false);

  void set_header(std::string name, std::string value);
  /// The answer whatever its status is.
  Task<Result<HttpResponse>> send(std::string method, std::string target, std::string body,
                                  int64_t wait_ms = kCertWaitMs);
  /// The body of a 200; kNotFound of a 404, kDenied of a 401 or 403, kUnavailable of another
  /// status.
  Task<Result<std::string>> get(std::string target);
  Task<Result<Json>> get_json(std::string target);

  const CertUrl& base() const { return base_; }

 private:
  Executor& executor_;
  Network& network_;
  const CertUrl base_;
  HttpHeaders headers_;
  std::unique_ptr<tls::TlsNetwork> tls_;
};

/// The error of an answer that is not 200.
std::unexpected<Error> bad_status(const HttpResponse& answer, std::string_view target);

}  // namespace sluice::proxy
