// Periodic and parameterized jobs: what they launch, when, and what a new server makes up for.
#include <algorithm>

#include "test/sim/cluster.h"
#include "test/test.h"

namespace sluice::sim {

using namespace orchestrator;

namespace {

Job make_batch(const std::string& id) {
  Job job = make_job(id, 1);
  job.type = "batch";
  job.groups[0].update.reset();
  job.groups[0].migrate.reset();
  job.groups[0].reschedule.reset();
  return job;
}

Job make_periodic(const std::string& id, const std::string& spec, bool prohibit_overlap = false) {
  Job job = make_batch(id);
  job.periodic.emplace();
  job.periodic->spec = spec;
  job.periodic->prohibit_overlap = prohibit_overlap;
  return job;
}

Job make_parameterized(const std::string& id) {
  Job job = make_batch(id);
  job.parameterized.emplace();
  job.parameterized->meta_required = {"who"};
  job.parameterized->meta_optional = {"why"};
  return job;
}

std::vector<JobPtr> children(Cluster& cluster, const std::string& parent) {
  std::vector<JobPtr> found;
  cluster.snapshot().tables().jobs.each([&](const JobPtr& job) {
    if (job->parent_id == parent) found.push_back(job);
  });
  return found;
}

void to_next_minute(Cluster& cluster) {
  const int64_t into_minute_ms = cluster.executor.wall_ns() / 1'000'000 % 60'000;
  cluster.executor.run_for(60'000 - into_minute_ms + 1'000);
}

}  // namespace

TEST_CASE(
    "a periodic job has no allocations of its own, and launches a child at each of its times") {
  Cluster cluster(11);
  cluster.start();
  cluster.add_node();
  cluster.executor.run_for(100);
  const RegisterReply reply = cluster.run_job(make_periodic("tick", "* * * * *"));
  EXPECT_EQ(reply.eval_id, "");
  EXPECT(children(cluster, "tick").empty());
  for (size_t n = 1; n <= 3; ++n) {
    to_next_minute(cluster);
    const auto found = children(cluster, "tick");
    REQUIRE(found.size() == n);
    const Job& child = *found.back();
    const int64_t minute = cluster.executor.wall_ns() / kMinuteNs * 60;
    EXPECT_EQ(child.id, "tick/periodic-" + std::to_string(minute));
    EXPECT_EQ(child.name, child.id);
    EXPECT(!child.periodic);
    EXPECT_EQ(cluster.live(child.id).size(), 1u);
  }
  const Snapshot now = cluster.snapshot();
  const JobPtr parent = now.job("default", "tick");
  EXPECT_EQ(now.job_status(*parent), "running");
  EXPECT_EQ(parent->version, 0);
  EXPECT_EQ(parent->job_modify_index, reply.job_modify_index);
  EXPECT_EQ(now.job_children(*parent).running, 3);
  EXPECT(cluster.live("tick").empty());

  REQUIRE(cluster.await(cluster.server->deregister_job("default", "tick", false)));
  to_next_minute(cluster);
  EXPECT_EQ(children(cluster, "tick").size(), 3u);
}

TEST_CASE("prohibit_overlap: nothing is launched while the last run is not over") {
  Cluster cluster(12);
  cluster.start();
  SimNode& node = cluster.add_node();
  cluster.executor.run_for(100);
  cluster.run_job(make_periodic("tick", "* * * * *", true));
  to_next_minute(cluster);
  to_next_minute(cluster);
  to_next_minute(cluster);
  REQUIRE(children(cluster, "tick").size() == 1);
  const auto live = cluster.live(children(cluster, "tick")[0]->id);
  REQUIRE(live.size() == 1);
  // Twice: a failed batch allocation is rescheduled once.
  node.kill(live[0]->id);
  cluster.executor.run_for(20'000);
  for (const AllocPtr& again : cluster.live(children(cluster, "tick")[0]->id)) node.kill(again->id);
  cluster.executor.run_for(1'000);
  EXPECT_EQ(cluster.snapshot().job_status(*children(cluster, "tick")[0]), "dead");
  to_next_minute(cluster);
  EXPECT_EQ(children(cluster, "tick").size(), 2u);
}

TEST_CASE(
    "a disabled periodic job launches only by force; two launches of a second are two children") {
  Cluster cluster(13);
  cluster.start();
  cluster.add_node();
  cluster.executor.run_for(100);
  Job job = make_periodic("tick", "* * * * *");
  job.periodic->enabled = false;
  cluster.run_job(job);
  to_next_minute(cluster);
  to_next_minute(cluster);
  EXPECT(children(cluster, "tick").empty());
  for (int i = 0; i < 2; ++i) {
    auto forced = cluster.await(cluster.server->force_periodic("default", "tick"));
    REQUIRE(forced);
    const EvalPtr eval = cluster.snapshot().eval(forced->eval_id);
    REQUIRE(eval);
    EXPECT_EQ(eval->triggered_by, "periodic-job");
  }
  EXPECT_EQ(children(cluster, "tick").size(), 2u);
  cluster.run_job(make_batch("plain"));
  auto none = cluster.await(cluster.server->force_periodic("default", "plain"));
  REQUIRE(!none);
  EXPECT_EQ(none.error().message, "can't force launch non-periodic job");
}

TEST_CASE("several specifications and a time zone; a wrong one is refused; the plan says when") {
  Cluster cluster(14);
  cluster.start();
  Job job = make_periodic("tick", "");
  job.periodic->specs = {"0 0 1 1 *", "@hourly"};
  auto plan = cluster.await(cluster.server->plan_job(job, true));
  REQUIRE(plan);
  const int64_t hour = (cluster.executor.wall_ns() / kHourNs + 1) * kHourNs;
  EXPECT_EQ(plan->next_periodic_launch.ns, hour);
  job.periodic->specs = {"nonsense"};
  auto wrong = cluster.await(cluster.server->plan_job(job, true));
  REQUIRE(!wrong);
  EXPECT(wrong.error().message.find("periodic: cron: \"nonsense\" has 1 fields") == 0);
  job.periodic->specs = {"@hourly"};
  job.periodic->time_zone = "Mars/Olympus";
  wrong = cluster.await(cluster.server->plan_job(job, true));
  REQUIRE(!wrong);
  EXPECT_EQ(wrong.error().message, "periodic: time_zone: unknown time zone Mars/Olympus");
}

TEST_CASE("a dispatched child holds what the dispatch said; wrong dispatches are refused") {
  Cluster cluster(15);
  cluster.start();
  cluster.add_node();
  cluster.executor.run_for(100);
  EXPECT_EQ(cluster.run_job(make_parameterized("mail")).eval_id, "");
  const auto dispatch = [&](StringMap meta, std::string payload) {
    return cluster.await(cluster.server->dispatch_job({.space = "default",
                                                       .id = "mail",
                                                       .meta = std::move(meta),
                                                       .payload_base64 = std::move(payload)}));
  };
  auto sent = dispatch({{"who", "me"}}, "aGVsbG8=");
  REQUIRE(sent);
  EXPECT(sent->child_id.starts_with("mail/dispatch-"));
  REQUIRE(cluster.settle());
  const JobPtr child = cluster.snapshot().job("default", sent->child_id);
  REQUIRE(child);
  EXPECT(child->dispatched);
  EXPECT_EQ(child->parent_id, "mail");
  EXPECT_EQ(child->payload, "aGVsbG8=");
  EXPECT_EQ(child->meta.at("who"), "me");
  EXPECT_EQ(cluster.live(sent->child_id).size(), 1u);
  EXPECT(dispatch({{"who", "me"}, {"why", "so"}}, ""));

  const std::string large(24 * 1024, 'A');
  EXPECT_EQ(dispatch({}, "").error().message, "Dispatch did not provide required meta keys: [who]");
  EXPECT_EQ(dispatch({{"who", ""}, {"x", ""}, {"y", ""}}, "").error().message,
            "Dispatch request included unpermitted metadata keys: [x, y]");
  EXPECT_EQ(dispatch({{"who", ""}}, large).error().message,
            "Payload exceeds maximum size; 18432 > 16384");
  EXPECT(dispatch({{"who", ""}}, "a").error().message.starts_with("Payload: "));
  EXPECT_EQ(children(cluster, "mail").size(), 2u);
  auto none =
      cluster.await(cluster.server->dispatch_job({.space = "default", .id = sent->child_id}));
  REQUIRE(!none);
  EXPECT_EQ(none.error().message,
            "Specified job \"" + sent->child_id + "\" is not a parameterized job");
}

TEST_CASE("of dispatches with one token the first counts, also while it is on its way") {
  Cluster cluster(17);
  cluster.start();
  cluster.add_node();
  cluster.executor.run_for(100);
  for (const char* id : {"mail", "post"}) cluster.run_job(make_parameterized(id));
  const auto dispatch = [&](const std::string& id, const std::string& token) {
    return cluster.server->dispatch_job(
        {.space = "default", .id = id, .meta = {{"who", "me"}}, .idempotency_token = token});
  };
  std::vector<Server::DispatchReply> replies;
  auto send = [](Task<Result<Server::DispatchReply>> task,
                 std::vector<Server::DispatchReply>& into) -> Task<void> {
    const auto reply = co_await std::move(task);
    if (reply) into.push_back(*reply);
  };
  Scope scope(cluster.executor);
  for (int i = 0; i < 3; ++i) scope.spawn(send(dispatch("mail", "a"), replies));
  cluster.executor.run_until([&] { return replies.size() == 3; });
  REQUIRE(cluster.settle());
  const std::string child = replies[0].child_id;
  EXPECT_EQ(std::ranges::count(replies, "", &Server::DispatchReply::eval_id), 2);
  for (const auto& reply : replies) {
    EXPECT_EQ(reply.child_id, child);
    EXPECT_EQ(reply.job_create_index, replies[0].job_create_index);
  }
  EXPECT_EQ(children(cluster, "mail").size(), 1u);
  EXPECT_EQ(cluster.snapshot().job("default", child)->idempotency_token, "a");
  // Another token, none, or another job: another child. A child's child has none.
  EXPECT(cluster.await(dispatch("mail", "b"))->child_id != child);
  EXPECT(cluster.await(dispatch("mail", ""))->child_id != child);
  EXPECT(cluster.await(dispatch("mail", ""))->child_id != child);
  EXPECT(cluster.await(dispatch("post", "a"))->child_id.starts_with("post/"));
  EXPECT_EQ(children(cluster, "mail").size(), 4u);
  // Once it is forgotten the token is free.
  REQUIRE(cluster.await(cluster.server->deregister_job("default", child, true)));
  EXPECT(!cluster.await(dispatch("mail", "a"))->eval_id.empty());
}

TEST_CASE("a dispatched child's id begins as the dispatch says") {
  Cluster cluster(18);
  cluster.start();
  cluster.run_job(make_parameterized("mail"));
  const auto dispatch = [&](const std::string& prefix) {
    return cluster.await(cluster.server->dispatch_job(
        {.space = "default", .id = "mail", .meta = {{"who", "me"}}, .id_prefix = prefix}));
  };
  const std::string seconds = std::to_string(cluster.executor.wall_ns() / 1'000'000'000);
  EXPECT(dispatch("run1")->child_id.starts_with("mail/dispatch-run1-" + seconds + "-"));
  EXPECT(dispatch("")->child_id.starts_with("mail/dispatch-" + seconds + "-"));
  EXPECT_EQ(dispatch("a b").error().message, "IdPrefixTemplate \"a b\" contains a space or a NUL");
}

TEST_CASE("a job does not become periodic, parameterized, dispatched or of another type") {
  Cluster cluster(16);
  cluster.start();
  cluster.run_job(make_batch("a"));
  const auto refused = [&](Job job) {
    RegisterRequest request;
    request.job = std::move(job);
    auto reply = cluster.await(cluster.server->register_job(std::move(request)));
    REQUIRE(!reply);
    return reply.error().message;
  };
  EXPECT_EQ(refused(make_periodic("a", "@daily")),
            "cannot update non-periodic job to being periodic");
  EXPECT_EQ(refused(make_parameterized("a")),
            "cannot update non-parameterized job to being parameterized");
  EXPECT_EQ(refused(make_job("a", 1)), "cannot update job from type \"batch\" to \"service\"");
  Job dispatched = make_parameterized("b");
  dispatched.dispatched = true;
  EXPECT_EQ(refused(dispatched), "job can't be submitted with 'Dispatched' set");
}

TEST_CASE("garbage: a batch job that is done goes as a whole, its periodic parent stays") {
  Cluster cluster(17);
  cluster.start();
  SimNode& node = cluster.add_node();
  cluster.executor.run_for(100);
  cluster.run_job(make_periodic("tick", "0 0 1 1 *"));
  REQUIRE(cluster.await(cluster.server->force_periodic("default", "tick")));
  REQUIRE(cluster.settle());
  const std::string child = children(cluster, "tick")[0]->id;
  REQUIRE(cluster.await(cluster.server->collect_garbage()));
  EXPECT_EQ(children(cluster, "tick").size(), 1u);
  for (int i = 0; i < 2; ++i) {
    for (const AllocPtr& alloc : cluster.live(child)) node.kill(alloc->id);
    cluster.executor.run_for(20'000);
  }
  REQUIRE(cluster.snapshot().job_status(*children(cluster, "tick")[0]) == "dead");
  REQUIRE(cluster.await(cluster.server->collect_garbage()));
  EXPECT(children(cluster, "tick").empty());
  EXPECT(cluster.snapshot().job("default", "tick"));
  REQUIRE(cluster.await(cluster.server->deregister_job("default", "tick", false)));
  REQUIRE(cluster.await(cluster.server->collect_garbage()));
  EXPECT(!cluster.snapshot().job("default", "tick"));
}

TEST_CASE("garbage: the evaluation that placed an allocation stays as long as that does") {
  Cluster cluster(19);
  cluster.start();
  cluster.add_node();
  cluster.executor.run_for(100);
  const RegisterReply first = cluster.run_job(make_job("web", 1));
  REQUIRE(cluster.settle());
  const auto again = cluster.await(cluster.server->evaluate_job("default", "web", false));
  REQUIRE(again);
  REQUIRE(cluster.settle());
  cluster.executor.run_for(5'000);
  REQUIRE(cluster.await(cluster.server->collect_garbage()));
  EXPECT(cluster.snapshot().eval(first.eval_id));
  EXPECT(!cluster.snapshot().eval(again->eval_id));
  REQUIRE(cluster.await(cluster.server->deregister_job("default", "web", false)));
  REQUIRE(cluster.settle());
  REQUIRE(cluster.await(cluster.server->collect_garbage()));
  REQUIRE(cluster.await(cluster.server->collect_garbage()));
  EXPECT(!cluster.snapshot().eval(first.eval_id));
  EXPECT(!cluster.snapshot().job("default", "web"));
}

TEST_CASE("a snapshot: jobs become what they were, later ones stop, what is right runs on") {
  Cluster cluster(18);
  cluster.start();
  SimNode& node = cluster.add_node();
  cluster.executor.run_for(100);
  cluster.run_job(make_job("same", 2));
  cluster.run_job(make_job("changed", 1));
  cluster.run_job(make_job("purged", 1));
  REQUIRE(cluster.await(cluster.server->change_acl([](AclRecords& records, uint64_t) {
    records.policies["p"].name = "p";
    return Result<void>();
  })));
  REQUIRE(cluster.settle());
  const auto saved = cluster.await(cluster.server->save_snapshot());
  REQUIRE(saved);
  std::set<std::string> before;
  for (const AllocPtr& alloc : cluster.live("same")) before.insert(alloc->id);

  cluster.run_job(make_job("changed", 3));
  cluster.run_job(make_job("later", 1));
  REQUIRE(cluster.await(cluster.server->deregister_job("default", "purged", true)));
  REQUIRE(cluster.await(cluster.server->change_acl([](AclRecords& records, uint64_t) {
    records.policies.clear();
    return Result<void>();
  })));
  REQUIRE(cluster.settle());
  const uint64_t index = cluster.snapshot().index();
  const uint64_t stops = node.stops;
  REQUIRE(cluster.await(cluster.server->restore_snapshot(*saved)));
  REQUIRE(cluster.settle());
  EXPECT(cluster.snapshot().index() > index);
  std::set<std::string> after;
  for (const AllocPtr& alloc : cluster.live("same")) after.insert(alloc->id);
  EXPECT_EQ(before, after);
  EXPECT_EQ(cluster.live("changed").size(), 1u);
  EXPECT_EQ(cluster.live("purged").size(), 1u);
  EXPECT_EQ(cluster.live("later").size(), 0u);
  EXPECT_EQ(node.stops, stops + 3);  // two of "changed", one of "later"
  EXPECT(cluster.snapshot().meta().acl.policies.contains("p"));

  std::string damaged = *saved;
  damaged[damaged.size() / 2] ^= 1;
  EXPECT(cluster.await(cluster.server->restore_snapshot(damaged)).error().message.find("digest") !=
         std::string::npos);
  for (const size_t length : {size_t{0}, size_t{5}, saved->size() / 2, saved->size() - 10}) {
    EXPECT(!cluster.await(cluster.server->restore_snapshot(saved->substr(0, length))));
  }
}

}  // namespace sluice::sim
