#include "orchestrator/broker.h"

#include <algorithm>

namespace sluice::orchestrator {

void Broker::clear() {
  ready_.clear();
  ready_of_job_.clear();
  blocked_.clear();
  delayed_.clear();
  nacked_.clear();
  in_flight_.clear();
  busy_jobs_.clear();
  deliveries_.clear();
  places_.clear();
}

void Broker::make_ready(const EvalPtr& eval) {
  Rank rank{eval->priority, eval->create_index, eval->id};
  if (ready_.emplace(rank, eval).second) ++ready_of_job_[job_of(*eval)];
  places_[eval->id] = {std::move(rank), 0};
}

void Broker::forget(const std::string& id) {
  const auto place = places_.find(id);
  if (place == places_.end()) return;
  const auto& [rank, time] = place->second;
  if (const auto at = ready_.find(rank); at != ready_.end()) {
    const auto count = ready_of_job_.find(job_of(*at->second));
    if (--count->second == 0) ready_of_job_.erase(count);
    ready_.erase(at);
  }
  blocked_.erase(id);
  delayed_.erase({time, id});
  nacked_.erase({time, id});
  places_.erase(place);
}

void Broker::update(const EvalPtr& eval, int64_t, int64_t wall_ns) {
  if (in_flight_.contains(eval->id)) {
    // Its own worker says what comes next, by ack or nack; a reblocked one is taken up again there.
    in_flight_[eval->id].eval = eval;
    return;
  }
  forget(eval->id);
  switch (eval->status) {
    case EvalStatus::kPending:
      if (eval->wait_until.ns > wall_ns) {
        delayed_[{eval->wait_until.ns, eval->id}] = eval;
        places_[eval->id] = {Rank{}, eval->wait_until.ns};
      } else {
        make_ready(eval);
      }
      return;
    case EvalStatus::kBlocked:
      // Room may have been made after the snapshot that it failed on.
      if (unblock_index_ > eval->snapshot_index) {
        make_ready(eval);
      } else {
        blocked_[eval->id] = eval;
        places_[eval->id] = {Rank{}, 0};
      }
      return;
    case EvalStatus::kComplete:
    case EvalStatus::kFailed:
    case EvalStatus::kCancelled: deliveries_.erase(eval->id); return;
  }
}

std::optional<Broker::Delivery> Broker::dequeue(int64_t now_ms, int64_t wall_ns) {
  const auto due = [&](auto& waiting, int64_t now) {
    while (!waiting.empty() && waiting.begin()->first.first <= now) {
      const EvalPtr eval = waiting.begin()->second;
      waiting.erase(waiting.begin());
      make_ready(eval);
    }
  };
  due(delayed_, wall_ns);
  due(nacked_, now_ms);
  std::vector<std::string> overdue;
  for (const auto& [id, flight] : in_flight_) {
    if (flight.deadline_ms <= now_ms) overdue.push_back(id);
  }
  for (const std::string& id : overdue) nack(id, now_ms);

  for (auto at = ready_.begin(); at != ready_.end(); ++at) {
    const EvalPtr eval = at->second;
    if (busy_jobs_.contains(job_of(*eval))) continue;
    forget(eval->id);
    busy_jobs_.insert(job_of(*eval));
    in_flight_[eval->id] = {eval, now_ms + options_.nack_timeout_ms};
    const int64_t deliveries = ++deliveries_[eval->id];
    return Delivery{eval, deliveries, deliveries > options_.delivery_limit};
  }
  return std::nullopt;
}

void Broker::ack(const std::string& eval_id) {
  const auto found = in_flight_.find(eval_id);
  if (found == in_flight_.end()) return;
  const EvalPtr eval = found->second.eval;
  in_flight_.erase(found);
  busy_jobs_.erase(job_of(*eval));
  deliveries_.erase(eval_id);
  if (eval->status == EvalStatus::kBlocked) update(eval, 0, 0);
}

void Broker::nack(const std::string& eval_id, int64_t now_ms) {
  const auto found = in_flight_.find(eval_id);
  if (found == in_flight_.end()) return;
  const EvalPtr eval = found->second.eval;
  in_flight_.erase(found);
  busy_jobs_.erase(job_of(*eval));
  const int64_t at = now_ms + options_.retry_delay_ms * deliveries_[eval_id];
  nacked_[{at, eval_id}] = eval;
  places_[eval_id] = {Rank{}, at};
}

void Broker::unblock(uint64_t index) {
  unblock_index_ = std::max(unblock_index_, index);
  const auto ready = std::exchange(blocked_, {});
  for (const auto& [id, eval] : ready) make_ready(eval);
}

bool Broker::has_waiting(std::string_view space, std::string_view job_id) const {
  return ready_of_job_.contains({std::string(job_id), std::string(space)});
}

std::optional<int64_t> Broker::next_wake_ms(int64_t now_ms, int64_t wall_ns) const {
  std::optional<int64_t> next;
  const auto consider = [&](int64_t delay_ms) {
    next = std::min(next.value_or(delay_ms), std::max<int64_t>(delay_ms, 0));
  };
  if (!delayed_.empty()) {
    consider((delayed_.begin()->first.first - wall_ns + 999'999) / 1'000'000);
  }
  if (!nacked_.empty()) consider(nacked_.begin()->first.first - now_ms);
  for (const auto& [id, flight] : in_flight_) consider(flight.deadline_ms - now_ms);
  return next;
}

}  // namespace sluice::orchestrator
