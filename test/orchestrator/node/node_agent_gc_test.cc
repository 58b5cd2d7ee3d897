// What allocations that are over cost a node, counted: next to nothing at a start, and at most so
// many of them stay.
#include <fmt/format.h>

#include "orchestrator/node/gc_limits.h"
#include "orchestrator/node/node_agent.h"
#include "test/orchestrator/node/node_world.h"

namespace sluice::orchestrator {

using test::make_alloc;
using test::World;

namespace {

std::string id_of(int number) {
  return fmt::format("{:08}-0000-4000-8000-000000000000", number);
}

/// One that ends for good once its task does.
AllocPtr batch_alloc(int number) {
  auto alloc = std::make_shared<Allocation>(*make_alloc(id_of(number)));
  auto job = std::make_shared<Job>(*alloc->job);
  job->type = "batch";
  alloc->job = job;
  return alloc;
}

/// As the server has it after the node's report.
AllocPtr complete(const AllocPtr& alloc) {
  auto over = std::make_shared<Allocation>(*alloc);
  over->client_status = ClientStatus::kComplete;
  return over;
}

std::vector<AllocPtr> all_complete(const std::vector<AllocPtr>& allocs) {
  std::vector<AllocPtr> over;
  for (const AllocPtr& alloc : allocs) over.push_back(complete(alloc));
  return over;
}

/// Runs them to their end, one after the other.
std::vector<AllocPtr> run_to_end(World& world, int count) {
  std::vector<AllocPtr> allocs;
  for (int i = 0; i < count; ++i) {
    allocs.push_back(batch_alloc(i));
    world.link.say(allocs);
    world.until([&] { return world.status(id_of(i)) == ClientStatus::kRunning; });
    world.machine.runs.at({.alloc_id = id_of(i), .task = "srv", .run = 1}).running = false;
    world.until([&] { return world.status(id_of(i)) == ClientStatus::kComplete; });
  }
  return allocs;
}

bool has_record(const World& world, int number) {
  return std::filesystem::exists(world.folder + "/client/allocs/" + id_of(number) + ".json");
}

bool has_folder(const World& world, int number) {
  return std::filesystem::exists(world.folder + "/alloc/" + id_of(number));
}

}  // namespace

TEST_CASE("at a start, allocations that are over are read once, and no more is done for them") {
  constexpr int kCount = 20;
  World world;
  world.start_agent();
  const std::vector<AllocPtr> over = all_complete(run_to_end(world, kCount));
  world.link.say(over);
  world.settle();
  world.kill_agent();
  world.link.reports.clear();
  world.machine.log.clear();
  world.disk.reads = world.disk.writes = world.disk.folders = 0;
  world.start_agent();
  const int fetched = world.link.fetched;
  world.until([&] { return world.link.fetched > fetched; });
  world.settle();
  EXPECT_EQ(world.disk.reads.load(), kCount + 2);  // and the node's id and cluster
  EXPECT_EQ(world.disk.writes.load(), 1);          // the list that was acted on
  EXPECT_EQ(world.disk.folders.load(), 1);         // the records' own
  EXPECT(world.link.reports.empty());
  EXPECT(world.machine.log.empty());
  for (int i = 0; i < kCount; ++i) {
    EXPECT(world.agent->find(id_of(i)) == nullptr);
    EXPECT(has_record(world, i));
    EXPECT(has_folder(world, i));
  }
}

TEST_CASE("with more allocations than gc_max_allocs, the oldest of those that are over go") {
  World world;
  world.gc.max_allocs = 3;
  world.start_agent();
  std::vector<AllocPtr> allocs = run_to_end(world, 5);
  const auto here = [&](int number) { return has_record(world, number); };
  for (int i = 0; i < 5; ++i) EXPECT(here(i));  // the server has not said yet that it knows
  allocs = all_complete(allocs);
  allocs.push_back(make_alloc("live"));
  world.link.say(allocs);
  world.until([&] { return world.status("live") == ClientStatus::kRunning; });
  world.until([&] { return !has_record(world, 2); });
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(has_record(world, i), i > 2);
    EXPECT_EQ(has_folder(world, i), i > 2);
  }
  // The server may list them for long: nothing of it starts again, here or after a restart.
  world.machine.log.clear();
  world.link.reports.clear();
  world.link.say(allocs);
  world.settle();
  world.kill_agent();
  world.start_agent();
  world.until([&] { return world.status("live") == ClientStatus::kRunning; });
  world.settle();
  std::erase(world.machine.log, "recover srv#1");
  EXPECT(world.machine.log.empty());
  EXPECT_EQ(world.link.reports.size(), 1u);
  // What runs is not limited.
  world.link.say(
      {allocs[3], allocs[4], allocs[5], make_alloc("b"), make_alloc("c"), make_alloc("d")});
  world.until([&] { return world.status("d") == ClientStatus::kRunning; });
  world.until([&] { return !has_folder(world, 3) && !has_folder(world, 4); });
  world.until([&] { return world.machine.runs.size() == 4; });
}

TEST_CASE("what has to go: too many allocations, too full a disk, too many files on it") {
  const GcLimits limits{.max_allocs = 3, .disk_usage_percent = 80, .inode_usage_percent = 70.5};
  EXPECT_EQ(excess_allocs(limits, 3), 0u);
  EXPECT_EQ(excess_allocs(limits, 5), 2u);
  EXPECT_EQ(excess_allocs({.max_allocs = 0}, 5), 5u);
  EXPECT_EQ(disk_trouble(limits, {.used_percent = 80, .inodes_used_percent = 70.5}), "");
  EXPECT_EQ(disk_trouble(limits, {.used_percent = 80.6}),
            "81 % of the disk is used, over gc_disk_usage_threshold = 80");
  EXPECT_EQ(disk_trouble(limits, {.used_percent = 80, .inodes_used_percent = 71}),
            "71 % of the inodes are used, over gc_inode_usage_threshold = 70.5");
}

TEST_CASE("with the disk too full the oldest go, one by one, and no more than have to") {
  World world;
  world.gc.interval_ms = 10;
  const auto count = [&] { return world.disk.list(world.folder + "/alloc")->size(); };
  // Each of them is 10 % of the disk. Asked on the pool, one at a time.
  double others = 0;
  world.disk.space_now = [&]() -> Result<DiskSpace> {
    return DiskSpace{.used_percent = others + 10 * static_cast<double>(count())};
  };
  world.start_agent();
  std::vector<AllocPtr> allocs = all_complete(run_to_end(world, 6));
  allocs.push_back(make_alloc("live"));
  world.link.say(allocs);
  world.until([&] { return world.status("live") == ClientStatus::kRunning; });
  const auto looked = [&] {
    const int looks = world.disk.looks;
    world.until([&] { return world.disk.looks > looks + 1; });
  };
  looked();
  EXPECT_EQ(count(), 7u);
  others = 31;  // 101 %
  world.until([&] { return count() == 4; });
  looked();
  EXPECT_EQ(count(), 4u);
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(has_folder(world, i), i > 2);
    EXPECT_EQ(has_record(world, i), i > 2);
  }
  // What runs stays, however full the disk is, and one that cannot be looked at empties nothing.
  world.disk.space_now = [] { return fail(Code::kUnavailable, "no such disk"); };
  looked();
  EXPECT_EQ(count(), 4u);
  world.disk.space_now = [] { return DiskSpace{.inodes_used_percent = 100}; };
  world.until([&] { return count() == 1; });
  looked();
  EXPECT(world.machine.runs.at({.alloc_id = "live", .task = "srv", .run = 1}).running);
  EXPECT(std::filesystem::exists(world.folder + "/alloc/live"));
}

TEST_CASE("allocations that are over go when asked: one of them, or all") {
  World world;
  world.start_agent();
  std::vector<AllocPtr> allocs = all_complete(run_to_end(world, 3));
  allocs.push_back(batch_alloc(9));
  world.link.say(allocs);
  world.until([&] { return world.status(id_of(9)) == ClientStatus::kRunning; });
  const auto collect = [&](const std::string& id) {
    auto ask = [](World& w, std::string wanted, int& answer) -> Task<void> {
      answer = co_await w.agent->collect_alloc(std::move(wanted));
    };
    int answer = -1;
    Scope scope(world.loop);
    scope.spawn(ask(world, id, answer));
    world.until([&] { return answer >= 0; });
    return answer == 1;
  };
  EXPECT(!collect(id_of(9)));
  EXPECT(!collect("nothing"));
  EXPECT(collect(id_of(1)));
  EXPECT(!collect(id_of(1)));
  world.until([&] { return !has_record(world, 1) && !has_folder(world, 1); });
  EXPECT(has_record(world, 0));
  EXPECT(has_record(world, 2));
  // The server knows that another one has ended, and has told the node nothing since.
  world.machine.runs.at({.alloc_id = id_of(9), .task = "srv", .run = 1}).running = false;
  world.until([&] { return world.status(id_of(9)) == ClientStatus::kComplete; });
  world.link.desired.allocs.back() = complete(allocs.back());
  Scope scope(world.loop);
  scope.spawn(world.agent->collect_all());
  world.until(
      [&] { return !has_record(world, 0) && !has_record(world, 2) && !has_record(world, 9); });
  EXPECT(!has_folder(world, 9));
}

TEST_CASE("what the server forgot goes, also where that was while the agent was away") {
  World world;
  world.start_agent();
  const std::vector<AllocPtr> over = all_complete(run_to_end(world, 3));
  world.link.say(over);
  world.settle();
  world.link.say({over[1], over[2]});
  world.until([&] { return !has_folder(world, 0) && !has_record(world, 0); });
  world.kill_agent();
  world.link.desired.allocs = {over[2]};
  world.start_agent();
  world.until([&] { return !has_folder(world, 1) && !has_record(world, 1); });
  EXPECT(has_folder(world, 2));
  EXPECT(has_record(world, 2));
}

TEST_CASE("a failed allocation of a deployment is looked after until its health is known") {
  World world;
  world.start_agent();
  auto alloc = std::make_shared<Allocation>(*complete(run_to_end(world, 1)[0]));
  alloc->deployment_id = "deployment";
  alloc->alloc_modify_index = 2;
  world.link.say({alloc});
  world.settle();
  EXPECT(world.agent->find(id_of(0)) != nullptr);
  auto known = std::make_shared<Allocation>(*alloc);
  known->deployment_status.emplace().healthy = false;
  world.link.say({known});
  world.until([&] { return world.agent->find(id_of(0)) == nullptr; });
}

}  // namespace sluice::orchestrator
