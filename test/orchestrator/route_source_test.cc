#include "orchestrator/route_source.h"

#include <utility>

#include "core/loop.h"
#include "test/test.h"

namespace sluice::orchestrator {

namespace {

ServiceInstance instance(std::string id, bool healthy, std::vector<std::string> tags) {
  return ServiceInstance{.id = std::move(id),
                         .service = "web",
                         .address = "10.0.0.1",
                         .port = 8080,
                         .node = "n",
                         .datacenter = "dc1",
                         .tags = std::move(tags),
                         .meta = {},
                         .checks = {CheckState{}},
                         .healthy = healthy};
}

/// Keeps what it was told.
class FakeSink final : public proxy::RouteSink {
 public:
  std::map<std::string, proxy::RouteEdit> keys;
  uint64_t version = 0;
  std::vector<std::string> asked;
  std::move_only_function<void()> done;

  uint64_t apply(std::vector<proxy::RouteEdit> edits) override {
    for (auto& edit : edits) keys[edit.key] = std::move(edit);
    return ++version;
  }
  void when_drained(std::vector<std::string> instances, uint64_t,
                    std::move_only_function<void()> call) override {
    asked = std::move(instances);
    done = std::move(call);
  }
  std::vector<proxy::RejectedRoute> rejected() const override { return {}; }
};

}  // namespace

TEST_CASE("a route for each tag of each instance; a wrong tag is rejected alone") {
  const auto edit = make_route_edit(
      {.service = "web",
       .instances = {instance("a", true, {"urlprefix-x.com/", "urlprefix-/p strip=/p", "v1"}),
                     instance("b", false, {"urlprefix-x.com/", "urlprefix-x.com/ weight=many"})}},
      "urlprefix-", {});
  REQUIRE(edit.routes.size() == 3);
  EXPECT_EQ(edit.routes[0].host, "x.com");
  EXPECT_EQ(edit.routes[0].instance, "a");
  EXPECT(edit.routes[0].healthy);
  EXPECT_EQ(edit.routes[1].options.strip, "/p");
  EXPECT(!edit.routes[2].healthy);
  REQUIRE(edit.rejected.size() == 1);
  EXPECT_EQ(edit.rejected[0].tag, "urlprefix-x.com/ weight=many");
}

TEST_CASE("an instance without a check gets no route") {
  ServiceInstance bare = instance("a", true, {"urlprefix-/"});
  bare.checks.clear();
  EXPECT(make_route_edit({.service = "web", .instances = {bare}}, "urlprefix-", {}).routes.empty());
}

TEST_CASE(
    "a draining instance keeps its place and gets nothing; the drain ends when the sink says so") {
  UvLoop loop;
  FakeSink sink;
  RouteSource source(loop, sink, "urlprefix-");
  source.apply({{.service = "web",
                 .instances = {instance("a", true, {"urlprefix-/"}),
                               instance("b", true, {"urlprefix-/"})}}});
  bool drained = false;
  Scope scope(loop);
  auto body = [](RouteSource& from, UvLoop& on, bool& out) -> Task<void> {
    co_await from.drain({"a"});
    out = true;
    on.stop();
  };
  scope.spawn(body(source, loop, drained));
  loop.post([&] { loop.post([&] { loop.stop(); }); });
  loop.run();
  EXPECT(!drained);
  EXPECT_EQ(sink.asked, std::vector<std::string>{"a"});
  EXPECT(!sink.keys["web"].routes[0].healthy);
  EXPECT(sink.keys["web"].routes[1].healthy);
  sink.done();
  loop.run();
  EXPECT(drained);
  // News of the service in between does not undo the mark.
  source.apply({{.service = "web", .instances = {instance("a", true, {"urlprefix-/"})}}});
  EXPECT(!sink.keys["web"].routes[0].healthy);
  // Nor does its end, as long as the catalog lists it: a Consul that is away says what it said
  // last.
  source.forget({"a"});
  source.apply({{.service = "web", .instances = {instance("a", true, {"urlprefix-/"})}}});
  EXPECT(!sink.keys["web"].routes[0].healthy);
  // Once it is not listed, nothing of it is kept.
  source.apply({{.service = "web", .instances = {}}});
  source.apply({{.service = "web", .instances = {instance("a", true, {"urlprefix-/"})}}});
  EXPECT(sink.keys["web"].routes[0].healthy);
}

TEST_CASE("a service that is gone loses its routes, and others keep theirs") {
  UvLoop loop;
  FakeSink sink;
  RouteSource source(loop, sink, "urlprefix-");
  source.apply({{.service = "web", .instances = {instance("a", true, {"urlprefix-/"})}},
                {.service = "api", .instances = {instance("c", true, {"urlprefix-/api"})}}});
  source.apply({{.service = "web", .instances = {}}});
  EXPECT(sink.keys["web"].routes.empty());
  EXPECT_EQ(sink.keys["api"].routes.size(), 1u);
}

}  // namespace sluice::orchestrator
