// `operator recover` at the server: which nodes are refused, and what becomes of their allocations.
#include "orchestrator/server.h"

#include <algorithm>
#include <set>

#include "test/sim/cluster.h"
#include "test/test.h"

namespace sluice::sim {

using namespace orchestrator;

namespace {

/// What a node of a cluster that is gone still has.
struct Lost {
  Node node;
  Recovery recovery;

  /// Two jobs of two allocations each; `stopped` was told to stop.
  explicit Lost(uint64_t seed) {
    Cluster before(seed);
    before.start();
    SimNode& machine = before.add_node();
    before.executor.run_for(100);
    before.run_job(make_job("web", 2));
    before.run_job(make_job("stopped", 2));
    REQUIRE(before.settle());
    REQUIRE(before.await(before.server->deregister_job("default", "stopped", false)));
    REQUIRE(before.settle());
    const Snapshot now = before.snapshot();
    node = machine.facts();
    recovery.node_id = node.id;
    recovery.memory = {.cluster_id = now.meta().cluster_id,
                       .term = now.meta().term,
                       .index = now.index() + 1'000,
                       .allocs = 2};
    now.tables().allocs.each([&](const AllocPtr& alloc) { recovery.allocs.push_back(alloc); });
    REQUIRE(recovery.allocs.size() == 4);
  }
};

}  // namespace

TEST_CASE(
    "a node of another cluster gets no work, and says so, until its allocations are taken in") {
  const Lost lost(1);
  Cluster cluster(2);
  cluster.start();
  NodeLink& link = cluster.server->node_link();
  const auto refused = cluster.await(link.register_node(lost.node, lost.recovery.memory));
  REQUIRE(!refused);
  EXPECT(refused.error().code == Code::kConflict);
  EXPECT(refused.error().message.contains("sluice operator recover"));
  const NodePtr node = cluster.snapshot().node(lost.node.id);
  REQUIRE(node);
  EXPECT_EQ(to_string(node->status), "initializing");
  EXPECT(node->status_description.contains(lost.recovery.memory.cluster_id));
  // Said again: nothing is written anew.
  const uint64_t index = cluster.snapshot().index();
  REQUIRE(!cluster.await(link.register_node(lost.node, lost.recovery.memory)));
  EXPECT_EQ(cluster.snapshot().index(), index);
  cluster.run_job(make_job("other", 1));
  cluster.executor.run_for(60'000);
  EXPECT(cluster.live("other").empty());

  const auto done = cluster.await(cluster.server->recover(lost.recovery));
  REQUIRE_MESSAGE(done.has_value(), done.error().message);
  EXPECT_EQ(done->jobs, 2u);
  EXPECT_EQ(done->allocs, 4u);
  EXPECT(done->index > lost.recovery.memory.index);
  const auto taken = cluster.await(link.register_node(lost.node, lost.recovery.memory));
  REQUIRE(taken);
  EXPECT_EQ(taken->cluster_id, lost.recovery.memory.cluster_id);
  const auto list = cluster.await(link.fetch_allocs(lost.node.id, 0, 0));
  REQUIRE(list);
  EXPECT(list->complete);
  EXPECT(list->term > lost.recovery.memory.term);
  EXPECT(list->index > lost.recovery.memory.index);
  cluster.executor.run_for(5'000);
  const Snapshot now = cluster.snapshot();
  for (const AllocPtr& alloc : lost.recovery.allocs) {
    const AllocPtr kept = now.alloc(alloc->id);
    REQUIRE(kept);
    EXPECT(kept->desired_status == alloc->desired_status);
    EXPECT(kept->client_status == alloc->client_status);
    EXPECT(kept->ports == alloc->ports);
  }
  EXPECT_EQ(cluster.live("web").size(), 2u);  // and no other in their place
  EXPECT(cluster.live("stopped").empty());
  EXPECT(now.job("default", "stopped")->stop);
  EXPECT_EQ(cluster.live("other").size(), 1u);  // it waited for a node
  EXPECT(!cluster.await(cluster.server->recover(lost.recovery)));
}

TEST_CASE("a job that is another one in the store is refused by name, and nothing is changed") {
  const Lost lost(1);
  Cluster cluster(2);
  cluster.start();
  NodeLink& link = cluster.server->node_link();
  REQUIRE(!cluster.await(link.register_node(lost.node, lost.recovery.memory)));
  Job other = make_job("web", 2);
  other.groups[0].tasks[0].env["other"] = "yes";
  cluster.run_job(other);
  cluster.executor.run_for(1'000);
  const uint64_t index = cluster.snapshot().index();
  const auto refused = cluster.await(cluster.server->recover(lost.recovery));
  REQUIRE(!refused);
  EXPECT(refused.error().message.contains("job \"web\" is in the store already"));
  EXPECT_EQ(cluster.snapshot().index(), index);
  EXPECT(cluster.snapshot().meta().cluster_id != lost.recovery.memory.cluster_id);
  // The very same one is no hindrance: what runs is of it.
  REQUIRE(cluster.await(cluster.server->deregister_job("default", "web", true)));
  cluster.run_job(make_job("web", 2));
  cluster.executor.run_for(1'000);
  const auto done = cluster.await(cluster.server->recover(lost.recovery));
  REQUIRE_MESSAGE(done.has_value(), done.error().message);
  cluster.executor.run_for(5'000);
  EXPECT_EQ(cluster.live("web").size(), 2u);
  for (const AllocPtr& alloc : cluster.live("web")) {
    EXPECT(std::ranges::any_of(lost.recovery.allocs,
                               [&](const AllocPtr& known) { return known->id == alloc->id; }));
  }
}

TEST_CASE(
    "an older copy of the node's own store: what it has forgotten comes back, none is doubled") {
  Cluster cluster(3);
  cluster.start();
  SimNode& machine = cluster.add_node();
  cluster.executor.run_for(100);
  cluster.run_job(make_job("web", 2));
  REQUIRE(cluster.settle());
  const Snapshot now = cluster.snapshot();
  const std::vector<AllocPtr> live = cluster.live("web");
  // Since the copy, one allocation was replaced.
  auto replaced = std::make_shared<Allocation>(*live[0]);
  replaced->id = "aaaaaaaa-0000-4000-8000-000000000000";
  Recovery recovery{.node_id = machine.id(),
                    .memory = {.cluster_id = now.meta().cluster_id,
                               .term = now.meta().term,
                               .index = now.index() + 10,
                               .allocs = 2},
                    .allocs = {replaced, live[1]}};
  machine.connect(nullptr);
  NodeLink& link = cluster.server->node_link();
  const auto refused = cluster.await(link.register_node(machine.facts(), recovery.memory));
  REQUIRE(!refused);
  EXPECT(refused.error().message.contains("an older copy"));
  const auto done = cluster.await(cluster.server->recover(recovery));
  REQUIRE_MESSAGE(done.has_value(), done.error().message);
  const AllocPtr gone = cluster.snapshot().alloc(live[0]->id);
  EXPECT(gone->desired_status == DesiredStatus::kStop);
  EXPECT_EQ(to_string(gone->client_status), "lost");
  REQUIRE(cluster.await(link.register_node(machine.facts(), recovery.memory)));
  cluster.executor.run_for(2'000);
  std::set<std::string> ids;
  for (const AllocPtr& alloc : cluster.live("web")) ids.insert(alloc->id);
  EXPECT_EQ(ids, std::set<std::string>{replaced->id, live[1]->id});
}

}  // namespace sluice::sim
