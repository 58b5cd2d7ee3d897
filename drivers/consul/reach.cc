#include "drivers/consul/reach.h"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>

#include "core/ascii.h"

namespace sluice::drivers {

namespace {

constexpr uint16_t kHttpPort = 8500;
constexpr uint16_t kHttpsPort = 8501;

bool is_host_char(char c) {
  return ascii::is_alphanumeric(c) || c == '.' || c == '-' || c == '_' || c == ':';
}

}  // namespace

Result<void> reach_consul(Disk& disk, const ConsulReach& reach, ConsulApiOptions& api) {
  std::string_view rest = reach.address;
  const bool https = reach.tls || rest.starts_with("https://");
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (rest.starts_with(scheme)) rest.remove_prefix(scheme.size());
  }
  rest = rest.substr(0, rest.find('/'));
  const size_t after_v6 = rest.starts_with('[') ? std::min(rest.find(']'), rest.size()) : 0;
  const size_t colon = rest.find(':', after_v6);
  std::string_view host = rest.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  uint16_t port = https ? kHttpsPort : kHttpPort;
  bool good = !host.empty() && std::all_of(host.begin(), host.end(), is_host_char);
  if (colon != std::string_view::npos) {
    const std::string_view digits = rest.substr(colon + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    good = good && error == std::errc() && end == digits.data() + digits.size() && port != 0;
  }
  if (!good) {
    return fail(Code::kInvalid, "'{}': want HOST:PORT, http://HOST:PORT or https://HOST:PORT",
                reach.address);
  }
  api.address = Address{.ip = std::string(host), .port = port, .path = {}};
  const tls::ClientFiles& files = reach.files;
  if (!https) {
    if (files.ca_file.empty() && files.ca_folder.empty() && files.certificate_file.empty()) {
      return {};
    }
    return fail(Code::kInvalid, "'{}': files of TLS are named; want https://{}", reach.address,
                to_string(api.address));
  }
  auto context = tls::load_client(disk, files);
  if (!context) return pass(context, "TLS");
  api.tls = *std::move(context);
  api.tls_server_name = std::string(host);
  api.tls_skip_verify = reach.skip_verify;
  return {};
}

}  // namespace sluice::drivers
