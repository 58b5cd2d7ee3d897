#include "proxy/service_stats.h"

#include <string>

#include "proxy/metrics.h"
#include "proxy/router.h"
#include "test/test.h"

namespace sluice::proxy {
namespace {

using Slot = ServiceStats::Slot;

RouteDecision decision(std::string_view service, std::string_view host, std::string_view path) {
  RouteDecision out;
  out.service = service;
  out.route_host = host;
  out.route_path = path;
  return out;
}

TEST_CASE("each route of a service has its slot, however often it is asked for") {
  ServiceStats stats({10});
  EXPECT(stats.slot(decision("", "a", "/")) == Slot::kNone);
  const Slot first = stats.slot(decision("web", "a.com", "/"));
  const Slot second = stats.slot(decision("web", "a.com", "/x"));
  const Slot third = stats.slot(decision("api", "a.com", "/"));
  const Slot tunnel = stats.slot(decision("web", "", ""));
  EXPECT(first != second);
  EXPECT(first != third);
  EXPECT(first != tunnel);
  for (int i = 0; i < 2; ++i) {
    EXPECT(stats.slot(decision("web", "a.com", "/")) == first);
    EXPECT(stats.slot(decision("web", "a.com", "/x")) == second);
    EXPECT(stats.slot(decision("api", "a.com", "/")) == third);
    EXPECT(stats.slot(decision("web", "", "")) == tunnel);
  }
  EXPECT_EQ(stats.names().size(), 6u);
}

TEST_CASE("beyond the limits, routes are counted by service, then all together") {
  ServiceStats stats({10});
  for (size_t i = 0; i < ServiceStats::kRoutes; ++i) {
    stats.slot(decision("web", "a.com", "/" + std::to_string(i)));
  }
  const size_t full = stats.names().size();
  const Slot web = stats.slot(decision("web", "a.com", "/more"));
  EXPECT(stats.slot(decision("web", "a.com", "/even-more")) == web);
  EXPECT_EQ(stats.names()[static_cast<size_t>(web)].service, "web");
  EXPECT_EQ(stats.names()[static_cast<size_t>(web)].route, "(other)");
  for (size_t i = 1; i < ServiceStats::kServices; ++i) {
    const std::string service = "s" + std::to_string(i);
    const Slot slot = stats.slot(decision(service, "a.com", "/"));
    EXPECT_EQ(stats.names()[static_cast<size_t>(slot)].service, service);
  }
  EXPECT(stats.slot(decision("one-too-many", "a.com", "/")) == Slot::kOther);
  EXPECT_EQ(stats.names().size(), full + ServiceStats::kServices);
  EXPECT(stats.slot(decision("web", "a.com", "/7")) != web);  // what was there stays
}

TEST_CASE("the page adds the routes of a service up") {
  ProxyStats stats;
  ServiceStats counted({10});
  counted.count_answer(counted.slot(decision("web", "a.com", "/")), 200, 5);
  counted.count_answer(counted.slot(decision("web", "b.com", "/\"x")), 404, 20);
  for (size_t i = 0; i < counted.names().size(); ++i) {
    stats.routes_of[counted.names()[i]].add(counted.counts()[i]);
  }
  const std::string page = metrics_text(stats, {10}, "");
  for (const char* line :
       {"sluice_responses_total{service=\"web\",code=\"2xx\"} 1\n",
        "sluice_response_seconds_count{service=\"web\"} 2\n",
        "sluice_response_seconds_bucket{service=\"web\",le=\"0.01\"} 1\n",
        "sluice_route_responses_total{service=\"web\",route=\"a.com/\",code=\"2xx\"} 1\n",
        "sluice_route_response_seconds_count{service=\"web\",route=\"b.com/\\\"x\"} 1\n"}) {
    CAPTURE(line);
    EXPECT(page.find(line) != std::string::npos);
  }
}

}  // namespace
}  // namespace sluice::proxy
