// Metrics: what happened and how long it took, counted in intervals as Nomad's agent counts it, for
// /v1/metrics.
//
// Owner: the control plane (the simulation needs none: whoever counts takes a pointer that may be
// null). Thread: the control loop. Nothing here grows without a limit: at most kMaxSeries names
// with labels are kept apart, what comes after them is counted by its name alone.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/executor.h"

namespace sluice::orchestrator {

class Metrics {
 public:
  static constexpr int64_t kIntervalMs = 10'000;
  static constexpr size_t kMaxSeries = 2'000;

  using Labels = std::vector<std::pair<std::string, std::string>>;
  using Key = std::pair<std::string, Labels>;  // "nomad.client.allocs.start"

  struct Sums {
    uint64_t count = 0;
    double sum = 0;
    double sum_of_squares = 0;
    double min = 0;
    double max = 0;

    void add(double value);
    [[nodiscard]] double mean() const;
    [[nodiscard]] double stddev() const;  // of a sample
    /// The sum a second, over an interval.
    [[nodiscard]] double rate() const;
  };
  using Series = std::map<Key, Sums>;

  explicit Metrics(Executor& executor) : executor_(executor) {}
  Metrics(const Metrics&) = delete;

  void count(std::string name, Labels labels = {});
  /// How long something took, in milliseconds.
  void sample(std::string name, double ms, Labels labels = {});

  /// Of the newest interval that is over, or of the first one.
  struct Interval {
    int64_t began_ms = 0;  // monotonic
    Series counters;
    Series samples;
  };
  [[nodiscard]] const Interval& newest();
  // Since the start, as Prometheus reads them.
  [[nodiscard]] const Series& all_counters() const { return counters_; }
  [[nodiscard]] const Series& all_samples() const { return samples_; }

 private:
  void turn();
  static void add(Series& series, const Key& key, double value);

  Executor& executor_;
  Interval over_, current_;
  bool first_ = true;
  Series counters_, samples_;
};

/// Samples the time from its making to its end.
class Stopwatch {
 public:
  Stopwatch(Metrics* metrics, Executor& executor, std::string name)
      : metrics_(metrics),
        executor_(executor),
        name_(std::move(name)),
        begin_ns_(executor.wall_ns()) {}
  Stopwatch(const Stopwatch&) = delete;
  ~Stopwatch();

 private:
  Metrics* metrics_;
  Executor& executor_;
  std::string name_;
  int64_t begin_ns_;
};

}  // namespace sluice::orchestrator
