// What fabio's properties say of listeners, choices and limits, made into the data plane's options.
//
// Pure, but for upstream_tls(), which reads files. Any thread; Balancer calls it at its start.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/lb_config.h"
#include "core/result.h"
#include "core/tls/context.h"
#include "proxy/listen_spec.h"
#include "proxy/proxy.h"

namespace sluice {

Result<proxy::Strategy> parse_strategy(const std::string& text);
Result<proxy::Matcher> parse_matcher(const std::string& text);
/// A listener that sets no rt or wt of its own has the global one.
Result<std::vector<proxy::ListenSpec>> parse_listeners(const Properties& properties);
/// Takes those of one protocol out of the list.
std::vector<proxy::ListenSpec> take_out(std::vector<proxy::ListenSpec>& specs,
                                        proxy::ListenProtocol protocol);
/// Whom upstreams' certificates must be signed by. Where a machine trusts nobody, only
/// tlsskipverify leads to an upstream, and the log says why.
Result<std::shared_ptr<const tls::ClientContext>> upstream_tls(const std::string& file);
/// What no type says.
Result<void> check_choices(const Properties& properties);
proxy::ProxyOptions proxy_options(const Properties& properties,
                                  std::vector<proxy::ListenSpec> listeners);
/// The bounds of the histograms in milliseconds.
Result<std::vector<int64_t>> parse_buckets(const Properties& properties);

}  // namespace sluice
