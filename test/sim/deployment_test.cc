// Deployments over time: what their deadlines count, and what they do not.
#include "orchestrator/server.h"

#include <algorithm>

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

TEST_CASE("with manual health the operator's word moves a deployment on, or fails it") {
  Cluster cluster(13);
  cluster.start();
  cluster.add_node({.healthy_ms = 1'000'000'000});  // it says nothing itself
  cluster.executor.run_for(100);
  Job job = make_job("web", 2);
  job.groups[0].update->health_check = "manual";
  job.groups[0].update->max_parallel = 1;
  job.groups[0].update->auto_revert = true;
  cluster.run_job(job);
  REQUIRE(cluster.settle());
  const auto latest = [&] { return cluster.snapshot().latest_deployment("default", "web"); };
  const auto mark = [&](StringList healthy, StringList unhealthy) {
    return cluster.await(
        cluster.server->set_alloc_health(latest()->id, std::move(healthy), std::move(unhealthy)));
  };
  const auto fresh = [&] {
    StringList ids;
    for (const AllocPtr& alloc : cluster.live("web")) {
      if (alloc->deployment_id == latest()->id && !alloc->is_healthy()) ids.push_back(alloc->id);
    }
    return ids;
  };
  const StringList first = fresh();
  REQUIRE(first.size() == 2);
  EXPECT_EQ(mark({}, {}).error().message,
            "must specify at least one healthy/unhealthy allocation ID");
  EXPECT_EQ(mark({"x"}, {}).error().message, "unknown alloc \"x\"");
  EXPECT_EQ(mark(first, {first[0]}).error().message, "alloc \"" + first[0] + "\" is named twice");
  EXPECT_EQ(latest()->groups.at("web").healthy_allocs, 0);  // nothing of it was taken
  const auto done = mark(first, {});
  REQUIRE(done);
  EXPECT(cluster.snapshot().eval(done->eval_id)->deployment_id == latest()->id);
  REQUIRE(cluster.settle());
  EXPECT(latest()->status == DeploymentStatus::kSuccessful);
  EXPECT_EQ(mark(first, {}).error().message,
            "can't set health of allocations for a terminal deployment");

  job.groups[0].tasks[0].env["version"] = "1";
  cluster.run_job(job);
  REQUIRE(cluster.settle());
  StringList second = fresh();
  REQUIRE(second.size() == 1);  // max_parallel
  EXPECT_EQ(mark({first[1]}, {}).error().message,
            "alloc \"" + first[1] + "\" is not part of deployment \"" + latest()->id + "\"");
  REQUIRE(mark(second, {}));
  REQUIRE(cluster.settle());
  second = fresh();
  REQUIRE(second.size() == 1);  // the next step
  const auto failed = mark({}, second);
  REQUIRE(failed);
  EXPECT_EQ(failed->reverted_job_version, 0);
  REQUIRE(cluster.settle());
  EXPECT_EQ(cluster.snapshot().job("default", "web")->version, 2);
  EXPECT(!cluster.snapshot().job("default", "web")->groups[0].tasks[0].env.contains("version"));
}

TEST_CASE("the operator says which version is stable") {
  Cluster cluster(14);
  cluster.start();
  cluster.add_node();
  cluster.executor.run_for(100);
  Job job = make_job("web", 1);
  cluster.run_job(job);
  job.groups[0].count = 2;
  cluster.run_job(job);
  REQUIRE(cluster.settle());
  const auto set = [&](const std::string& id, int64_t version, bool stable) {
    return cluster.await(cluster.server->set_stable("default", id, version, stable));
  };
  for (const bool stable : {false, true, true, false}) {
    REQUIRE(set("web", 0, stable));
    EXPECT_EQ(cluster.snapshot().job_version("default", "web", 0)->stable, stable);
  }
  EXPECT_EQ(cluster.snapshot().job("default", "web")->version, 1);
  EXPECT_EQ(set("web", 2, true).error().message,
            "job \"web\" in namespace \"default\" at version 2 not found");
  EXPECT(set("none", 0, true).error().code == Code::kNotFound);
}

TEST_CASE("a group that is late reverts the job if it says so itself, not if another does") {
  for (const bool late_reverts : {false, true}) {
    CAPTURE(late_reverts);
    Cluster cluster(15);
    cluster.start();
    cluster.add_node();
    cluster.add_node({.healthy_ms = -1}).facts().meta["slow"] = "yes";
    cluster.executor.run_for(100);
    Job job = make_job("web", 1);
    TaskGroup late = job.groups[0];
    late.name = "late";
    late.update->auto_revert = late_reverts;
    late.constraints.push_back({"${meta.slow}", "yes", "="});
    TaskGroup& good = job.groups[0];
    good.update->auto_revert = !late_reverts;
    good.constraints.push_back({"${meta.slow}", "", "is_not_set"});
    job.groups.push_back(late);
    cluster.nodes[1]->options.healthy_ms = 0;
    const auto latest = [&] { return cluster.snapshot().latest_deployment("default", "web"); };
    const auto ended = [&] {
      return cluster.executor.run_until([&] { return latest() && !latest()->active(); }, 1'800'000);
    };
    cluster.nodes[1]->connect(&cluster.server->node_link());
    cluster.executor.run_for(1'000);
    cluster.run_job(job);
    REQUIRE(ended());
    REQUIRE(latest()->status == DeploymentStatus::kSuccessful);
    cluster.nodes[1]->options.healthy_ms = -1;
    for (TaskGroup& group : job.groups) group.tasks[0].env["version"] = "1";
    cluster.run_job(job);
    REQUIRE(cluster.executor.run_until([&] { return latest()->job_version == 1; }));
    const std::string id = latest()->id;
    REQUIRE(cluster.executor.run_until([&] { return !cluster.snapshot().deployment(id)->active(); },
                                       1'800'000));
    EXPECT_EQ(cluster.snapshot().deployment(id)->status_description,
              late_reverts ? "Failed due to progress deadline - rolling back to job version 0"
                           : "Failed due to progress deadline");
    EXPECT_EQ(cluster.snapshot().job("default", "web")->version, late_reverts ? 2 : 1);
  }
}

TEST_CASE("a deployment that fails reverts no newer version, and not to what fails already") {
  Cluster cluster(16);
  cluster.start();
  SimNode& node = cluster.add_node();
  cluster.executor.run_for(100);
  Job job = make_job("web", 1);
  job.groups[0].update->auto_revert = true;
  cluster.run_job(job);
  REQUIRE(cluster.settle());
  const auto latest = [&] { return cluster.snapshot().latest_deployment("default", "web"); };
  REQUIRE(cluster.executor.run_until([&] { return !latest()->active(); }));
  node.options.unhealthy = true;
  job.groups[0].tasks[0].env["version"] = "1";
  node.options.healthy_ms = -1;
  cluster.run_job(job);
  REQUIRE(cluster.settle());
  const DeploymentPtr first = latest();
  REQUIRE(first->active());
  const auto live = cluster.live("web");
  REQUIRE(live.size() == 1);
  // The operator is faster than the evaluation of what is registered next.
  job.groups[0].tasks[0].env["version"] = "2";
  cluster.run_job(job);
  REQUIRE(cluster.snapshot().deployment(first->id)->active());
  const auto marked = cluster.await(cluster.server->set_alloc_health(first->id, {}, {live[0]->id}));
  REQUIRE(marked);
  EXPECT_EQ(marked->reverted_job_version, -1);
  EXPECT_EQ(cluster.snapshot().job("default", "web")->version, 2);
  EXPECT_EQ(
      cluster.snapshot().deployment(first->id)->status_description,
      "Failed due to unhealthy allocations - not rolling back, for the job was changed since");

  // Everything fails now: back to version 0, as version 3, and there it ends.
  node.options.healthy_ms = 0;
  REQUIRE(cluster.executor.run_until(
      [&] { return latest()->job_version == 3 && !latest()->active(); }, 3'600'000));
  cluster.executor.run_for(1'200'000);
  EXPECT_EQ(latest()->job_version, 3);
  EXPECT_EQ(latest()->status_description,
            "Failed due to unhealthy allocations - not rolling back to stable job version 0 as "
            "current job has same specification");
  EXPECT_EQ(cluster.snapshot().job("default", "web")->version, 3);
}

TEST_CASE("a group without instances is no part of a deployment, and does not hold it up") {
  Cluster cluster(17);
  cluster.start();
  cluster.add_node();
  cluster.executor.run_for(100);
  Job job = make_job("web", 1);
  TaskGroup none = job.groups[0];
  none.name = "none";
  none.count = 0;
  job.groups.push_back(none);
  cluster.run_job(job);
  REQUIRE(cluster.settle());
  const auto latest = [&] { return cluster.snapshot().latest_deployment("default", "web"); };
  REQUIRE(cluster.executor.run_until([&] { return !latest()->active(); }));
  EXPECT(latest()->status == DeploymentStatus::kSuccessful);
  EXPECT(latest()->groups.contains("web"));
  EXPECT(!latest()->groups.contains("none"));
}

TEST_CASE("the last stable version is kept, however many come after it") {
  Cluster cluster(18);
  cluster.start();
  SimNode& node = cluster.add_node();
  cluster.executor.run_for(100);
  Job job = make_job("web", 1);
  cluster.run_job(job);
  REQUIRE(cluster.settle());
  const auto latest = [&] { return cluster.snapshot().latest_deployment("default", "web"); };
  REQUIRE(cluster.executor.run_until([&] { return !latest()->active(); }));
  node.options.healthy_ms = -1;
  for (int i = 1; i <= 9; ++i) {
    job.groups[0].tasks[0].env["version"] = std::to_string(i);
    cluster.run_job(job);
    cluster.executor.run_for(2'000);
    REQUIRE(cluster.await(cluster.server->collect_garbage()));
  }
  REQUIRE(latest()->job_version == 9);
  job.groups[0].update->auto_revert = true;
  cluster.run_job(job);
  cluster.executor.run_for(2'000);
  const auto failed = cluster.await(cluster.server->fail_deployment(latest()->id));
  REQUIRE(failed);
  EXPECT_EQ(failed->reverted_job_version, 0);
  const auto versions = cluster.snapshot().job_versions("default", "web");
  EXPECT_EQ(versions.back()->version, 0);
  EXPECT(versions.size() <= 8);
}

TEST_CASE("a version that overtakes another takes first what is not in service yet") {
  Cluster cluster(19);
  cluster.start();
  cluster.add_node({.healthy_ms = 1'000});
  cluster.executor.run_for(100);
  Job job = make_job("web", 4);
  cluster.run_job(job);
  const auto latest = [&] { return cluster.snapshot().latest_deployment("default", "web"); };
  REQUIRE(cluster.executor.run_until([&] { return latest() && !latest()->active(); }));
  job.groups[0].tasks[0].env["version"] = "1";
  cluster.run_job(job);
  REQUIRE(cluster.executor.run_until([&] {
    return latest()->job_version == 1 && latest()->groups.at("web").healthy_allocs == 2 &&
           latest()->groups.at("web").placed_allocs == 3;
  }));
  job.groups[0].tasks[0].env["version"] = "2";
  cluster.run_job(job);
  size_t least = 4;
  REQUIRE(cluster.executor.run_until([&] {
    const auto live = cluster.live("web");
    least = std::min(least, static_cast<size_t>(std::count_if(
                                live.begin(), live.end(),
                                [](const AllocPtr& alloc) { return alloc->is_healthy(); })));
    return latest()->job_version == 2 && !latest()->active();
  }));
  EXPECT(latest()->status == DeploymentStatus::kSuccessful);
  EXPECT_EQ(least, 3u);
}

TEST_CASE("a group that a deployment does not have is not promoted in silence") {
  Cluster cluster(20);
  cluster.start();
  cluster.add_node();
  cluster.executor.run_for(100);
  Job job = make_job("web", 1);
  job.groups[0].update->canary = 1;
  cluster.run_job(job);
  const auto latest = [&] { return cluster.snapshot().latest_deployment("default", "web"); };
  REQUIRE(cluster.executor.run_until([&] { return latest() && !latest()->active(); }));
  job.groups[0].tasks[0].env["version"] = "1";
  cluster.run_job(job);
  REQUIRE(cluster.executor.run_until([&] {
    return latest()->job_version == 1 && latest()->groups.at("web").healthy_allocs == 1;
  }));
  const auto promote = [&](StringList groups) {
    return cluster.await(cluster.server->promote_deployment(latest()->id, false, groups));
  };
  const auto refused = promote({"web", "wbe"});
  REQUIRE(!refused);
  EXPECT_EQ(refused.error().message, "deployment has no group \"wbe\"");
  EXPECT(!latest()->groups.at("web").promoted);
  REQUIRE(promote({"web"}));
  REQUIRE(cluster.executor.run_until([&] { return !latest()->active(); }));
}

}  // namespace sluice::sim
