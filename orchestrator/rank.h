// Rank: chooses the node for a placement: feasible, fitting, and of those looked at the best
// scored.
//
// Pure: a Placer is made for one evaluation on one snapshot and keeps what its plan has taken so
// far, so that each placement sees those before it. One thread.
//
// Nodes are looked at in an order shuffled from the seed, at most max(2, ceil(log2 n)) that fit for
// a service and 2 for batch; with affinities or spreads max(count, 100). The score is the mean of
// the scorers that have something to say: bin packing, anti-affinity, reschedule penalty, affinity,
// spread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/random.h"
#include "orchestrator/feasible.h"
#include "orchestrator/fit.h"
#include "orchestrator/state.h"

namespace sluice::orchestrator {

class Placer {
 public:
  Placer(const Snapshot& snapshot, JobPtr job, int64_t now_ns, uint64_t seed);

  /// The plan stops it: its share is free for the placements that follow.
  void release(const Allocation& alloc);
  /// Undoes release: the placement that was to replace it failed.
  void take_back(const Allocation& alloc);

  using NodeIds = std::span<const std::string_view>;
  struct Choice {
    NodePtr node;
    Assigned given;
    std::vector<AllocPtr> preempted;  // to be stopped for it; released already
  };
  /// Chooses and takes. nullopt: nowhere; `metric` says why either way. `avoid`: the nodes
  /// on which earlier tries failed. `only`: this node or none (system jobs).
  std::optional<Choice> place(const Job& job, const TaskGroup& group, NodeIds avoid,
                              const Node* only, AllocMetric& metric);
  /// Whether the node could run this version of the group, apart from room.
  bool feasible(const Job& job, const TaskGroup& group, const Node& node);
  /// The eligible nodes of the job's datacenters and pool, in the order of their ids.
  [[nodiscard]] const std::vector<NodePtr>& nodes() const { return in_scope_; }
  /// Placements beyond this number in one plan carry no scores: nobody reads them, and they cost
  /// memory.
  static constexpr size_t kMaxScoredPlacements = 64;

 private:
  struct Candidate {
    NodePtr node;
    const NodeIndex* index = nullptr;  // of the snapshot; nullptr: nothing was ever placed there
    std::unique_ptr<Usage> usage;      // once the plan touched the node
    std::unordered_map<std::string_view, int64_t>
        added;  // by group: placed less stopped, this plan
  };
  /// What one group of one job version needs again and again.
  struct GroupView {
    const Job* job = nullptr;
    const TaskGroup* group = nullptr;
    GroupAsk ask;
    std::unique_ptr<Feasibility> feasibility;
    std::unordered_map<std::string_view, int64_t> existing;  // live allocations by node id
    bool distinct_hosts_job = false;
    bool distinct_hosts_group = false;
    std::vector<Constraint> distinct_properties_job;
    std::vector<Constraint> distinct_properties_group;
    std::vector<Affinity> affinities;
    std::vector<Spread> spreads;
    bool has_affinities = false;
  };
  struct Scored {
    size_t candidate = 0;
    size_t order = 0;
    double score = 0;
    Assigned given;
    NodeScore detail;
  };

  GroupView& view_of(const Job& job, const TaskGroup& group);
  void find_elsewhere();
  Candidate* candidate_of(std::string_view node_id);
  [[nodiscard]] std::string_view group_name(const Allocation& alloc) const;
  Usage& usage_for_change(Candidate& candidate);
  [[nodiscard]] const Usage& usage_of(const Candidate& candidate) const;
  [[nodiscard]] int64_t in_group(const GroupView& view, const Candidate& candidate) const;
  [[nodiscard]] int64_t in_job(const Candidate& candidate) const;
  std::string distinct_violation(const GroupView& view, const Candidate& candidate);
  void score(const GroupView& view, const Candidate& candidate, NodeIds avoid, bool detailed,
             Scored& out);
  [[nodiscard]] double spread_score(const GroupView& view, const Candidate& candidate) const;
  CountMap values_in_use(const GroupView& view, std::string_view attribute, bool whole_job) const;
  /// Frees the node for the ask by what gives way on it; false: that does not help.
  bool make_room(const GroupView& view, Candidate& candidate, std::vector<AllocPtr>& preempted);
  bool try_node(GroupView& view, size_t at, NodeIds avoid, bool detailed, Scored& out,
                AllocMetric& metric);
  std::vector<Scored> look_around(GroupView& view, size_t limit, bool waiting, NodeIds avoid,
                                  bool detailed, AllocMetric& metric);
  void commit(GroupView& view, Scored& chosen, Choice& choice);

  const Snapshot snapshot_;
  const JobPtr job_;
  const int64_t now_ns_;
  SeededRandom random_;
  std::vector<NodePtr> in_scope_;
  std::vector<Candidate> candidates_;                   // in_scope_, shuffled
  size_t next_ = 0;                                     // where the next placement goes on looking
  std::unordered_map<std::string_view, size_t> by_id_;  // into candidates_; looked up, never walked
  std::map<std::pair<const Job*, const TaskGroup*>, GroupView> views_;
  CountMap available_;              // by datacenter
  std::set<std::string> released_;  // ids
  /// The job's live allocations on nodes that take no work: they count in spreads and properties.
  std::vector<AllocPtr> elsewhere_;
  bool elsewhere_known_ = false;
  size_t placed_ = 0;
};

}  // namespace sluice::orchestrator
