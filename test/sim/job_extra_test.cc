// What is kept beside a job, in virtual time: what was said of its counts, and the texts of its
// versions.
#include "orchestrator/server.h"
#include "test/sim/cluster.h"
#include "test/test.h"

namespace sluice::sim {

using namespace orchestrator;

namespace {

ScaleRequest scale_to(std::optional<int64_t> count, std::string message = {}) {
  return {.space = "default",
          .id = "web",
          .group = "web",
          .count = count,
          .message = std::move(message),
          .error = false,
          .meta = {},
          .at_once = false};
}

std::vector<ScalingEvent> events(Cluster& cluster) {
  const auto scaling = cluster.snapshot().scaling("default", "web");
  if (!scaling) return {};
  const auto found = scaling->groups.find("web");
  return found == scaling->groups.end() ? std::vector<ScalingEvent>() : found->second;
}

std::string refused(Cluster& cluster, ScaleRequest request) {
  auto done = cluster.await(cluster.server->scale_job(std::move(request)));
  return done ? "" : done.error().message;
}

/// A job whose deployment is over at once.
void run_web(Cluster& cluster) {
  cluster.start();
  cluster.add_node();
  cluster.executor.run_for(100);
  Job job = make_job("web", 2);
  job.groups[0].scaling = Scaling{.min = 1, .max = 9, .policy = {}};
  cluster.run_job(job);
  REQUIRE(cluster.settle());
  REQUIRE(cluster.executor.run_until([&] {
    const auto deployment = cluster.snapshot().latest_deployment("default", "web");
    return !deployment || !deployment->active();
  }));
}

}  // namespace

TEST_CASE("a scaling is an event of its group, in the commit of its job's new version") {
  Cluster cluster(31);
  run_web(cluster);
  auto done = cluster.await(cluster.server->scale_job(scale_to(4, "more")));
  REQUIRE(done.has_value());
  const Snapshot now = cluster.snapshot();
  EXPECT_EQ(now.job("default", "web")->groups[0].count, 4);
  const auto seen = events(cluster);
  REQUIRE(seen.size() == 1);
  EXPECT_EQ(seen[0].count, 4);
  EXPECT_EQ(seen[0].previous_count, 2);
  EXPECT_EQ(seen[0].message, "more");
  EXPECT_EQ(seen[0].eval_id.value_or(""), done->eval_id);
  EXPECT_EQ(seen[0].create_index, done->index);
  EXPECT(seen[0].time_ns > 0);
  EXPECT_EQ(now.job("default", "web")->modify_index, done->index);
  EXPECT_EQ(now.eval(done->eval_id)->triggered_by, "job-scaling");

  SUBCASE("the deployment that it makes blocks the next one; what is only said is taken in") {
    REQUIRE(now.job("default", "web")->groups[0].update.has_value());
    REQUIRE(cluster.executor.run_until(
        [&] { return cluster.snapshot().latest_deployment("default", "web")->job_version == 1; }));
    EXPECT_EQ(refused(cluster, scale_to(5)), "job scaling blocked due to active deployment");
    EXPECT_EQ(refused(cluster, scale_to(std::nullopt, "wait")), "");
    EXPECT_EQ(events(cluster).size(), 2u);
    ScaleRequest asked_for = scale_to(5);
    asked_for.at_once = true;
    EXPECT_EQ(refused(cluster, asked_for), "");
  }
  SUBCASE("the events go with the job") {
    REQUIRE(cluster.await(cluster.server->deregister_job("default", "web", true)).has_value());
    EXPECT(events(cluster).empty());
  }
}

TEST_CASE("what is only said of a group changes nothing but its events, newest first, twenty") {
  Cluster cluster(32);
  run_web(cluster);
  const JobPtr before = cluster.snapshot().job("default", "web");
  for (int i = 0; i < 25; ++i) {
    ScaleRequest said = scale_to(std::nullopt, std::to_string(i));
    said.error = i % 2 == 0;
    said.meta = Json::object({{"n", i}});
    auto done = cluster.await(cluster.server->scale_job(std::move(said)));
    REQUIRE(done.has_value());
    EXPECT_EQ(done->eval_id, "");
    EXPECT_EQ(done->job_modify_index, before->job_modify_index);
  }
  EXPECT(cluster.snapshot().job("default", "web") == before);
  const auto seen = events(cluster);
  REQUIRE(seen.size() == 20);
  EXPECT_EQ(seen[0].message, "24");
  EXPECT(seen[0].error);
  EXPECT(!seen[1].error);
  EXPECT_EQ(seen[0].count, kUnset);
  EXPECT_EQ(seen[0].meta.get_int("n"), 24);
  EXPECT_EQ(seen[19].message, "5");
}

TEST_CASE("scalings are refused as Nomad refuses them, and leave no event") {
  Cluster cluster(33);
  run_web(cluster);
  EXPECT_EQ(refused(cluster, scale_to(0)),
            "group count was less than scaling policy minimum: 0 < 1");
  EXPECT_EQ(refused(cluster, scale_to(10)),
            "group count was greater than scaling policy maximum: 10 > 9");
  ScaleRequest failed = scale_to(3);
  failed.error = true;
  EXPECT_EQ(refused(cluster, failed), "scaling action should not contain count if error is true");
  ScaleRequest other = scale_to(3);
  other.group = "db";
  EXPECT_EQ(refused(cluster, other),
            "task group \"db\" specified for scaling does not exist in job");
  other.id = "none";
  EXPECT_EQ(refused(cluster, other), "job \"none\" not found");
  EXPECT(events(cluster).empty());
  Job system = make_job("each", 1);
  system.type = "system";
  system.groups[0].update.reset();
  system.groups[0].reschedule.reset();
  system.groups[0].migrate.reset();
  cluster.run_job(system);
  other.id = "each";
  EXPECT_EQ(refused(cluster, other), "cannot scale jobs of type \"system\"");
}

TEST_CASE("a version keeps the text that it came from") {
  Cluster cluster(34);
  run_web(cluster);
  const auto submit = [&](const std::string& command, const std::string& source) {
    RegisterRequest request;
    request.job = *cluster.snapshot().job("default", "web");
    request.job.groups[0].tasks[0].config = Json::object({{"command", command}});
    request.submission = JobSubmission{.job_id = {},
                                       .format = "hcl2",
                                       .source = source,
                                       .variable_flags = {{"x", "1"}},
                                       .variables = "y = 2\n"};
    auto done = cluster.await(cluster.server->register_job(std::move(request)));
    REQUIRE(done.has_value());
    return *done;
  };
  const auto source = [&](int64_t version) {
    const auto text = cluster.snapshot().submission("default", "web", version);
    return text ? text->source : "none";
  };
  const RegisterReply first = submit("/bin/a", "a");
  EXPECT_EQ(source(0), "none");
  EXPECT_EQ(source(1), "a");
  EXPECT_EQ(cluster.snapshot().submission("default", "web", 1)->job_index, first.job_modify_index);
  submit("/bin/a", "the same job in other words");
  EXPECT_EQ(source(1), "a");

  SUBCASE("a revert and a scaling take it along") {
    submit("/bin/b", "b");
    auto back = cluster.await(cluster.server->revert_job("default", "web", 1, std::nullopt));
    REQUIRE(back.has_value());
    EXPECT_EQ(source(3), "a");
    REQUIRE(cluster.executor.run_until([&] {
      const auto latest = cluster.snapshot().latest_deployment("default", "web");
      return latest->job_version == 3 && !latest->active();
    }));
    REQUIRE(cluster.await(cluster.server->scale_job(scale_to(3))).has_value());
    EXPECT_EQ(source(4), "a");
  }
  SUBCASE("it goes with its version") {
    for (int i = 0; i < 8; ++i) submit(fmt::format("/bin/{}", i), std::to_string(i));
    REQUIRE(cluster.executor.run_until(
        [&] { return !cluster.snapshot().job_version("default", "web", 1); }));
    EXPECT_EQ(source(1), "none");
    EXPECT_EQ(source(9), "7");
    REQUIRE(cluster.executor.run_until([&] {
      const auto latest = cluster.snapshot().latest_deployment("default", "web");
      return latest->job_version == 9 && !latest->active();
    }));
    REQUIRE(cluster.await(cluster.server->deregister_job("default", "web", true)).has_value());
    REQUIRE(cluster.settle());
    EXPECT_EQ(source(9), "7");  // its allocations are still there
    REQUIRE(cluster.await(cluster.server->collect_garbage()).has_value());
    EXPECT_EQ(source(9), "none");
    EXPECT_EQ(cluster.snapshot().tables().submissions.size(), 0u);
  }
  SUBCASE("one that is too long is not kept, and that is said") {
    const RegisterReply reply = submit("/bin/c", std::string(1'000'000, 'c'));
    EXPECT_EQ(reply.warnings,
              "1 warning:\n\n* job source size of 1000008 bytes exceeds maximum of 1000000 bytes "
              "and will be discarded");
    EXPECT_EQ(source(2), "none");
  }
  SUBCASE("a saved state brings it back") {
    auto saved = cluster.await(cluster.server->save_snapshot());
    REQUIRE(saved.has_value());
    submit("/bin/d", "d");
    REQUIRE(cluster.await(cluster.server->restore_snapshot(*saved)).has_value());
    EXPECT_EQ(source(3), "a");
  }
}

TEST_CASE("both are read back as they were written") {
  Cluster cluster(35);
  run_web(cluster);
  ScaleRequest said = scale_to(std::nullopt, "said");
  said.meta = Json::object({{"deep", Json::array({1, "x"})}});
  REQUIRE(cluster.await(cluster.server->scale_job(std::move(said))).has_value());
  RegisterRequest request;
  request.job = *cluster.snapshot().job("default", "web");
  request.job.meta["a"] = "b";
  request.submission = JobSubmission{.job_id = {}, .format = "json", .source = "{}"};
  REQUIRE(cluster.await(cluster.server->register_job(std::move(request))).has_value());
  State again;
  auto read = [&](std::string part) -> Result<void> {
    auto commit = decode_commit(part, again.snapshot());
    if (!commit) return pass(commit);
    again.replay(*commit);
    return {};
  };
  REQUIRE(encode_snapshot(cluster.snapshot(), 3, read).has_value());
  const auto scaling = again.snapshot().scaling("default", "web");
  REQUIRE(scaling);
  EXPECT(scaling->groups == cluster.snapshot().scaling("default", "web")->groups);
  const auto text = again.snapshot().submission("default", "web", 1);
  REQUIRE(text);
  EXPECT_EQ(text->format, "json");
  EXPECT_EQ(text->source, "{}");
  EXPECT(text->job_index > 0);
}

}  // namespace sluice::sim
