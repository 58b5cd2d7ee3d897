// The server end to end in virtual time: job -> evaluation -> plan -> allocations -> node and back.
#include "orchestrator/server.h"

#include <set>

#include "test/sim/cluster.h"
#include "test/test.h"

namespace sluice::sim {

using namespace orchestrator;

TEST_CASE("a registered job runs on the nodes and its evaluation completes") {
  Cluster cluster(1);
  cluster.start();
  for (int i = 0; i < 3; ++i) cluster.add_node();
  cluster.executor.run_for(100);
  const RegisterReply reply = cluster.run_job(make_job("web", 4));
  EXPECT(reply.job_modify_index > 0);
  REQUIRE(cluster.settle());
  const Snapshot now = cluster.snapshot();
  const EvalPtr eval = now.eval(reply.eval_id);
  REQUIRE(eval);
  EXPECT_EQ(to_string(eval->status), "complete");
  const auto live = cluster.live("web");
  REQUIRE(live.size() == 4);
  std::set<std::string> names;
  std::set<std::pair<std::string, uint16_t>> ports;
  for (const AllocPtr& alloc : live) {
    names.insert(alloc->name);
    REQUIRE(alloc->ports.size() == 1);
    ports.emplace(alloc->node_id, alloc->ports[0].value);
    EXPECT_EQ(to_string(alloc->client_status), "running");
  }
  EXPECT_EQ(names, std::set<std::string>{"web.web[0]", "web.web[1]", "web.web[2]", "web.web[3]"});
  EXPECT_EQ(ports.size(), 4u);
  EXPECT_EQ(now.job_status(*now.job("default", "web")), "running");
  EXPECT_EQ(now.job_summary(*now.job("default", "web")).at("web").running, 4);
}

TEST_CASE("a changed count touches no running allocation; stopping the job stops all") {
  Cluster cluster(2);
  cluster.start();
  SimNode& a = cluster.add_node();
  SimNode& b = cluster.add_node();
  cluster.executor.run_for(100);
  cluster.run_job(make_job("web", 2));
  REQUIRE(cluster.settle());
  cluster.run_job(make_job("web", 5));
  REQUIRE(cluster.settle());
  EXPECT_EQ(a.starts + b.starts, 5u);
  EXPECT_EQ(a.stops + b.stops, 0u);
  cluster.run_job(make_job("web", 3));
  REQUIRE(cluster.settle());
  EXPECT_EQ(a.stops + b.stops, 2u);
  EXPECT_EQ(cluster.live("web").size(), 3u);
  auto stopped = cluster.await(cluster.server->deregister_job("default", "web", false));
  REQUIRE(stopped);
  REQUIRE(cluster.settle());
  EXPECT_EQ(a.running() + b.running(), 0u);
  const Snapshot now = cluster.snapshot();
  EXPECT_EQ(now.job_status(*now.job("default", "web")), "dead");
}

TEST_CASE("a service's tag changes in place, its config by a rolling update") {
  Cluster cluster(3);
  cluster.start();
  for (int i = 0; i < 3; ++i) cluster.add_node();
  cluster.executor.run_for(100);
  Job job = make_job("web", 3);
  job.groups[0].tasks[0].services.push_back({.name = "web", .port_label = "http"});
  cluster.run_job(job);
  REQUIRE(cluster.settle());
  std::set<std::string> before;
  for (const AllocPtr& alloc : cluster.live("web")) before.insert(alloc->id);
  job.groups[0].tasks[0].services[0].tags = {"urlprefix-/"};
  cluster.run_job(job);
  REQUIRE(cluster.settle());
  std::set<std::string> after;
  for (const AllocPtr& alloc : cluster.live("web")) {
    after.insert(alloc->id);
    EXPECT_EQ(alloc->job->version, 1);
  }
  EXPECT_EQ(before, after);
  // Its deployment ends by the health that these same allocations say anew.
  const auto successful = [&](int64_t version) {
    const DeploymentPtr deployment = cluster.snapshot().latest_deployment("default", "web");
    return deployment && deployment->job_version == version &&
           deployment->status == DeploymentStatus::kSuccessful;
  };
  EXPECT(cluster.executor.run_until([&] { return successful(1); }));

  job.groups[0].tasks[0].config = Json::object({{"command", "/bin/false"}});
  cluster.run_job(job);
  size_t least = 3;
  const bool done = cluster.executor.run_until([&] {
    size_t running = 0;
    for (auto& node : cluster.nodes) running += node->running();
    least = std::min(least, running);
    return successful(2);
  });
  REQUIRE(done);
  EXPECT(least >= 2);  // max_parallel 1
  REQUIRE(cluster.settle());
  for (const AllocPtr& alloc : cluster.live("web")) EXPECT_EQ(alloc->job->version, 2);
  EXPECT(cluster.snapshot().job("default", "web")->stable);
}

TEST_CASE("what does not fit waits, says why, and is placed when a node comes") {
  Cluster cluster(4);
  cluster.start();
  cluster.add_node();
  cluster.executor.run_for(100);
  Job job = make_job("big", 3);
  job.groups[0].tasks[0].resources->memory_mb = 3000;
  const RegisterReply reply = cluster.run_job(job);
  cluster.executor.run_for(5'000);
  const Snapshot now = cluster.snapshot();
  const EvalPtr eval = now.eval(reply.eval_id);
  EXPECT_EQ(to_string(eval->status), "complete");
  REQUIRE(eval->failed_groups.contains("web"));
  EXPECT_EQ(eval->failed_groups.at("web").dimension_exhausted.at("memory"), 1);
  EXPECT_EQ(eval->queued_allocs.at("web"), 1);
  const EvalPtr blocked = now.eval(eval->blocked_eval);
  REQUIRE(blocked);
  EXPECT_EQ(to_string(blocked->status), "blocked");
  EXPECT_EQ(now.job_summary(*now.job("default", "big")).at("web").queued, 1);
  cluster.add_node();
  cluster.executor.run_for(5'000);
  EXPECT_EQ(cluster.live("big").size(), 3u);
  EXPECT_EQ(to_string(cluster.snapshot().eval(blocked->id)->status), "complete");
}

TEST_CASE("a node whose driver does not answer is the last choice, and keeps what it has") {
  Cluster cluster(11);
  cluster.start();
  SimNode& a = cluster.add_node();
  SimNode& b = cluster.add_node();
  const auto set_driver = [&](SimNode& node, bool detected, bool healthy) {
    node.facts().drivers["raw_exec"] = {.detected = detected, .healthy = healthy};
    node.connect(&cluster.server->node_link());
    cluster.executor.run_for(1'000);
  };
  set_driver(b, true, false);
  Job job = make_job("web", 4);
  job.groups[0].tasks[0].services.push_back({.name = "web", .port_label = "http"});
  cluster.run_job(job);
  REQUIRE(cluster.settle());
  EXPECT_EQ(a.running(), 4u);
  EXPECT_EQ(b.running(), 0u);

  // It answers nowhere: what runs stays, an update in place too, and what is new waits for it
  // there.
  set_driver(a, true, false);
  job.groups[0].tasks[0].services[0].tags = {"urlprefix-/"};
  cluster.run_job(job);
  REQUIRE(cluster.settle());
  EXPECT_EQ(a.running() + b.running(), 4u);
  EXPECT_EQ(a.starts + b.starts, 4u);
  cluster.run_job(make_job("late", 1));
  cluster.executor.run_for(5'000);
  EXPECT_EQ(cluster.live("late").size(), 1u);

  // A node that does not have the driver at all gets nothing.
  set_driver(b, false, false);
  const RegisterReply reply = cluster.run_job(make_job("wide", 6));
  cluster.executor.run_for(5'000);
  EXPECT(cluster.snapshot().eval(reply.eval_id)->failed_groups.empty());
  for (const AllocPtr& alloc : cluster.live("wide")) EXPECT_EQ(alloc->node_id, a.id());
}

TEST_CASE("a node that goes silent is down, and its allocations are made elsewhere") {
  Cluster cluster(5);
  cluster.start();
  SimNode& a = cluster.add_node();
  SimNode& b = cluster.add_node();
  cluster.executor.run_for(100);
  cluster.run_job(make_job("web", 4));
  REQUIRE(cluster.settle());
  a.connect(nullptr);
  cluster.executor.run_for(40'000);
  REQUIRE(cluster.settle());
  for (const AllocPtr& alloc : cluster.live("web")) EXPECT_EQ(alloc->node_id, b.id());
  EXPECT_EQ(cluster.live("web").size(), 4u);
  EXPECT_EQ(b.running(), 4u);
  // It comes back: what it ran was replaced, so it stops that.
  a.connect(&cluster.server->node_link());
  cluster.executor.run_for(5'000);
  EXPECT_EQ(a.running(), 0u);
  EXPECT_EQ(cluster.live("web").size(), 4u);
}

TEST_CASE("a failed task's allocation is rescheduled after its policy's delay") {
  Cluster cluster(6);
  cluster.start();
  SimNode& a = cluster.add_node();
  cluster.add_node();
  cluster.executor.run_for(100);
  cluster.run_job(make_job("web", 1));
  REQUIRE(cluster.settle());
  const AllocPtr first = cluster.live("web").at(0);
  for (auto& node : cluster.nodes) {
    if (node->id() == first->node_id) node->kill(first->id);
  }
  cluster.executor.run_for(10'000);
  EXPECT_EQ(cluster.live("web").size(), 0u);  // 30 s of delay
  cluster.executor.run_for(25'000);
  const auto live = cluster.live("web");
  REQUIRE(live.size() == 1);
  EXPECT_EQ(live[0]->previous_alloc, first->id);
  EXPECT(live[0]->ports[0].value != first->ports[0].value);  // it may have failed because of it
  EXPECT(live[0]->node_id != first->node_id);
  REQUIRE(live[0]->reschedules.size() == 1);
  EXPECT_EQ(cluster.snapshot().alloc(first->id)->next_alloc, live[0]->id);
  (void)a;
}

TEST_CASE("two clusters on one machine do not take the same dynamic ports") {
  std::set<uint16_t> ports;
  for (const uint64_t seed : {11u, 12u, 13u}) {
    Cluster cluster(seed);
    cluster.start();
    cluster.add_node();
    cluster.executor.run_for(100);
    cluster.run_job(make_job("web", 4));
    REQUIRE(cluster.settle());
    for (const AllocPtr& alloc : cluster.live("web")) ports.insert(alloc->ports[0].value);
  }
  EXPECT_EQ(ports.size(), 12u);
}

TEST_CASE("a corrected job takes the place of what had failed at once, rescheduled or not") {
  for (const bool delayed : {true, false}) {
    CAPTURE(delayed);
    Cluster cluster(delayed ? 31 : 32);
    cluster.start();
    SimNode& node = cluster.add_node();
    node.options.fail_starts = true;
    cluster.executor.run_for(100);
    Job job = make_job("web", 2);
    auto& policy = *job.groups[0].reschedule;
    policy.unlimited = delayed;
    policy.attempts = 0;
    policy.delay_ns = int64_t{3600} * 1'000'000'000;
    policy.max_delay_ns = policy.delay_ns;
    cluster.run_job(job);
    cluster.executor.run_for(5'000);
    EXPECT_EQ(node.starts, 2u);
    // The same again, and what changes in place, brings nothing back that had failed.
    job.groups[0].tasks[0].services.push_back({.name = "web", .port_label = "http"});
    cluster.run_job(job);
    cluster.executor.run_for(5'000);
    EXPECT_EQ(node.starts, 2u);
    node.options.fail_starts = false;
    job.groups[0].tasks[0].config = Json::object({{"command", "/bin/right"}});
    cluster.run_job(job);
    cluster.executor.run_for(60'000);
    EXPECT_EQ(node.starts, 4u);
    EXPECT_EQ(node.running(), 2u);
    // And nothing is left that would replace the failed ones once more.
    cluster.executor.run_for(2 * 3'600'000);
    EXPECT_EQ(node.starts, 4u);
  }
}

TEST_CASE("job plan shows what job run does, by the same functions") {
  Cluster cluster(7);
  cluster.start();
  for (int i = 0; i < 5; ++i) cluster.add_node();
  cluster.executor.run_for(100);
  const Job job = make_job("web", 3);
  auto plan = cluster.await(cluster.server->plan_job(job, true));
  REQUIRE(plan);
  EXPECT_EQ(plan->job_modify_index, 0u);
  EXPECT_EQ(plan->diff.get_string("Type"), "Added");
  EXPECT_EQ(plan->desired_updates.at("web").place, 3);
  EXPECT(plan->failed_groups.empty());
  EXPECT_EQ(cluster.snapshot().tables().jobs.size(), 0u);
  RegisterRequest request;
  request.job = job;
  request.plan_hash = plan->plan_hash;
  auto done = cluster.await(cluster.server->register_job(request));
  REQUIRE(done);
  REQUIRE(cluster.settle());
  request.plan_hash = "0000000000000000";
  request.job.groups[0].count = 4;
  auto refused = cluster.await(cluster.server->register_job(request));
  REQUIRE(!refused);
  EXPECT(refused.error().code == Code::kConflict);
}

TEST_CASE("a plan names the evaluations that a run would leave behind") {
  Cluster cluster(13);
  cluster.start();
  cluster.add_node();
  cluster.executor.run_for(100);
  Job job = make_job("web", 1);
  auto fits = cluster.await(cluster.server->plan_job(job, true));
  REQUIRE(fits.has_value());
  EXPECT(fits->created_evals.empty());
  job.groups[0].tasks[0].resources->memory_mb = 1 << 30;
  auto waits = cluster.await(cluster.server->plan_job(job, true));
  REQUIRE(waits.has_value());
  REQUIRE(waits->created_evals.size() == 1);
  const Evaluation& blocked = *waits->created_evals[0];
  EXPECT_EQ(to_string(blocked.status), "blocked");
  EXPECT_EQ(blocked.triggered_by, "queued-allocs");
  EXPECT_EQ(blocked.job_id, "web");
  EXPECT_EQ(blocked.queued_allocs, CountMap{{"web", 1}});
  EXPECT(!cluster.snapshot().eval(blocked.id));
  // Where one waits already, a newer failure is written into it.
  cluster.run_job(job);
  REQUIRE(cluster.settle());
  job.groups[0].count = 2;
  auto again = cluster.await(cluster.server->plan_job(job, true));
  REQUIRE(again.has_value());
  REQUIRE(again->created_evals.size() == 1);
  const EvalPtr waiting = cluster.snapshot().eval(again->created_evals[0]->id);
  REQUIRE(waiting);
  EXPECT_EQ(to_string(waiting->status), "blocked");
}

TEST_CASE("check-index errors are Nomad's") {
  Cluster cluster(8);
  cluster.start();
  RegisterRequest request;
  request.job = make_job("web", 1);
  request.enforce_index = true;
  request.job_modify_index = 7;
  auto none = cluster.await(cluster.server->register_job(request));
  REQUIRE(!none);
  EXPECT_EQ(none.error().message, "Enforcing job modify index 7: job does not exist");
  request.job_modify_index = 0;
  auto made = cluster.await(cluster.server->register_job(request));
  REQUIRE(made);
  auto again = cluster.await(cluster.server->register_job(request));
  REQUIRE(!again);
  EXPECT_EQ(again.error().message, "Enforcing job modify index 0: job already exists");
  request.job_modify_index = 99;
  auto other = cluster.await(cluster.server->register_job(request));
  REQUIRE(!other);
  EXPECT_EQ(other.error().message,
            "Enforcing job modify index 99: job exists with conflicting job modify index: " +
                std::to_string(made->job_modify_index));
}

TEST_CASE("a node's first list comes at once, also an empty one: it mends by that") {
  Cluster cluster(11);
  cluster.start();
  SimNode& node = cluster.add_node();
  cluster.executor.run_for(100);
  const int64_t before_ms = cluster.executor.now_ms();
  auto first = cluster.await(cluster.server->node_link().fetch_allocs(node.id(), 0, 60'000));
  REQUIRE(first.has_value());
  EXPECT(first->complete);
  EXPECT(first->allocs.empty());
  EXPECT_EQ(cluster.executor.now_ms(), before_ms);
}

TEST_CASE("blocking reads wake on what they wait for") {
  Cluster cluster(10);
  cluster.start();
  cluster.add_node();
  cluster.executor.run_for(100);
  const uint64_t before = cluster.snapshot().index();
  bool woke = false;
  auto wait = [](Server& server, uint64_t after, bool& flag) -> Task<void> {
    const Snapshot now =
        co_await server.wait({Topic::Kind::kOfJob, "web", "default"}, after, 60'000);
    flag = now.of_job("default", "web") != nullptr;
  };
  Scope scope(cluster.executor);
  scope.spawn(wait(*cluster.server, before, woke));
  cluster.executor.run_for(1'000);
  EXPECT(!woke);
  cluster.run_job(make_job("web", 1));
  cluster.executor.run_for(1'000);
  EXPECT(woke);
}

}  // namespace sluice::sim
