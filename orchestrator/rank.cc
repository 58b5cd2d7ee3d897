#include "orchestrator/rank.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "orchestrator/constraint.h"
#include "orchestrator/preempt.h"

namespace sluice::orchestrator {

namespace {

constexpr double kMaxBinPack = 18.0;
constexpr size_t kMaxScoresKept = 5;
constexpr size_t kMaxSkipped = 3;  // nodes of score 0 or less that are put back for a better one
constexpr size_t kScatteredLimit = 100;

/// 20 - 10^(free cpu) - 10^(free memory), within 0 and 18, over 18: full nodes score high.
double bin_pack(const Node& node, const Usage& usage, const GroupAsk& ask) {
  const Capacity capacity = capacity_of(node);
  const auto free = [](int64_t used, int64_t total) {
    return total > 0 ? 1.0 - static_cast<double>(used) / static_cast<double>(total) : 0.0;
  };
  const double cpu = free(usage.cpu_mhz + ask.cpu_mhz_on(node), capacity.cpu_mhz);
  const double memory = free(usage.memory_mb + ask.memory_mb, capacity.memory_mb);
  const double score = 20.0 - std::pow(10.0, cpu) - std::pow(10.0, memory);
  return std::clamp(score, 0.0, kMaxBinPack) / kMaxBinPack;
}

void split_distinct(const std::vector<Constraint>& constraints, bool& hosts,
                    std::vector<Constraint>& properties) {
  for (const Constraint& constraint : constraints) {
    if (constraint.operand == "distinct_hosts" && constraint.r_target != "false") hosts = true;
    if (constraint.operand == "distinct_property") properties.push_back(constraint);
  }
}

}  // namespace

Placer::Placer(const Snapshot& snapshot, JobPtr job, int64_t now_ns, uint64_t seed)
    : snapshot_(snapshot), job_(std::move(job)), now_ns_(now_ns), random_(seed) {
  if (!job_) return;
  // A datacenter that has none is what explains a placement that failed.
  for (const std::string& name : job_->datacenters) {
    if (name.find('*') == std::string::npos) available_[name] = 0;
  }
  // Nodes and their indexes are in the same order: one walk joins them.
  std::vector<std::shared_ptr<const NodeIndex>> none;
  snapshot_.tables().nodes.each([&](const NodePtr& node) {
    if (!node->accepts_work() || !in_scope(*job_, *node)) return;
    in_scope_.push_back(node);
    ++available_[node->datacenter];
  });
  candidates_.reserve(in_scope_.size());
  for (const NodePtr& node : in_scope_) {
    const auto* index = snapshot_.tables().by_node.find({node->id, {}});
    candidates_.push_back({node, index ? index->get() : nullptr, nullptr, {}});
  }
  for (size_t i = candidates_.size(); i > 1; --i) {
    std::swap(candidates_[i - 1], candidates_[random_.below(i)]);
  }
}

Placer::Candidate* Placer::candidate_of(std::string_view node_id) {
  if (by_id_.empty()) {
    for (size_t i = 0; i < candidates_.size(); ++i) by_id_[candidates_[i].node->id] = i;
  }
  const auto found = by_id_.find(node_id);
  return found == by_id_.end() ? nullptr : &candidates_[found->second];
}

const Usage& Placer::usage_of(const Candidate& candidate) const {
  static const Usage kEmpty;
  if (candidate.usage) return *candidate.usage;
  return candidate.index ? candidate.index->usage : kEmpty;
}

Usage& Placer::usage_for_change(Candidate& candidate) {
  if (!candidate.usage) candidate.usage = std::make_unique<Usage>(usage_of(candidate));
  return *candidate.usage;
}

/// A view of the name that lives as long as the job; "" for a group that the job no longer has.
std::string_view Placer::group_name(const Allocation& alloc) const {
  const TaskGroup* group = job_->group(alloc.group);
  return group ? std::string_view(group->name) : std::string_view();
}

void Placer::release(const Allocation& alloc) {
  if (alloc.terminal()) return;
  released_.insert(alloc.id);
  Candidate* candidate = candidate_of(alloc.node_id);
  if (!candidate) return;
  Usage& usage = usage_for_change(*candidate);
  usage.remove(alloc);
  Allocation stopping = alloc;
  stopping.desired_status = DesiredStatus::kStop;
  usage.add(stopping);
  if (alloc.job_id() == job_->id) --candidate->added[group_name(alloc)];
}

void Placer::take_back(const Allocation& alloc) {
  if (alloc.terminal()) return;
  released_.erase(alloc.id);
  Candidate* candidate = candidate_of(alloc.node_id);
  if (!candidate) return;
  Usage& usage = usage_for_change(*candidate);
  Allocation stopping = alloc;
  stopping.desired_status = DesiredStatus::kStop;
  usage.remove(stopping);
  usage.add(alloc);
  if (alloc.job_id() == job_->id) ++candidate->added[group_name(alloc)];
}

Placer::GroupView& Placer::view_of(const Job& job, const TaskGroup& group) {
  const auto [at, fresh] = views_.try_emplace({&job, &group});
  GroupView& view = at->second;
  if (!fresh) return view;
  view.job = &job;
  view.group = &group;
  view.ask = ask_of(group);
  view.feasibility = std::make_unique<Feasibility>(job, group);
  split_distinct(job.constraints, view.distinct_hosts_job, view.distinct_properties_job);
  split_distinct(group.constraints, view.distinct_hosts_group, view.distinct_properties_group);
  view.affinities = job.affinities;
  view.affinities.insert(view.affinities.end(), group.affinities.begin(), group.affinities.end());
  for (const TaskConfig& task : group.tasks) {
    view.affinities.insert(view.affinities.end(), task.affinities.begin(), task.affinities.end());
  }
  view.spreads = job.spreads;
  view.spreads.insert(view.spreads.end(), group.spreads.begin(), group.spreads.end());
  if (const auto index = snapshot_.of_job(job.namespace_, job.id)) {
    index->allocs.each([&](const AllocPtr& alloc) {
      if (alloc->group == group.name && !alloc->terminal()) ++view.existing[alloc->node_id];
    });
  }
  const bool counted = !view.spreads.empty() || !view.distinct_properties_job.empty() ||
                       !view.distinct_properties_group.empty();
  if (counted) find_elsewhere();
  return view;
}

void Placer::find_elsewhere() {
  if (std::exchange(elsewhere_known_, true)) return;
  const auto index = snapshot_.of_job(job_->namespace_, job_->id);
  if (!index) return;
  index->allocs.each([&](const AllocPtr& alloc) {
    if (!alloc->terminal() && !candidate_of(alloc->node_id)) elsewhere_.push_back(alloc);
  });
}

bool Placer::feasible(const Job& job, const TaskGroup& group, const Node& node) {
  return view_of(job, group).feasibility->why_not(node).empty();
}

int64_t Placer::in_group(const GroupView& view, const Candidate& candidate) const {
  const auto existing = view.existing.find(candidate.node->id);
  const auto added = candidate.added.find(view.group->name);
  return (existing == view.existing.end() ? 0 : existing->second) +
         (added == candidate.added.end() ? 0 : added->second);
}

int64_t Placer::in_job(const Candidate& candidate) const {
  int64_t count = 0;
  if (candidate.index) {
    candidate.index->allocs.each([&](const AllocPtr& alloc) {
      if (!alloc->terminal() && alloc->job_id() == job_->id &&
          alloc->namespace_name() == job_->namespace_) {
        ++count;
      }
    });
  }
  for (const auto& [group, added] : candidate.added) count += added;
  return count;
}

CountMap Placer::values_in_use(const GroupView& view, std::string_view attribute,
                               bool whole_job) const {
  CountMap values;
  for (const Candidate& candidate : candidates_) {
    const int64_t count = whole_job ? in_job(candidate) : in_group(view, candidate);
    if (count <= 0) continue;
    if (const auto value = resolve_target(attribute, *candidate.node)) values[*value] += count;
  }
  for (const AllocPtr& alloc : elsewhere_) {
    if (released_.contains(alloc->id) || (!whole_job && alloc->group != view.group->name)) continue;
    const NodePtr node = snapshot_.node(alloc->node_id);
    const auto value = node ? resolve_target(attribute, *node) : std::nullopt;
    if (value) ++values[*value];
  }
  return values;
}

std::string Placer::distinct_violation(const GroupView& view, const Candidate& candidate) {
  if (view.distinct_hosts_job && in_job(candidate) > 0) return "distinct_hosts";
  if (view.distinct_hosts_group && in_group(view, candidate) > 0) return "distinct_hosts";
  for (const bool whole_job : {true, false}) {
    const auto& constraints =
        whole_job ? view.distinct_properties_job : view.distinct_properties_group;
    for (const Constraint& constraint : constraints) {
      const auto value = resolve_target(constraint.l_target, *candidate.node);
      const std::string name = "distinct_property: " + constraint.l_target;
      if (!value) return "missing property \"" + constraint.l_target + "\"";
      const int64_t allowed =
          constraint.r_target.empty() ? 1 : std::strtoll(constraint.r_target.c_str(), nullptr, 10);
      const CountMap values = values_in_use(view, constraint.l_target, whole_job);
      const auto used = values.find(*value);
      if (used != values.end() && used->second >= allowed) {
        return name + "=" + *value + " used by " + std::to_string(used->second) + " allocs";
      }
    }
  }
  return {};
}

double Placer::spread_score(const GroupView& view, const Candidate& candidate) const {
  int64_t weights = 0;
  for (const Spread& spread : view.spreads) weights += spread.weight;
  double total = 0;
  for (const Spread& spread : view.spreads) {
    const auto value = resolve_target(spread.attribute, *candidate.node);
    if (!value) {
      total -= 1.0;
      continue;
    }
    const CountMap values = values_in_use(view, spread.attribute, false);
    const auto found = values.find(*value);
    const double used = found == values.end() ? 0 : static_cast<double>(found->second);
    if (spread.targets.empty()) {
      // Even: the value least used is best, one more used than it worse.
      if (values.empty()) continue;
      double low = used, high = used;
      for (const auto& [name, count] : values) {
        low = std::min(low, static_cast<double>(count));
        high = std::max(high, static_cast<double>(count));
      }
      if (used == low && low == high) {
        total -= 1.0;
      } else if (used > low) {
        total += low == 0 ? -1.0 : (low - used) / low;
      } else {
        total += low == 0 ? 1.0 : (high - low) / low;
      }
      continue;
    }
    double percent = -1, named = 0;
    for (const SpreadTarget& target : spread.targets) {
      named += static_cast<double>(target.percent);
      if (target.value == *value) percent = static_cast<double>(target.percent);
    }
    if (percent < 0) percent = std::max(0.0, 100.0 - named);  // shared by those not named
    const double desired = percent / 100.0 * static_cast<double>(view.group->count);
    if (desired <= 0) {
      total -= 1.0;
      continue;
    }
    const double weight = static_cast<double>(spread.weight) / static_cast<double>(weights);
    total += (desired - (used + 1)) / desired * weight;
  }
  return total;
}

void Placer::score(const GroupView& view, const Candidate& candidate, NodeIds avoid, bool detailed,
                   Scored& out) {
  double sum = 0;
  int scorers = 0;
  const auto say = [&](const char* name, double value) {
    sum += value;
    ++scorers;
    if (detailed) out.detail.scores[name] = value;
  };
  say("binpack", bin_pack(*candidate.node, usage_of(candidate), view.ask));
  const int64_t collisions = in_group(view, candidate);
  if (collisions > 0) {
    say("job-anti-affinity", -static_cast<double>(collisions + 1) /
                                 static_cast<double>(std::max<int64_t>(view.group->count, 1)));
  } else if (detailed) {
    out.detail.scores["job-anti-affinity"] = 0;
  }
  if (std::find(avoid.begin(), avoid.end(), candidate.node->id) != avoid.end()) {
    say("node-reschedule-penalty", -1);
  } else if (detailed) {
    out.detail.scores["node-reschedule-penalty"] = 0;
  }
  double affinity = 0, weights = 0;
  for (const Affinity& item : view.affinities) {
    weights += std::abs(static_cast<double>(item.weight));
    if (constraint_holds(item.l_target, item.operand, item.r_target, *candidate.node)) {
      affinity += static_cast<double>(item.weight);
    }
  }
  if (affinity != 0) {
    say("node-affinity", affinity / weights);
  } else if (detailed) {
    out.detail.scores["node-affinity"] = 0;
  }
  if (!view.spreads.empty()) {
    if (const double spread = spread_score(view, candidate); spread != 0) {
      say("allocation-spread", spread);
    }
  }
  out.score = sum / scorers;
  if (detailed) {
    out.detail.node_id = candidate.node->id;
    out.detail.norm_score = out.score;
  }
}

bool Placer::try_node(GroupView& view, size_t at, NodeIds avoid, bool detailed, Scored& out,
                      AllocMetric& metric) {
  const Candidate& candidate = candidates_[at];
  const Node& node = *candidate.node;
  ++metric.nodes_evaluated;
  const auto filtered = [&](const std::string& why) {
    ++metric.nodes_filtered;
    ++metric.constraint_filtered[why];
    if (!node.node_class.empty()) ++metric.class_filtered[node.node_class];
    return false;
  };
  if (const std::string& why = view.feasibility->why_not(node); !why.empty()) return filtered(why);
  if (const std::string why = distinct_violation(view, candidate); !why.empty()) {
    return filtered(why);
  }
  const std::string full = fit(node, usage_of(candidate), view.ask, now_ns_, random_, out.given);
  if (!full.empty()) {
    ++metric.nodes_exhausted;
    ++metric.dimension_exhausted[full];
    if (!node.node_class.empty()) ++metric.class_exhausted[node.node_class];
    return false;
  }
  out.candidate = at;
  score(view, candidate, avoid, detailed, out);
  return true;
}

/// Candidates that fit, from where the last look ended on: those whose drivers answer, or those
/// where a start would wait.
std::vector<Placer::Scored> Placer::look_around(GroupView& view, size_t limit, bool waiting,
                                                NodeIds avoid, bool detailed, AllocMetric& metric) {
  const size_t n = candidates_.size();
  std::vector<Scored> fitting;
  size_t skipped = 0;
  for (size_t looked = 0; looked < n && fitting.size() < limit + skipped; ++looked) {
    const size_t at = next_;
    next_ = next_ + 1 == n ? 0 : next_ + 1;
    if (view.feasibility->would_wait(*candidates_[at].node) != waiting) continue;
    Scored scored;
    scored.order = looked;
    if (!try_node(view, at, avoid, detailed, scored, metric)) continue;
    // One more look for each of the first few nodes that nothing speaks for.
    if (scored.score <= 0 && skipped < kMaxSkipped) ++skipped;
    fitting.push_back(std::move(scored));
  }
  return fitting;
}

bool Placer::make_room(const GroupView& view, Candidate& candidate,
                       std::vector<AllocPtr>& preempted) {
  if (!candidate.index) return false;
  std::vector<AllocPtr> standing;
  candidate.index->allocs.each([&](const AllocPtr& alloc) {
    const bool own = alloc->job_id() == job_->id && alloc->namespace_name() == job_->namespace_;
    if (!own && !released_.contains(alloc->id)) standing.push_back(alloc);
  });
  preempted = victims(std::move(standing), view.job->priority, *candidate.node, usage_of(candidate),
                      view.ask, now_ns_);
  for (const AllocPtr& alloc : preempted) release(*alloc);
  return !preempted.empty();
}

void Placer::commit(GroupView& view, Scored& chosen, Choice& choice) {
  Candidate& candidate = candidates_[chosen.candidate];
  choice.node = candidate.node;
  choice.given = std::move(chosen.given);
  choice.given.take(*candidate.node, view.ask, usage_for_change(candidate));
  ++candidate.added[view.group->name];
  ++placed_;
}

std::optional<Placer::Choice> Placer::place(const Job& job, const TaskGroup& group, NodeIds avoid,
                                            const Node* only, AllocMetric& metric) {
  GroupView& view = view_of(job, group);
  metric.nodes_available = available_;
  metric.nodes_in_pool = static_cast<int64_t>(candidates_.size());
  const bool detailed = placed_ < kMaxScoredPlacements;
  Choice choice;
  if (only) {
    Candidate* candidate = candidate_of(only->id);
    if (!candidate) return std::nullopt;
    const auto at = static_cast<size_t>(candidate - candidates_.data());
    Scored scored;
    if (!try_node(view, at, avoid, detailed, scored, metric)) {
      if (metric.nodes_exhausted == 0 || job.type != "system" ||
          !make_room(view, *candidate, choice.preempted)) {
        return std::nullopt;
      }
      metric = {};
      metric.nodes_available = available_;
      metric.nodes_in_pool = static_cast<int64_t>(candidates_.size());
      if (!try_node(view, at, avoid, detailed, scored, metric)) return std::nullopt;
    }
    if (detailed) metric.score_meta_data.push_back(std::move(scored.detail));
    commit(view, scored, choice);
    return choice;
  }
  size_t limit = 2;
  if (!view.affinities.empty() || !view.spreads.empty()) {
    limit =
        std::max<size_t>(static_cast<size_t>(std::max<int64_t>(group.count, 0)), kScatteredLimit);
  } else if (!job.is_batch() && candidates_.size() > 1) {
    // ceil(log2 n)
    limit = std::max<size_t>(2, static_cast<size_t>(std::bit_width(candidates_.size() - 1)));
  }
  std::vector<Scored> fitting = look_around(view, limit, false, avoid, detailed, metric);
  if (fitting.empty()) fitting = look_around(view, limit, true, avoid, detailed, metric);
  if (fitting.empty()) return std::nullopt;
  // Of equals the one met first, so that ties follow the shuffled order.
  std::sort(fitting.begin(), fitting.end(), [](const Scored& a, const Scored& b) {
    return a.score != b.score ? a.score > b.score : a.order < b.order;
  });
  if (detailed) {
    for (size_t i = 0; i < fitting.size() && i < kMaxScoresKept; ++i) {
      metric.score_meta_data.push_back(std::move(fitting[i].detail));
    }
  }
  commit(view, fitting.front(), choice);
  return choice;
}

}  // namespace sluice::orchestrator
