// Drains of a node in virtual time: what moves, and what is noted of it.
#include "orchestrator/server.h"
#include "test/sim/cluster.h"
#include "test/test.h"

namespace sluice::sim {

using namespace orchestrator;

TEST_CASE("a drain moves services one by one and ends when nothing is left") {
  Cluster cluster(9);
  cluster.start();
  SimNode& a = cluster.add_node();
  SimNode& b = cluster.add_node();
  cluster.executor.run_for(100);
  cluster.run_job(make_job("web", 4));
  REQUIRE(cluster.settle());
  auto drained =
      cluster.await(cluster.server->drain_node({.node_id = a.id(),
                                                .drain = DrainStrategy{.deadline_ns = kHourNs},
                                                .meta = {{"message", "new disk"}},
                                                .accessor_id = "t1"}));
  REQUIRE(drained);
  const LastDrain begun = cluster.snapshot().node(a.id())->last_drain.value_or(LastDrain());
  EXPECT_EQ(to_string(begun.status), "draining");
  EXPECT(begun.started_at.ns > 0);
  size_t least = 4;
  const bool done = cluster.executor.run_until([&] {
    least = std::min(least, a.running() + b.running());
    return !cluster.snapshot().node(a.id())->drain;
  });
  REQUIRE(done);
  EXPECT_EQ(a.running(), 0u);
  EXPECT_EQ(b.running(), 4u);
  EXPECT(least >= 3);
  const NodePtr node = cluster.snapshot().node(a.id());
  REQUIRE(node->last_drain.has_value());
  EXPECT_EQ(to_string(node->last_drain->status), "complete");
  EXPECT(node->last_drain->started_at == begun.started_at);
  EXPECT(node->last_drain->updated_at > begun.updated_at);
  EXPECT_EQ(node->last_drain->meta, StringMap{{"message", "new disk"}});
  EXPECT_EQ(node->last_drain->accessor_id, "t1");
  EXPECT_EQ(node->events.back().message, "Node drain complete");
  EXPECT_EQ(node->events.back().subsystem, "Drain");
  EXPECT(node->events.back().details.empty());
  EXPECT(node->events.back().create_index > drained->index);
}

TEST_CASE("what is noted of a node: registration, drains that change and end, eligibility") {
  Cluster cluster(12);
  cluster.start();
  SimNode& a = cluster.add_node({.stop_ms = 60'000});
  cluster.executor.run_for(100);
  cluster.run_job(make_job("web", 1));
  REQUIRE(cluster.settle());
  const auto drain = [&](DrainRequest request) {
    request.node_id = a.id();
    auto done = cluster.await(cluster.server->drain_node(std::move(request)));
    REQUIRE(done.has_value());
    cluster.executor.run_for(2'000);
  };
  const auto node = [&] { return cluster.snapshot().node(a.id()); };
  const uint64_t quiet = node()->modify_index;
  drain({.mark_eligible = true});  // it is eligible, and does not drain
  EXPECT_EQ(node()->modify_index, quiet);
  EXPECT(!node()->last_drain);
  drain({.drain = DrainStrategy{.deadline_ns = 0}, .meta = {{"a", "1"}}, .accessor_id = "t1"});
  const LastDrain first = *node()->last_drain;
  drain({.drain = DrainStrategy{.deadline_ns = kHourNs}, .accessor_id = "t2"});
  EXPECT(node()->last_drain->started_at == first.started_at);
  EXPECT(node()->drain->started_at == first.started_at);
  EXPECT_EQ(node()->last_drain->accessor_id, "t2");
  EXPECT_EQ(node()->last_drain->meta, StringMap{{"a", "1"}});
  drain({.mark_eligible = false, .meta = {{"cancel_message", "later"}}});
  EXPECT_EQ(to_string(node()->last_drain->status), "canceled");
  EXPECT_EQ(node()->last_drain->meta, StringMap{{"cancel_message", "later"}});
  EXPECT_EQ(to_string(node()->eligibility), "ineligible");
  // Over its deadline: what is left is stopped, which takes a minute here.
  drain({.drain = DrainStrategy{.deadline_ns = kSecondNs}});
  EXPECT(node()->last_drain->started_at > first.started_at);
  EXPECT(node()->last_drain->meta.empty());
  REQUIRE(cluster.executor.run_until([&] { return !node()->drain; }));
  REQUIRE(cluster.await(cluster.server->set_eligibility(a.id(), Eligibility::kEligible)));
  std::vector<std::string> messages;
  for (const NodeEvent& event : node()->events) {
    messages.push_back(event.subsystem + ": " + event.message);
    EXPECT(event.create_index > 0);
  }
  EXPECT_EQ(messages, std::vector<std::string>{
                          "Cluster: Node registered", "Drain: Node drain strategy set",
                          "Drain: Node drain strategy updated", "Drain: Node drain disabled",
                          "Drain: Node drain strategy set", "Drain: Node drain complete",
                          "Cluster: Node marked as eligible for scheduling"});
  EXPECT_EQ(node()->events[5].details, StringMap{{"deadline_reached", "true"}});
}

}  // namespace sluice::sim
