// The form in which stores keep commits and snapshots: what is written is what is read.
#include "orchestrator/store.h"

#include "core/json.h"
#include "test/orchestrator/sample_state.h"
#include "test/test.h"

using namespace sluice;
using namespace sluice::orchestrator;
using namespace sluice::orchestrator::test;

namespace {

/// As a store does it at load.
Result<void> replay(State& state, std::string_view text) {
  Result<Commit> commit = decode_commit(text, state.snapshot());
  if (!commit) return pass(commit);
  state.replay(*commit);
  return {};
}

std::string api_form(const Allocation& alloc) {
  std::string text;
  JsonWriter out(text);
  write_allocation(out, alloc);
  return text;
}

}  // namespace

TEST_CASE("commits that are replayed make the same state, at each index") {
  State state, again;
  for (int i = 0; i < 60; ++i) {
    const auto commit = sample_commits(state, 1).front();
    const std::string text = encode_commit(*commit);
    const Result<void> done = replay(again, text);
    INFO(i << ": " << text << (done ? std::string() : done.error().message));
    REQUIRE(done.has_value());
    REQUIRE(dump(again.snapshot()) == dump(state.snapshot()));
  }
  EXPECT_EQ(again.index(), 60u);
  EXPECT(again.snapshot().node("n1")->last_drain == state.snapshot().node("n1")->last_drain);
  EXPECT(again.snapshot().scaling("default", "web")->groups ==
         state.snapshot().scaling("default", "web")->groups);
  const JobPtr web = state.snapshot().job("default", "web");
  EXPECT_EQ(again.snapshot().submission("default", "web", web->version)->source,
            "job \"web\" {}\n");
}

TEST_CASE("a checkpoint in parts of any size makes the same state, marks and old versions too") {
  State state;
  sample_commits(state, 100);
  const Snapshot snapshot = state.snapshot();
  REQUIRE(snapshot.job_versions("default", "web").size() > kMaxJobVersions);  // some are needed
  for (const size_t size : {1, 2, 7, 1'000}) {
    State again;
    size_t parts = 0;
    Result<void> done = encode_snapshot(snapshot, size, [&](std::string part) -> Result<void> {
      ++parts;
      return replay(again, part);
    });
    INFO((done ? std::string() : done.error().message));
    REQUIRE(done.has_value());
    EXPECT(parts >= 100 / size / 2);
    EXPECT_EQ(dump(again.snapshot()), dump(snapshot));
    for (const Topic& topic :
         {Topic{Topic::Kind::kNodes, "", ""}, Topic{Topic::Kind::kAllocs, "", ""},
          Topic{Topic::Kind::kOrdersOfNode, "n1", ""}, Topic{Topic::Kind::kAllocsOfNode, "n1", ""},
          Topic{Topic::Kind::kOfJob, "web", "default"}}) {
      EXPECT_EQ(again.snapshot().last_change(topic), snapshot.last_change(topic));
    }
    // What is not in the records but follows from them.
    EXPECT(again.snapshot().of_node("n1")->usage.ports == snapshot.of_node("n1")->usage.ports);
    EXPECT(again.snapshot().of_job("default", "web")->summary ==
           snapshot.of_job("default", "web")->summary);
    snapshot.tables().allocs.each([&](const AllocPtr& alloc) {
      EXPECT_EQ(api_form(*again.snapshot().alloc(alloc->id)), api_form(*alloc));
    });
    // And both go on alike.
    State one(again.snapshot()), other(snapshot);
    for (const auto& commit : sample_commits(one, 20)) {
      REQUIRE(replay(other, encode_commit(*commit)).has_value());
    }
    EXPECT_EQ(dump(one.snapshot()), dump(other.snapshot()));
  }
}

TEST_CASE("a sink's error ends a checkpoint") {
  State state;
  sample_commits(state, 50);
  int parts = 0;
  Result<void> done = encode_snapshot(state.snapshot(), 1, [&](std::string) -> Result<void> {
    if (++parts == 3) return fail(Code::kLimit, "full");
    return {};
  });
  REQUIRE(!done.has_value());
  EXPECT_EQ(done.error().message, "full");
  EXPECT_EQ(parts, 3);
}

TEST_CASE("allocations of a purged job can be read back, and their versions go with them") {
  State state, again;
  Commit first;
  first.nodes = {sample_node("n1")};
  first.jobs = {sample_job("web")};
  state.apply(first);
  Commit second;
  second.allocs = {sample_alloc("a1", "n1", state.snapshot().job("default", "web"))};
  state.apply(second);
  Commit purge;
  purge.deletes = {{RecordKind::kJob, "web", "default"}};
  state.apply(purge);
  Commit update;
  update.allocs = {std::make_shared<Allocation>(*state.snapshot().alloc("a1"))};
  update.allocs[0]->client_status = ClientStatus::kComplete;
  state.apply(update);
  for (const Commit* commit : {&first, &second, &purge, &update}) {
    REQUIRE(replay(again, encode_commit(*commit)).has_value());
  }
  EXPECT_EQ(dump(again.snapshot()), dump(state.snapshot()));
  EXPECT_EQ(state.snapshot().alloc("a1")->job->meta, again.snapshot().alloc("a1")->job->meta);

  SUBCASE("the purged job's versions are not those of a new one") {
    EXPECT(state.snapshot().job_versions("default", "web").empty());
    EXPECT_EQ(state.snapshot().last_job_version("default", "web"), 0);
    auto fresh = sample_job("web");
    fresh->version = 1;
    Commit anew;
    anew.jobs = {fresh};
    state.apply(anew);
    REQUIRE(state.snapshot().job_versions("default", "web").size() == 1);
    EXPECT(!state.snapshot().job_version("default", "web", 0));
    EXPECT_EQ(state.snapshot().alloc("a1")->job->version, 0);
  }
  SUBCASE("the last allocation takes them along") {
    Commit gone;
    gone.deletes = {{RecordKind::kAlloc, "a1", ""}};
    state.apply(gone);
    EXPECT_EQ(state.snapshot().last_job_version("default", "web"), -1);
    EXPECT_EQ(state.snapshot().tables().versions.size(), 0u);
  }
}

TEST_CASE("an allocation whose version the state has not brings it along") {
  State state, again;
  Commit first;
  first.nodes = {sample_node("n1")};
  auto job = sample_job("web");
  first.jobs = {job};
  state.apply(first);
  Commit purge;
  purge.deletes = {{RecordKind::kJob, "web", "default"}};
  state.apply(purge);
  Commit late;  // planned before the purge
  late.allocs = {sample_alloc("a1", "n1", job)};
  state.apply(late);
  EXPECT_EQ(late.versions.size(), 1u);
  for (const Commit* commit : {&first, &purge, &late}) {
    REQUIRE(replay(again, encode_commit(*commit)).has_value());
  }
  EXPECT(!again.snapshot().job("default", "web"));
  EXPECT_EQ(dump(again.snapshot()), dump(state.snapshot()));
}

TEST_CASE("what is no commit is refused, and says where") {
  const auto problem = [](std::string_view text) {
    Result<Commit> commit = decode_commit(text, Snapshot());
    return commit ? std::string() : commit.error().message;
  };
  EXPECT_EQ(problem("[]"), "not an object");
  EXPECT(problem("{\"Index\":1").find("JSON") != std::string::npos);
  EXPECT_EQ(problem("{\"Nodes\":{}}"), "Nodes: must be a list");
  EXPECT_EQ(problem("{\"Nodes\":[{\"Status\":\"resting\"}]}"), "Status: unknown value \"resting\"");
  EXPECT_EQ(problem("{\"Deletes\":[[\"thing\",\"x\",\"\"]]}"), "Deletes: unknown kind \"thing\"");
  EXPECT_EQ(problem("{\"Deletes\":[[\"node\",\"x\"]]}"), "rows: must be a list of lists of 3");
  EXPECT_EQ(
      problem("{\"Allocs\":[{\"ID\":\"a\",\"Group\":\"g\",\"JobID\":\"j\",\"JobVersion\":4}]}"),
      "Allocs: \"a\" is of group \"g\" of job \"j\" version 4, which is not there");
}
