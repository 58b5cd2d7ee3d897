// Broker: which evaluation is worked on next.
//
// One a job in flight; the others of the job wait their turn. By priority, then by age. What is not
// acknowledged comes again after a while, at most delivery_limit times. Blocked evaluations wait
// for capacity, delayed ones for their time.
//
// Nothing here is durable: it is made anew from the state's evaluations at each start. A plain data
// structure; time is an argument. Thread: the control loop.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "orchestrator/records.h"

namespace sluice::orchestrator {

struct BrokerOptions {
  int64_t nack_timeout_ms = 60'000;
  int64_t retry_delay_ms = 1'000;  // after a nack, times the number of deliveries
  int64_t delivery_limit = 3;
};

class Broker {
 public:
  explicit Broker(BrokerOptions options) : options_(options) {}

  void clear();
  /// Takes note of an evaluation as the state has it now, whatever its status.
  void update(const EvalPtr& eval, int64_t now_ms, int64_t wall_ns);

  struct Delivery {
    EvalPtr eval;
    int64_t deliveries = 1;
    bool limit_reached = false;  // do not schedule it: mark it failed
  };
  /// The next one to work on; in flight until ack or nack.
  std::optional<Delivery> dequeue(int64_t now_ms, int64_t wall_ns);
  void ack(const std::string& eval_id);
  void nack(const std::string& eval_id, int64_t now_ms);

  /// Room was made: blocked evaluations are ready. Those in flight are looked at again when they
  /// block.
  void unblock(uint64_t index);
  [[nodiscard]] uint64_t unblock_index() const { return unblock_index_; }

  /// An evaluation of the job is ready and not in flight: it will see what is committed now.
  [[nodiscard]] bool has_waiting(std::string_view space, std::string_view job_id) const;
  /// Milliseconds until something becomes ready by time alone; nullopt: nothing will.
  [[nodiscard]] std::optional<int64_t> next_wake_ms(int64_t now_ms, int64_t wall_ns) const;

  [[nodiscard]] size_t ready() const { return ready_.size(); }
  [[nodiscard]] size_t blocked() const { return blocked_.size(); }
  [[nodiscard]] size_t in_flight() const { return in_flight_.size(); }

 private:
  struct Rank {
    int64_t priority;
    uint64_t index;
    std::string id;
    // The highest priority first, then the oldest.
    bool operator<(const Rank& other) const {
      if (priority != other.priority) return priority > other.priority;
      if (index != other.index) return index < other.index;
      return id < other.id;
    }
  };
  struct InFlight {
    EvalPtr eval;
    int64_t deadline_ms = 0;
  };
  using JobKey = std::pair<std::string, std::string>;
  static JobKey job_of(const Evaluation& eval) { return {eval.job_id, eval.namespace_}; }
  void make_ready(const EvalPtr& eval);
  void forget(const std::string& id);

  const BrokerOptions options_;
  std::map<Rank, EvalPtr> ready_;
  std::map<JobKey, size_t> ready_of_job_;
  std::map<std::string, EvalPtr> blocked_;
  std::map<std::pair<int64_t, std::string>, EvalPtr> delayed_;  // by wall clock, ns
  std::map<std::pair<int64_t, std::string>, EvalPtr> nacked_;   // by monotonic time, ms
  std::map<std::string, InFlight> in_flight_;
  std::set<JobKey> busy_jobs_;
  std::map<std::string, int64_t> deliveries_;
  std::unordered_map<std::string, std::pair<Rank, int64_t>>
      places_;  // where an eval is; looked up only
  uint64_t unblock_index_ = 0;
};

}  // namespace sluice::orchestrator
