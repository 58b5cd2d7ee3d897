#include "orchestrator/api/metrics_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/json.h"
#include "orchestrator/fields_json.h"

namespace sluice::orchestrator::api {
namespace {

void write_labels(JsonWriter& out, const Metrics::Labels& labels) {
  out.key("Labels").begin_object();
  for (const auto& [name, value] : labels) out.member(name, value);
  out.end_object();
}

void write_series(JsonWriter& out, const char* name, const Metrics::Series* series) {
  out.key(name).begin_array();
  if (series) {
    for (const auto& [key, sums] : *series) {
      out.begin_object();
      out.member("Name", key.first).member("Count", sums.count).member("Sum", sums.sum);
      out.member("Min", sums.min).member("Max", sums.max).member("Mean", sums.mean());
      out.member("Stddev", sums.stddev()).member("Rate", sums.rate());
      write_labels(out, key.second);
      out.end_object();
    }
  }
  out.end_array();
}

/// Names with underscores, one HELP (the name again, as Nomad's has it) and one TYPE line a name.
class PrometheusText {
 public:
  void begin(const std::string& dotted, std::string_view type) {
    std::string name = dotted;
    std::replace(name.begin(), name.end(), '.', '_');
    std::replace(name.begin(), name.end(), '-', '_');
    if (name != name_) text_ += fmt::format("# HELP {0} {0}\n# TYPE {0} {1}\n", name, type);
    name_ = std::move(name);
  }
  void line(std::string_view suffix, const Metrics::Labels& labels, double value) {
    std::string list;
    for (const auto& [key, label] : labels) {
      std::string escaped;
      append_json_string(escaped, label);
      list += fmt::format("{}{}={}", list.empty() ? "" : ",", key, escaped);
    }
    text_ += list.empty() ? fmt::format("{}{} {}\n", name_, suffix, value)
                          : fmt::format("{}{}{{{}}} {}\n", name_, suffix, list, value);
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_, name_;
};

}  // namespace

std::string json_metrics(const std::vector<Gauge>& gauges, Metrics* metrics, int64_t now_ns) {
  std::string text;
  JsonWriter out(text);
  out.begin_object();
  out.member("Timestamp", format_time(TimeStamp{now_ns}));
  out.key("Gauges").begin_array();
  for (const Gauge& gauge : gauges) {
    out.begin_object().member("Name", gauge.name).member("Value", gauge.value);
    write_labels(out, gauge.labels);
    out.end_object();
  }
  out.end_array();
  out.key("Points").begin_array().end_array();
  const Metrics::Interval* newest = metrics ? &metrics->newest() : nullptr;
  write_series(out, "Counters", newest ? &newest->counters : nullptr);
  write_series(out, "Samples", newest ? &newest->samples : nullptr);
  out.end_object();
  return text;
}

std::string prometheus_metrics(const std::vector<Gauge>& gauges, const Metrics* metrics) {
  PrometheusText text;
  for (const Gauge& gauge : gauges) {
    text.begin(gauge.name, "gauge");
    text.line("", gauge.labels, gauge.value);
  }
  if (metrics) {
    for (const auto& [key, sums] : metrics->all_counters()) {
      text.begin(key.first, "counter");
      text.line("", key.second, sums.sum);
    }
    for (const auto& [key, sums] : metrics->all_samples()) {
      text.begin(key.first, "summary");
      text.line("_sum", key.second, sums.sum);
      text.line("_count", key.second, static_cast<double>(sums.count));
    }
  }
  return text.take();
}

}  // namespace sluice::orchestrator::api
