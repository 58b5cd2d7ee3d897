// Deployments over time: what their deadlines count, and what they do not.
#include "orchestrator/server.h"

#include "test/sim/cluster.h"
#include "test/test.h"

namespace sluice::sim {

using namespace orchestrator;

TEST_CASE("a canary may wait for its promotion for longer than its progress deadline") {
  Cluster cluster(11);
  cluster.start();
  // What is promoted takes so long that the server looks at its deadlines meanwhile.
  cluster.add_node({.healthy_ms = 2'000});
  cluster.executor.run_for(100);
  Job job = make_job("web", 3);
  job.groups[0].update->canary = 1;
  cluster.run_job(job);
  REQUIRE(cluster.settle());
  const auto latest = [&] { return cluster.snapshot().latest_deployment("default", "web"); };
  cluster.executor.run_until([&] { return latest()->status == DeploymentStatus::kSuccessful; });

  job.groups[0].tasks[0].env["version"] = "1";
  cluster.run_job(job);
  cluster.executor.run_until([&] { return latest()->groups.at("web").healthy_allocs == 1; });
  const int64_t deadline_ms = latest()->groups.at("web").progress_deadline_ns / 1'000'000;
  REQUIRE(deadline_ms > 0);
  cluster.executor.run_for(deadline_ms + 60'000);
  REQUIRE(latest()->status == DeploymentStatus::kRunning);
  REQUIRE(latest()->job_version == 1);
  REQUIRE(cluster.await(cluster.server->promote_deployment(latest()->id, true, {})));
  REQUIRE(cluster.settle());
  cluster.executor.run_until([&] { return !latest()->active(); });
  EXPECT(latest()->status == DeploymentStatus::kSuccessful);
  EXPECT_EQ(latest()->status_description, "Deployment completed successfully");
}

TEST_CASE("what is started again after a stop does not wait for what had failed before") {
  Cluster cluster(12);
  cluster.start();
  SimNode& node = cluster.add_node();
  node.options.fail_starts = true;
  cluster.executor.run_for(100);
  const Job job = make_job("web", 1);
  cluster.run_job(job);
  cluster.executor.run_for(5'000);
  REQUIRE(cluster.live("web").empty());
  const auto failed = [&] {
    size_t waiting = 0;
    cluster.snapshot().tables().allocs.each([&](const AllocPtr& alloc) {
      waiting += alloc->client_status == ClientStatus::kFailed && !alloc->server_terminal() ? 1 : 0;
    });
    return waiting;
  };
  REQUIRE(failed() == 1);  // for 30 s
  REQUIRE(cluster.await(cluster.server->deregister_job("default", "web", false)));
  cluster.executor.run_for(1'000);
  EXPECT_EQ(failed(), 0u);
  node.options.fail_starts = false;
  cluster.run_job(job);
  cluster.executor.run_for(1'000);
  EXPECT_EQ(cluster.live("web").size(), 1u);
}

}  // namespace sluice::sim
