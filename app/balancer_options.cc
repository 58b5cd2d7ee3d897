#include "app/balancer_options.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "core/disk.h"
#include "core/tls/client_files.h"

namespace sluice {

namespace {

constexpr int64_t kNoLimitMs = int64_t{365} * 24 * 3'600 * 1'000;
constexpr int64_t kMaxReactors = 1024;

}  // namespace

Result<proxy::Strategy> parse_strategy(const std::string& text) {
  if (text == "rnd") return proxy::Strategy::kRandom;
  if (text == "rr") return proxy::Strategy::kRoundRobin;
  if (text == "leastconn") return proxy::Strategy::kLeastConnections;
  if (text == "hash") return proxy::Strategy::kHash;
  return fail(Code::kInvalid, "-proxy.strategy {}: want rnd, rr, leastconn or hash", text);
}

Result<proxy::Matcher> parse_matcher(const std::string& text) {
  if (text == "prefix") return proxy::Matcher::kPrefix;
  if (text == "iprefix") return proxy::Matcher::kIprefix;
  if (text == "glob") return proxy::Matcher::kGlob;
  if (text == "segment") return proxy::Matcher::kSegment;
  if (text == "regex") return proxy::Matcher::kRegex;
  return fail(Code::kInvalid, "-proxy.matcher {}: want prefix, iprefix, glob, segment or regex",
              text);
}

Result<std::vector<proxy::ListenSpec>> parse_listeners(const Properties& properties) {
  Result<std::vector<proxy::ListenSpec>> specs =
      proxy::parse_listen_specs(properties.get("proxy.addr"));
  if (!specs) return pass(specs, "-proxy.addr");
  if (specs->empty()) return fail(Code::kInvalid, "-proxy.addr names no listener");
  for (proxy::ListenSpec& spec : *specs) {
    if (spec.read_timeout_ms == 0) {
      spec.read_timeout_ms = properties.get_duration_ms("proxy.readtimeout");
    }
    if (spec.write_timeout_ms == 0) {
      spec.write_timeout_ms = properties.get_duration_ms("proxy.writetimeout");
    }
  }
  return specs;
}

Result<std::shared_ptr<const tls::ClientContext>> upstream_tls(const std::string& file) {
  PosixDisk disk;
  auto context = tls::load_client(disk, {.ca_file = file});
  if (!context) return pass(context, "-proxy.upstream.ca");
  return context;
}

Result<void> check_choices(const Properties& properties) {
  const std::string access = properties.get("ui.access");
  if (access != "rw" && access != "ro") {
    return fail(Code::kInvalid, "-ui.access {}: want rw or ro", access);
  }
  const std::string target = properties.get("metrics.target");
  if (!target.empty() && target != "prometheus") {
    return fail(Code::kUnsupported,
                "-metrics.target {}: metrics are pulled from a proto=prometheus listener", target);
  }
  const int64_t status = properties.get_int("proxy.noroutestatus");
  // Up to what fabio takes; an answer below 200 would not be one.
  if (status < 200 || status > 999) {
    return fail(Code::kInvalid, "-proxy.noroutestatus {}: want 200 to 999", status);
  }
  const int64_t threads = properties.get_int("proxy.threads");
  if (threads > kMaxReactors) {
    return fail(Code::kInvalid, "-proxy.threads {}: want 0 to {}", threads, kMaxReactors);
  }
  return {};
}

proxy::ProxyOptions proxy_options(const Properties& properties,
                                  std::vector<proxy::ListenSpec> listeners) {
  proxy::ProxyOptions options;
  options.listeners = std::move(listeners);
  options.reactors = static_cast<uint32_t>(properties.get_int("proxy.threads"));
  options.router.no_route_status = static_cast<uint16_t>(properties.get_int("proxy.noroutestatus"));
  proxy::Timeouts& timeouts = options.worker.timeouts;
  timeouts.connect_ms = properties.get_duration_ms("proxy.dialtimeout");
  timeouts.response_ms = properties.get_duration_ms("proxy.responseheadertimeout");
  timeouts.pooled_ms = properties.get_duration_ms("proxy.idleconntimeout");
  // fabio's word for no limit.
  for (int64_t* each : {&timeouts.connect_ms, &timeouts.response_ms, &timeouts.pooled_ms}) {
    if (*each == 0) *each = kNoLimitMs;
  }
  options.worker.pooled_an_endpoint =
      static_cast<uint32_t>(std::min<int64_t>(properties.get_int("proxy.maxconn"), UINT32_MAX));
  return options;
}

Result<std::vector<int64_t>> parse_buckets(const Properties& properties) {
  std::vector<int64_t> bounds;
  for (const std::string& text : properties.get_list("metrics.prometheus.buckets")) {
    double seconds = 0;
    const char* end = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data(), end, seconds);
    const bool good = error == std::errc() && at == end && seconds > 0 && seconds < 1e6;
    bounds.push_back(good ? static_cast<int64_t>(std::ceil(seconds * 1000)) : 0);
    if (!good || (bounds.size() > 1 && bounds[bounds.size() - 2] >= bounds.back())) {
      return fail(Code::kInvalid, "-metrics.prometheus.buckets: {} is no rising bound in seconds",
                  text);
    }
  }
  if (bounds.size() > proxy::ServiceCounts::kBuckets) {
    return fail(Code::kLimit, "-metrics.prometheus.buckets: more than {} bounds",
                proxy::ServiceCounts::kBuckets);
  }
  return bounds;
}

std::vector<proxy::ListenSpec> take_out(std::vector<proxy::ListenSpec>& specs,
                                        proxy::ListenProtocol protocol) {
  std::vector<proxy::ListenSpec> out;
  std::erase_if(specs, [&](const proxy::ListenSpec& each) {
    if (each.protocol == protocol) out.push_back(each);
    return each.protocol == protocol;
  });
  return out;
}

}  // namespace sluice
