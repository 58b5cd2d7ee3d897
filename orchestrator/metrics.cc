#include "orchestrator/metrics.h"

#include <algorithm>
#include <cmath>

namespace sluice::orchestrator {

void Metrics::Sums::add(double value) {
  min = count == 0 ? value : std::min(min, value);
  max = count == 0 ? value : std::max(max, value);
  ++count;
  sum += value;
  sum_of_squares += value * value;
}

double Metrics::Sums::mean() const {
  return count == 0 ? 0 : sum / static_cast<double>(count);
}

double Metrics::Sums::stddev() const {
  const auto n = static_cast<double>(count);
  if (count < 2) return 0;
  return std::sqrt(std::max(0.0, (n * sum_of_squares - sum * sum) / (n * (n - 1))));
}

double Metrics::Sums::rate() const {
  return sum / (static_cast<double>(kIntervalMs) / 1'000);
}

void Metrics::turn() {
  const int64_t began_ms = executor_.now_ms() / kIntervalMs * kIntervalMs;
  if (began_ms == current_.began_ms) return;
  const bool empty_between = began_ms - current_.began_ms > kIntervalMs;
  first_ = first_ && current_.counters.empty() && current_.samples.empty();
  over_ = empty_between ? Interval{.began_ms = began_ms - kIntervalMs} : std::move(current_);
  current_ = Interval{.began_ms = began_ms};
}

void Metrics::add(Series& series, const Key& key, double value) {
  const bool room = series.size() < kMaxSeries || series.contains(key);
  series[room ? key : Key{key.first, {}}].add(value);
}

void Metrics::count(std::string name, Labels labels) {
  turn();
  const Key key{std::move(name), std::move(labels)};
  add(current_.counters, key, 1);
  add(counters_, key, 1);
}

void Metrics::sample(std::string name, double ms, Labels labels) {
  turn();
  const Key key{std::move(name), std::move(labels)};
  add(current_.samples, key, ms);
  add(samples_, key, ms);
}

const Metrics::Interval& Metrics::newest() {
  turn();
  return first_ ? current_ : over_;
}

Stopwatch::~Stopwatch() {
  if (metrics_ == nullptr) return;
  metrics_->sample(std::move(name_),
                   static_cast<double>(executor_.wall_ns() - begin_ns_) / 1'000'000);
}

}  // namespace sluice::orchestrator
