// SimExecutor: virtual time. What is posted runs in order of time and then of posting; pool work
// runs on the same thread and takes a time drawn from the seed. The same seed gives the same run.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <unordered_map>
#include <utility>

#include "core/executor.h"
#include "core/random.h"

namespace sluice::sim {

class SimExecutor final : public Executor {
 public:
  static constexpr int64_t kEpochNs = 1'553'893'089'000'000'000;  // 2019-03-29T20:58:09Z

  explicit SimExecutor(Random& random) : random_(random) {}

  Ticket post(Closure closure) override { return add(now_ms_, std::move(closure)); }
  Ticket post_after(int64_t delay_ms, Closure closure) override {
    return add(now_ms_ + (delay_ms > 0 ? delay_ms : 0), std::move(closure));
  }
  Ticket post_to_pool(Closure work, Closure done) override {
    const int64_t at = now_ms_ + static_cast<int64_t>(random_.below(kMaxPoolMs + 1));
    // The work may outlive its ticket, as on a real pool.
    add(at, std::move(work));
    return add(at, std::move(done));
  }
  void cancel(Ticket ticket) override {
    const auto found = places_.find(static_cast<uint64_t>(ticket));
    if (found == places_.end()) return;
    queue_.erase(found->second);
    places_.erase(found);
  }
  int64_t now_ms() const override { return now_ms_; }
  int64_t wall_ns() const override { return kEpochNs + now_ms_ * 1'000'000; }

  /// Runs one closure. False: nothing is left.
  bool step() {
    if (queue_.empty()) return false;
    auto node = queue_.extract(queue_.begin());
    now_ms_ = node.key().first;
    places_.erase(node.key().second);
    node.mapped()();
    ++turns_;
    return true;
  }
  /// Runs until `done` holds, for at most `limit_ms` of virtual time. Whether it held.
  bool run_until(const std::function<bool()>& done, int64_t limit_ms = 600'000) {
    const int64_t end = now_ms_ + limit_ms;
    while (!done()) {
      if (queue_.empty() || queue_.begin()->first.first > end) return false;
      step();
    }
    return true;
  }
  void run_for(int64_t ms) {
    const int64_t end = now_ms_ + ms;
    while (!queue_.empty() && queue_.begin()->first.first <= end) step();
    now_ms_ = end;
  }
  uint64_t turns() const { return turns_; }

 private:
  static constexpr int64_t kMaxPoolMs = 3;
  Ticket add(int64_t at_ms, Closure closure) {
    const uint64_t id = ++last_;
    places_[id] = {at_ms, id};
    queue_.emplace(std::pair{at_ms, id}, std::move(closure));
    return static_cast<Ticket>(id);
  }

  Random& random_;
  int64_t now_ms_ = 1'000;
  uint64_t last_ = 0;
  uint64_t turns_ = 0;
  std::map<std::pair<int64_t, uint64_t>, Closure> queue_;
  std::unordered_map<uint64_t, std::pair<int64_t, uint64_t>> places_;
};

}  // namespace sluice::sim
