#include "app/lb_fetch.h"

#include <memory>
#include <optional>
#include <utility>

#include "app/lb_config.h"
#include "core/disk.h"
#include "core/loop.h"
#include "core/scope.h"
#include "core/tls/client_files.h"
#include "core/uv_network.h"
#include "proxy/cert_client.h"

namespace sluice {

namespace {

constexpr int64_t kFetchMs = 10'000;

Task<void> fetch(UvLoop& loop, proxy::CertClient& client, std::string target,
                 std::optional<Result<HttpResponse>>& out) {
  out.emplace(
      co_await with_timeout(loop, kFetchMs, client.send("GET", std::move(target), {}, kFetchMs)));
  loop.stop();
}

}  // namespace

Result<std::string> fetch_config(const std::string& url) {
  Result<proxy::CertUrl> parsed = proxy::parse_cert_url(url);
  if (!parsed) return pass(parsed);
  const std::string target = parsed->path + (parsed->query.empty() ? "" : "?" + parsed->query);
  for (const char c : target) {
    if (static_cast<unsigned char>(c) <= ' ' || c == 0x7f) {
      return fail(Code::kInvalid, "{:?}: a URL holds no blanks", url);
    }
  }
  PosixDisk disk;
  Result<std::shared_ptr<const tls::ClientContext>> context;
  if (parsed->tls) {
    context = tls::load_client(disk, {});
    if (!context) return pass(context);
  }
  // Without the query, which may hold a token.
  const std::string shown = url.substr(0, url.find('?'));
  UvLoop loop;
  UvNetwork network(loop);
  std::optional<Result<HttpResponse>> answer;
  {
    proxy::CertClient client(loop, network, *std::move(parsed), *std::move(context));
    Scope scope(loop);
    scope.spawn(fetch(loop, client, target, answer));
    loop.run();
  }
  if (!*answer) return pass(*answer, "{}", shown);
  const HttpResponse& said = **answer;
  if (said.status >= 300 && said.status < 400) {
    const std::string* location = said.headers.find("Location");
    return fail(Code::kUnavailable, "{} answered {}: redirects are not followed{}", shown,
                said.status, location == nullptr ? "" : "; name " + *location);
  }
  if (said.status != 200) return fail(Code::kUnavailable, "{} answered {}", shown, said.status);
  if (said.body.size() > kConfigBytes) {
    return fail(Code::kLimit, "{} has more than {} bytes", shown, kConfigBytes);
  }
  return std::move((*answer)->body);
}

}  // namespace sluice
