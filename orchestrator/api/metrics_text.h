// The two forms of /v1/metrics: Nomad's JSON and Prometheus's text.
//
// Thread: the control loop, which counts (orchestrator/metrics.h).
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "orchestrator/metrics.h"

namespace sluice::orchestrator::api {

struct Gauge {
  std::string name;
  double value;
  std::vector<std::pair<std::string, std::string>> labels;
};

/// The gauges as they are now; counters and samples of the newest interval. No metrics: none.
std::string json_metrics(const std::vector<Gauge>& gauges, Metrics* metrics, int64_t now_ns);
/// The gauges, sorted by name; counters and samples since the start.
std::string prometheus_metrics(const std::vector<Gauge>& gauges, const Metrics* metrics);

}  // namespace sluice::orchestrator::api
