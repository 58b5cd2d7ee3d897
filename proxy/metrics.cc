#include "proxy/metrics.h"

#include <fmt/format.h>

namespace sluice::proxy {

namespace {

/// A label's value: backslash, quote and newline are escaped.
std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '\\' || c == '"') out += '\\';
    out += c;
  }
  return out;
}

class Page {
 public:
  explicit Page(std::string prefix) : prefix_(std::move(prefix)) {}

  void family(const char* name, const char* type, const char* help) {
    name_ = prefix_ + name;
    out_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name_, help, name_, type);
  }
  void value(const std::string& labels, uint64_t value) {
    line("", labels, fmt::format("{}", value));
  }
  void line(const char* suffix, const std::string& labels, const std::string& value) {
    out_ += name_;
    out_ += suffix;
    if (!labels.empty()) out_ += "{" + labels + "}";
    out_ += " " + value + "\n";
  }
  void one(const char* name, const char* type, const char* help, uint64_t number) {
    family(name, type, help);
    value("", number);
  }
  std::string take() { return std::move(out_); }

 private:
  const std::string prefix_;
  std::string name_;
  std::string out_;
};

std::string seconds(uint64_t ms) {
  return fmt::format("{}", static_cast<double>(ms) / 1000);
}

/// Labels, and what was counted under them.
using Rows = std::vector<std::pair<std::string, const ServiceCounts*>>;

void put_answers(Page& page, const std::string& of, const Rows& rows,
                 const std::vector<int64_t>& bounds_ms) {
  page.family((of + "responses_total").c_str(), "counter", "Answers by class of status.");
  for (const auto& [label, counts] : rows) {
    for (size_t i = 0; i < counts->answers.size(); ++i) {
      if (counts->answers[i] == 0) continue;
      const std::string code = i == 0 ? "other" : fmt::format("{}xx", i);
      page.value(fmt::format("{},code=\"{}\"", label, code), counts->answers[i]);
    }
  }
  page.family((of + "response_seconds").c_str(), "histogram",
              "From a request's head to the end of its answer.");
  for (const auto& [label, counts] : rows) {
    uint64_t total = 0;
    for (const uint64_t each : counts->answers) total += each;
    if (total == 0) continue;
    uint64_t below = 0;
    for (size_t i = 0; i < bounds_ms.size(); ++i) {
      below += counts->times[i];
      page.line("_bucket",
                fmt::format("{},le=\"{}\"", label, seconds(static_cast<uint64_t>(bounds_ms[i]))),
                fmt::format("{}", below));
    }
    page.line("_bucket", label + ",le=\"+Inf\"", fmt::format("{}", total));
    page.line("_sum", label, seconds(counts->time_ms));
    page.line("_count", label, fmt::format("{}", total));
  }
}

void put_services(Page& page, const ProxyStats& stats, const std::vector<int64_t>& bounds_ms) {
  std::map<std::string, ServiceCounts> services;
  Rows routes;
  for (const auto& [name, counts] : stats.routes_of) {
    services[name.service].add(counts);
    if (name.route.empty()) continue;
    routes.emplace_back(fmt::format("service=\"{}\",route=\"{}\"{}", escaped(name.service),
                                    escaped(name.route), name.canary ? ",canary=\"true\"" : ""),
                        &counts);
  }
  Rows rows;
  for (const auto& [service, counts] : services) {
    rows.emplace_back(fmt::format("service=\"{}\"", escaped(service)), &counts);
  }
  put_answers(page, "", rows, bounds_ms);
  put_answers(page, "route_", routes, bounds_ms);
  page.family("tunnels_total", "counter", "Tunnels that have ended, by service.");
  for (const auto& [service, counts] : services) {
    if (counts.tunnels == 0) continue;
    page.value(fmt::format("service=\"{}\"", escaped(service)), counts.tunnels);
  }
  page.family("tunnels_failed_total", "counter", "Tunnels that never got an upstream.");
  for (const auto& [service, counts] : services) {
    if (counts.tunnels_failed == 0) continue;
    page.value(fmt::format("service=\"{}\"", escaped(service)), counts.tunnels_failed);
  }
  page.family("tunnel_bytes_total", "counter", "Bytes of tunnels that have ended.");
  for (const auto& [service, counts] : services) {
    if (counts.tunnels == 0) continue;
    const std::string label = fmt::format("service=\"{}\",way=", escaped(service));
    page.value(label + "\"up\"", counts.bytes_up);
    page.value(label + "\"down\"", counts.bytes_down);
  }
}

}  // namespace

void ProxyStats::add(const Worker& worker) {
  counters.add(worker.counters());
  clients += worker.client_count();
  tunnels += worker.tunnel_count();
  idle_upstreams += worker.pool().idle();
  const ServiceStats& of = worker.services();
  for (size_t i = 0; i < of.names().size(); ++i) routes_of[of.names()[i]].add(of.counts()[i]);
}

std::string metrics_text(const ProxyStats& stats, const std::vector<int64_t>& bounds_ms,
                         const std::string& subsystem) {
  Page page(subsystem.empty() ? "sluice_" : "sluice_" + subsystem + "_");
  const Counters& c = stats.counters;
  page.one("connections_total", "counter", "Connections accepted.", c.connections);
  page.one("requests_total", "counter", "Requests read.", c.requests);
  page.one("own_answers_total", "counter", "Answers that were the balancer's own.", c.answers);
  page.one("upstream_tls_failures_total", "counter",
           "Connections to upstreams that ended in their TLS handshake.", c.tls_failures);
  page.one("upstream_connections_total", "counter", "Connections made to upstreams.",
           c.upstream_connections);
  page.one("upstream_reused_total", "counter", "Requests that went over a kept connection.",
           c.upstream_reused);
  page.one("upstream_retries_total", "counter",
           "Requests that were sent to another endpoint, or again.", c.retries);
  page.one("upstream_ejections_total", "counter",
           "Endpoints that were passed over for their failures.", c.ejections);
  page.one("connections_limited_total", "counter",
           "Connections closed because their address had too many.", c.limited);
  page.one("clients", "gauge", "HTTP connections open now.", stats.clients);
  page.one("tunnels", "gauge", "Tunnels open now.", stats.tunnels);
  page.one("upstream_idle", "gauge", "Idle upstream connections.", stats.idle_upstreams);
  page.one("hosts", "gauge", "Hosts in the route table.", stats.hosts);
  page.one("routes", "gauge", "Routes in the route table.", stats.routes);
  page.one("route_table_version", "gauge", "Version of the route table.", stats.table_version);
  page.one("access_log_dropped_lines_total", "counter", "Access lines that the writer dropped.",
           stats.access_lines_dropped);
  put_services(page, stats, bounds_ms);
  return page.take();
}

}  // namespace sluice::proxy
