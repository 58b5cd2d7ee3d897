// The server over a store that keeps: crashes at any time, and a store in trouble.
#include <map>

#include "test/sim/cluster.h"
#include "test/sim/log_store.h"
#include "test/test.h"

namespace sluice::sim {

using namespace orchestrator;

namespace {

/// A cluster whose store keeps what it is given.
struct Kept {
  explicit Kept(uint64_t seed) : cluster(seed, &forward) {}

  /// The store needs the cluster's executor, and the cluster a store.
  struct Forward final : Store {
    std::unique_ptr<LogStore> to;
    [[nodiscard]] std::string_view name() const override { return to->name(); }
    Task<Result<Snapshot>> load() override { return to->load(); }
    Task<Result<void>> append(std::vector<std::shared_ptr<const Commit>> commits) override {
      return to->append(std::move(commits));
    }
    [[nodiscard]] bool wants_checkpoint() const override { return to->wants_checkpoint(); }
    Task<Result<void>> checkpoint(Snapshot snapshot) override {
      return to->checkpoint(std::move(snapshot));
    }
  };
  LogStore& start() {
    if (!forward.to) forward.to = std::make_unique<LogStore>(cluster.executor);
    cluster.start();
    return *forward.to;
  }

  Forward forward;
  Cluster cluster;
};

struct Wanted {
  int64_t count = 0;      // as last acknowledged
  uint64_t index = 0;     // of that
  bool in_doubt = false;  // one more was said, and the server died over it
};

Task<void> change(Server& server, std::string id, int64_t count, Wanted& wanted) {
  wanted.in_doubt = true;
  uint64_t index = 0;
  if (count == 0) {
    auto done = co_await server.deregister_job("default", id, false);
    if (!done) co_return;
    index = done->index;
  } else {
    RegisterRequest request;
    request.job = make_job(id, count);
    auto done = co_await server.register_job(std::move(request));
    if (!done) co_return;
    index = done->index;
  }
  wanted = {count, index, false};
}

void crash_and_go_on(uint64_t seed) {
  Kept kept(seed);
  Cluster& cluster = kept.cluster;
  LogStore& store = kept.start();
  for (int i = 0; i < 3; ++i) cluster.add_node();
  std::map<std::string, Wanted> jobs;
  for (int round = 0; round < 25; ++round) {
    Scope scope(cluster.executor);
    for (int i = 0; i < 3; ++i) {
      const std::string id = "job" + std::to_string(cluster.random.below(4));
      if (jobs[id].in_doubt) continue;
      const auto count = static_cast<int64_t>(cluster.random.below(4));
      if (count == 0 && jobs[id].index == 0) continue;
      scope.spawn(change(*cluster.server, id, count, jobs[id]));
    }
    cluster.executor.run_for(static_cast<int64_t>(cluster.random.below(120)));
    scope.cancel_all();
    cluster.crash();
    cluster.executor.run_for(static_cast<int64_t>(cluster.random.below(50)));
    kept.start();
    const Snapshot now = cluster.snapshot();
    for (auto& [id, wanted] : jobs) {
      if (wanted.index == 0 && !wanted.in_doubt) continue;
      const JobPtr job = now.job("default", id);
      REQUIRE(now.index() >= wanted.index);
      if (wanted.in_doubt) {  // either is right; what it is now, it stays
        wanted = {!job || job->stop ? 0 : job->groups[0].count, job ? job->modify_index : 0, false};
      }
      REQUIRE(((wanted.count == 0) == (!job || job->stop)));
      if (wanted.count > 0) REQUIRE(job->groups[0].count == wanted.count);
    }
  }
  REQUIRE(cluster.settle());
  size_t live = 0, running = 0;
  for (const auto& [id, wanted] : jobs) {
    REQUIRE(cluster.live(id).size() == static_cast<size_t>(wanted.count));
    live += cluster.live(id).size();
  }
  for (const auto& node : cluster.nodes) {
    running += node->running();
    REQUIRE(node->double_starts == 0);
  }
  EXPECT_EQ(running, live);
  EXPECT(store.checkpoints() > 0);
}

}  // namespace

TEST_CASE("a server that crashes at any time goes on from what was acknowledged") {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    crash_and_go_on(seed);
  }
}

TEST_CASE("a store without room refuses writes by name; tasks go on, and writes once it has room") {
  Kept kept(7);
  LogStore& store = kept.start();
  Cluster& cluster = kept.cluster;
  SimNode& node = cluster.add_node();
  cluster.executor.run_for(100);
  cluster.run_job(make_job("web", 2));
  REQUIRE(cluster.settle());
  const uint64_t index = cluster.snapshot().index();

  store.trouble.message = "state.db: database or disk is full";
  const auto attempt = [&] {
    RegisterRequest request;
    request.job = make_job("other", 1);
    return cluster.await(cluster.server->register_job(std::move(request)));
  };
  for (int i = 0; i < 5; ++i) {
    const auto refused = attempt();
    REQUIRE(!refused.has_value());
    EXPECT(refused.error().code == Code::kUnavailable);
    EXPECT_EQ(refused.error().message,
              "the store takes no writes: state.db: database or disk is full");
    cluster.executor.run_for(700);
  }
  EXPECT_EQ(cluster.server->write_trouble(), "state.db: database or disk is full");
  EXPECT_EQ(cluster.snapshot().index(), index);
  EXPECT(!cluster.snapshot().job("default", "other"));
  EXPECT_EQ(node.running(), 2u);
  EXPECT_EQ(node.stops, 0u);
  node.kill(cluster.live("web")[0]->id);  // cannot be written now; it is said again until it can

  store.trouble.message.clear();
  cluster.executor.run_for(2'000);
  REQUIRE(attempt().has_value());
  REQUIRE(cluster.settle());
  EXPECT_EQ(cluster.server->write_trouble(), "");
  EXPECT_EQ(cluster.live("other").size(), 1u);
  cluster.executor.run_for(120'000);
  EXPECT_EQ(cluster.live("web").size(), 2u);
  EXPECT_EQ(node.running(), 3u);
}

TEST_CASE("a server that starts while its store takes no writes goes on from what is there") {
  Kept kept(9);
  LogStore& store = kept.start();
  Cluster& cluster = kept.cluster;
  SimNode& node = cluster.add_node();
  cluster.executor.run_for(100);
  cluster.run_job(make_job("web", 2));
  REQUIRE(cluster.settle());
  const ClusterMeta before = cluster.snapshot().meta();
  cluster.crash();
  store.trouble.message = "full";
  node.facts().meta = {{"rack", "r2"}};  // cannot be written, and must not keep the node out
  kept.start();
  EXPECT_EQ(cluster.snapshot().meta().term, before.term);
  cluster.executor.run_for(60'000);
  EXPECT_EQ(node.running(), 2u);
  EXPECT(cluster.snapshot().node(node.id())->status == NodeStatus::kReady);
  store.trouble.message.clear();
  cluster.executor.run_for(3'000);
  EXPECT_EQ(cluster.snapshot().meta().term, before.term + 1);
  EXPECT_EQ(cluster.snapshot().meta().cluster_id, before.cluster_id);
  cluster.executor.run_for(60'000);
  EXPECT_EQ(cluster.snapshot().node(node.id())->meta.at("rack"), "r2");
  cluster.run_job(make_job("web", 3));
  REQUIRE(cluster.settle());
  EXPECT_EQ(node.running(), 3u);
  EXPECT_EQ(node.stops, 0u);
}

TEST_CASE("tokens, launches and dispatched jobs outlive the server, in a log and in a checkpoint") {
  for (const int more : {0, 40}) {  // changes after them: enough for checkpoints, or none
    CAPTURE(more);
    Kept kept(10);
    LogStore& store = kept.start();
    Cluster& cluster = kept.cluster;
    cluster.add_node();
    cluster.executor.run_for(100);
    auto changed = cluster.await(
        cluster.server->change_acl([](AclRecords& acl, uint64_t index) -> Result<void> {
          acl.bootstrapped = true;
          acl.policies["ops"] = {.name = "ops",
                                 .description = "those who \"operate\"",
                                 .rules = "namespace \"default\" { policy = \"write\" }\n",
                                 .create_index = index,
                                 .modify_index = index};
          acl.tokens["t-1"] = {.accessor_id = "t-1",
                               .secret_id = "s-1",
                               .name = "ci",
                               .type = "client",
                               .policies = {"ops", "gone"},
                               .global = true,
                               .create_time = {1'553'893'089'123'456'789},
                               .expiration_time = {1'653'893'089'123'456'789},
                               .create_index = index,
                               .modify_index = index};
          return {};
        }));
    REQUIRE(changed);
    Job tick = make_job("tick", 1);
    tick.type = "batch";
    tick.groups[0].update.reset();
    tick.groups[0].migrate.reset();
    tick.groups[0].reschedule.reset();
    Job mail = tick;
    mail.id = mail.name = "mail";
    mail.parameterized.emplace();
    mail.parameterized->meta_required = {"who"};
    tick.periodic.emplace();
    tick.periodic->spec = "* * * * *";
    cluster.run_job(tick);
    cluster.run_job(mail);
    auto sent = cluster.await(cluster.server->dispatch_job({.space = "default",
                                                            .id = "mail",
                                                            .meta = {{"who", "me"}},
                                                            .payload_base64 = "aGVsbG8=",
                                                            .idempotency_token = "once"}));
    REQUIRE(sent);
    cluster.executor.run_for(70'000);  // a launch
    for (int i = 0; i < more; ++i) cluster.run_job(make_job("web", 1 + i % 3));
    REQUIRE(cluster.settle());
    EXPECT((store.checkpoints() > 0) == (more > 0));
    const auto of = [&](const std::string& parent) {
      std::vector<std::string> ids;
      cluster.snapshot().tables().jobs.each([&](const JobPtr& job) {
        if (job->parent_id == parent) ids.push_back(job->id);
      });
      return ids;
    };
    const Snapshot before = cluster.snapshot();
    const auto launched = of("tick");
    REQUIRE(!launched.empty());
    REQUIRE(before.job("default", "tick")->periodic_launch_ns > 0);
    cluster.crash();
    kept.start();
    const Snapshot after = cluster.snapshot();
    EXPECT(after.meta().acl == before.meta().acl);
    EXPECT_EQ(after.meta().acl.tokens.at("t-1").policies.size(), 2u);
    EXPECT_EQ(after.job("default", "tick")->periodic_launch_ns,
              before.job("default", "tick")->periodic_launch_ns);
    const JobPtr child = after.job("default", sent->child_id);
    REQUIRE(child);
    EXPECT(child->dispatched);
    EXPECT_EQ(child->parent_id, "mail");
    EXPECT_EQ(child->payload, "aGVsbG8=");
    EXPECT_EQ(child->idempotency_token, "once");
    EXPECT_EQ(child->meta.at("who"), "me");
    cluster.executor.run_for(1'000);
    EXPECT_EQ(of("tick"), launched);  // what was launched is not launched again
    cluster.executor.run_for(60'000);
    EXPECT_EQ(of("tick").size(), launched.size() + 1);  // and the next one comes
  }
}

TEST_CASE("an append of unknown outcome ends all writing until the server starts again") {
  Kept kept(8);
  LogStore& store = kept.start();
  Cluster& cluster = kept.cluster;
  SimNode& node = cluster.add_node();
  cluster.executor.run_for(100);
  cluster.run_job(make_job("web", 2));
  REQUIRE(cluster.settle());
  store.trouble = {Code::kInternal, "fsync failed"};
  RegisterRequest request;
  request.job = make_job("other", 1);
  EXPECT(!cluster.await(cluster.server->register_job(request)).has_value());
  store.trouble.message.clear();
  cluster.executor.run_for(10'000);
  const auto refused = cluster.await(cluster.server->register_job(request));
  REQUIRE(!refused.has_value());
  EXPECT_EQ(refused.error().message, "no writes until the agent restarts: fsync failed");
  EXPECT_EQ(node.running(), 2u);
  cluster.crash();
  kept.start();
  EXPECT(cluster.await(cluster.server->register_job(request)).has_value());
  REQUIRE(cluster.settle());
  EXPECT_EQ(node.running(), 3u);
}

TEST_CASE("a drain's deadline that passes while the server is away is kept when it is back") {
  Kept kept(20);
  kept.start();
  Cluster& cluster = kept.cluster;
  SimNode& node = cluster.add_node();
  cluster.executor.run_for(100);
  cluster.run_job(make_job("web", 1));
  REQUIRE(cluster.settle());
  DrainStrategy strategy;
  strategy.deadline_ns = kMinuteNs;
  REQUIRE(cluster.await(cluster.server->drain_node({.node_id = node.id(), .drain = strategy})));
  cluster.executor.run_for(50'000);
  REQUIRE(node.running() == 1);  // there is nowhere else
  cluster.crash();
  cluster.executor.run_for(20'000);
  kept.start();
  cluster.executor.run_for(10'000);
  EXPECT_EQ(node.running(), 0u);
  EXPECT(!cluster.snapshot().node(node.id())->drain);
}

}  // namespace sluice::sim
