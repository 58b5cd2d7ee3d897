// What holds of every plan, over clusters and jobs drawn from seeds: nothing is given twice, no
// name stands twice, all find a place while there is room, and the same input gives the same plan.
#include "orchestrator/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "orchestrator/feasible.h"
#include "orchestrator/fit.h"
#include "test/sim/cluster.h"
#include "test/test.h"

namespace sluice::sim {

using namespace orchestrator;

namespace {

constexpr uint64_t kSeeds = 60;

struct Drawn {
  explicit Drawn(uint64_t seed) : random(seed) {}
  int64_t between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(random.below(static_cast<uint64_t>(high - low + 1)));
  }
  bool one_in(uint64_t n) { return random.below(n) == 0; }
  SeededRandom random;
};

Node draw_node(Drawn& drawn, int number) {
  Node node = make_node(number);
  node.cpu_mhz = drawn.between(500, 8'000);
  node.memory_mb = drawn.between(256, 16'384);
  node.disk_mb = drawn.between(2'000, 50'000);
  node.datacenter = drawn.one_in(3) ? "dc2" : "dc1";
  node.meta["rack"] = fmt::format("r{}", drawn.between(1, 4));
  if (drawn.one_in(6)) node.eligibility = Eligibility::kIneligible;
  if (drawn.one_in(8)) node.drivers["raw_exec"].healthy = false;
  node.status = drawn.one_in(8) ? NodeStatus::kDown : NodeStatus::kReady;
  node.computed_class = computed_class(node);
  return node;
}

Job draw_job(Drawn& drawn, const std::string& id) {
  Job job = make_job(id, drawn.between(0, 12));
  TaskGroup& group = job.groups[0];
  TaskConfig& task = group.tasks[0];
  task.resources->cpu_mhz = drawn.between(50, 2'000);
  task.resources->memory_mb = drawn.between(32, 4'096);
  group.ephemeral_disk->size_mb = drawn.between(100, 2'000);
  if (drawn.one_in(3)) task.resources->networks.clear();
  if (drawn.one_in(5)) {
    Port fixed{.label = "fixed", .value = drawn.between(8'000, 8'003)};
    orchestrator::Network network;
    network.reserved_ports.push_back(fixed);
    task.resources->networks = {network};
  }
  if (drawn.one_in(5)) {
    group.tasks[0].resources->cpu_mhz = kUnset;
    group.tasks[0].resources->cores = drawn.between(1, 3);
  }
  if (drawn.one_in(4)) job.constraints.push_back({"", "", "distinct_hosts"});
  if (drawn.one_in(4)) group.spreads.push_back({.attribute = "${meta.rack}"});
  if (drawn.one_in(4)) {
    group.affinities.push_back({"${node.datacenter}", "dc2", "=", drawn.between(-100, -1)});
  }
  if (drawn.one_in(4)) job.datacenters = {"dc1"};
  if (drawn.one_in(5)) job.type = "batch";
  job.priority = drawn.between(1, 100);
  if (drawn.one_in(6)) {
    job.type = "system";
    group.count = 1;
    job.affinities.clear();
    group.affinities.clear();
    group.spreads.clear();
  }
  if (job.type != "service") {
    group.update.reset();
    group.migrate.reset();
    group.reschedule.reset();
  }
  canonicalize(job);
  return job;
}

void grow(Job& job, int64_t by) {
  int64_t& what =
      job.type == "system" ? job.groups[0].tasks[0].resources->memory_mb : job.groups[0].count;
  what += by;
}

EvalPtr make_eval(const Job& job, const std::string& id) {
  auto eval = std::make_shared<Evaluation>();
  eval->id = id;
  eval->job_id = job.id;
  eval->type = job.type;
  eval->priority = job.priority;
  eval->triggered_by = kTriggerJobRegister;
  return eval;
}

/// Sums over the allocations themselves: what the state keeps of them is not asked.
std::vector<std::string> violations(const Snapshot& snapshot) {
  std::vector<std::string> wrong;
  snapshot.tables().nodes.each([&](const NodePtr& node) {
    const auto index = snapshot.of_node(node->id);
    if (!index) return;
    int64_t cpu = 0, memory = 0, disk = 0;
    std::set<uint16_t> ports;
    std::multiset<int64_t> cores;
    index->allocs.each([&](const AllocPtr& alloc) {
      if (alloc->terminal()) return;
      cpu += alloc->cpu_mhz;
      memory += alloc->memory_mb;
      disk += alloc->disk_mb;
      for (const TaskConfig& task : alloc->task_group().tasks) {
        const AssignedCores* own = alloc->cores_of(task.name);
        const auto has = static_cast<int64_t>(own ? own->cores.size() : 0);
        if (has != task.resources->cores) {
          wrong.push_back(
              fmt::format("{}: {} cores of {}", alloc->name, has, task.resources->cores));
        }
        if (own) cores.insert(own->cores.begin(), own->cores.end());
      }
      for (const AssignedPort& port : alloc->ports) {
        if (!ports.insert(port.value).second) {
          wrong.push_back(fmt::format("{}: port {} twice", node->name, port.value));
        }
      }
    });
    for (const int64_t core : cores) {
      if (cores.count(core) > 1 || std::ranges::find(node->cores, core) == node->cores.end()) {
        wrong.push_back(
            fmt::format("{}: core {} is used {} times", node->name, core, cores.count(core)));
      }
    }
    if (cpu > node->cpu_mhz || memory > node->memory_mb || disk > node->disk_mb) {
      wrong.push_back(fmt::format("{}: {}/{} MHz, {}/{} MB, {}/{} MB of disk", node->name, cpu,
                                  node->cpu_mhz, memory, node->memory_mb, disk, node->disk_mb));
    }
  });
  std::set<std::pair<std::string, std::string>> names;
  snapshot.tables().allocs.each([&](const AllocPtr& alloc) {
    if (alloc->terminal()) return;
    // A system job's are told apart by their nodes.
    const std::string where = alloc->job->type == "system" ? alloc->node_id : "";
    if (!names.emplace(alloc->job_id(), alloc->name + where).second) {
      wrong.push_back("twice " + alloc->name + where);
    }
    const NodePtr node = snapshot.node(alloc->node_id);
    if (!node->accepts_work()) wrong.push_back(alloc->name + " on a node that takes no work");
    const auto& datacenters = alloc->job->datacenters;
    if (datacenters == StringList{"dc1"} && node->datacenter != "dc1") {
      wrong.push_back(alloc->name + " outside of its datacenters");
    }
  });
  return wrong;
}

/// How many instances of the group still find room, one node at a time by the checker itself.
int64_t room_for(const Snapshot& snapshot, const Job& job) {
  const TaskGroup& group = job.groups[0];
  const GroupAsk ask = ask_of(group);
  Feasibility feasibility(job, group);
  SeededRandom random(1);
  const bool distinct = std::any_of(
      job.constraints.begin(), job.constraints.end(),
      [](const Constraint& constraint) { return constraint.operand == "distinct_hosts"; });
  int64_t room = 0;
  snapshot.tables().nodes.each([&](const NodePtr& node) {
    if (!node->accepts_work() || !in_scope(job, *node) || !feasibility.why_not(*node).empty()) {
      return;
    }
    const auto index = snapshot.of_node(node->id);
    Usage usage = index ? index->usage : Usage{};
    if (distinct && index) {
      bool there = false;
      index->allocs.each(
          [&](const AllocPtr& alloc) { there |= alloc->job_id() == job.id && !alloc->terminal(); });
      if (there) return;
    }
    while (true) {
      Assigned given;
      if (!fit(*node, usage, ask, 1, random, given).empty()) return;
      ++room;
      if (distinct) return;
      given.take(*node, ask, usage);
    }
  });
  return room;
}

/// What a plan places and stops, without the ids that are drawn anew.
std::vector<std::string> shape(const Plan& plan) {
  std::vector<std::string> lines;
  for (const PlannedPlacement& placement : plan.placements) {
    std::string line = placement.alloc->name + " " + placement.alloc->node_id;
    for (const AssignedPort& port : placement.alloc->ports) line += fmt::format(" {}", port.value);
    lines.push_back(std::move(line));
  }
  for (const PlannedPlacement& placement : plan.placements) {
    for (const auto& gone : placement.preempted) lines.push_back("evict " + gone->id);
  }
  for (const auto& stop : plan.stops) lines.push_back("stop " + stop->id);
  return lines;
}

}  // namespace

TEST_CASE("every plan: no overcommit, no name twice, all placed while there is room, repeatable") {
  int64_t placed = 0, refused = 0;
  size_t preempted = 0;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    CAPTURE(seed);
    Drawn drawn(seed);
    State state;
    Commit nodes;
    const auto count = static_cast<int>(drawn.between(1, 12));
    for (int i = 1; i <= count; ++i) {
      nodes.nodes.push_back(std::make_shared<Node>(draw_node(drawn, i)));
    }
    state.apply(nodes);
    for (int round = 0; round < 12; ++round) {
      CAPTURE(round);
      // A job that is new, or one of before with another count and size.
      const std::string id = fmt::format("job{}", drawn.between(1, 8));
      auto job = std::make_shared<Job>(draw_job(drawn, id));
      const JobPtr before = state.snapshot().job("default", id);
      if (before) {
        job->type = before->type;
        if (job->type != "service") {
          job->groups[0].update.reset();
          job->groups[0].migrate.reset();
        }
        canonicalize(*job);
        job->version = before->version + 1;
      }
      Commit registration;
      registration.jobs.push_back(job);
      state.apply(registration);
      const Snapshot snapshot = state.snapshot();
      const ScheduleInput input{.snapshot = snapshot,
                                .eval = make_eval(*job, fmt::format("e{}", round)),
                                .job_override = nullptr,
                                .now_ns = 1,
                                .seed = seed * 100 + static_cast<uint64_t>(round)};
      Plan plan = schedule(input);
      EXPECT_EQ(shape(plan), shape(schedule(input)));
      EXPECT_EQ(plan_hash(plan), plan_hash(schedule(input)));
      for (const PlannedPlacement& placement : plan.placements) {
        preempted += placement.preempted.size();
      }
      if (!before && job->type != "system") {
        const int64_t wanted = job->groups[0].count;
        const auto got = static_cast<int64_t>(plan.placements.size());
        EXPECT_EQ(got, std::min(wanted, room_for(snapshot, *job)));
        EXPECT_EQ(plan.failed_groups.empty(), got == wanted);
        refused += wanted - got;
      }
      placed += static_cast<int64_t>(plan.placements.size());
      Commit commit = commit_of(plan);
      // What was told to stop is gone before the next round.
      for (const auto& alloc : commit.allocs) {
        if (alloc->server_terminal()) alloc->client_status = ClientStatus::kComplete;
      }
      state.apply(commit);
      REQUIRE(violations(state.snapshot()) == std::vector<std::string>{});
    }
  }
  // Both sides were met, or the drawing is of no use.
  EXPECT(placed > 1'000);
  EXPECT(refused > 100);
  EXPECT(preempted > 10);
}

TEST_CASE("what a plan shows is what a run does, or the run refuses it") {
  for (uint64_t seed = 1; seed <= 15; ++seed) {
    CAPTURE(seed);
    Drawn drawn(seed);
    Cluster cluster(seed);
    cluster.start();
    for (int i = 0; i < 5; ++i) cluster.add_node();
    cluster.executor.run_for(500);
    cluster.run_job(draw_job(drawn, "other"));
    cluster.settle(30'000);
    Job job = draw_job(drawn, "job");
    if (drawn.one_in(2)) {
      cluster.run_job(job);
      cluster.settle(30'000);
      grow(job, 2);
    }
    auto shown = cluster.await(cluster.server->plan_job(job, true));
    REQUIRE(shown);
    auto again = cluster.await(cluster.server->plan_job(job, true));
    REQUIRE(again);
    EXPECT_EQ(shown->plan_hash, again->plan_hash);
    std::set<std::string> before;
    for (const AllocPtr& alloc : cluster.live("job")) before.insert(alloc->id);

    RegisterRequest request;
    request.job = job;
    request.plan_hash = shown->plan_hash;
    auto run = cluster.await(cluster.server->register_job(request));
    REQUIRE(run);
    cluster.settle(30'000);
    int64_t fresh = 0;
    for (const AllocPtr& alloc : cluster.live("job")) fresh += before.contains(alloc->id) ? 0 : 1;
    const DesiredUpdates& updates = shown->desired_updates.at("web");
    const int64_t failed = shown->failed_groups.contains("web") ? 1 : 0;
    if (failed == 0) EXPECT_EQ(fresh, updates.place + updates.destructive_update + updates.canary);

    // Somebody else was faster: the hash is another one, and nothing is changed.
    Job third = job;
    grow(third, 1);
    auto stale = cluster.await(cluster.server->plan_job(third, true));
    REQUIRE(stale);
    Job fourth = job;
    grow(fourth, 3);
    cluster.run_job(fourth);
    const uint64_t index = cluster.snapshot().job("default", "job")->job_modify_index;
    request.job = third;
    request.plan_hash = stale->plan_hash;
    auto refused = cluster.await(cluster.server->register_job(request));
    REQUIRE(!refused);
    EXPECT_EQ(refused.error().code, Code::kConflict);
    EXPECT_EQ(cluster.snapshot().job("default", "job")->job_modify_index, index);
  }
}

}  // namespace sluice::sim
