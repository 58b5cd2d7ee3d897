#include "orchestrator/route_source.h"

#include <utility>

#include "core/loop.h"
#include "test/run_loop.h"
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
  sluice::test::run_until_stopped(loop);
  EXPECT(!drained);
  EXPECT_EQ(sink.asked, std::vector<std::string>{"a"});
  EXPECT(!sink.keys["web"].routes[0].healthy);
  EXPECT(sink.keys["web"].routes[1].healthy);
  sink.done();
  sluice::test::run_until_stopped(loop);
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

TEST_CASE("an instance that leaves the catalog while it drains keeps its place until it is gone") {
  UvLoop loop;
  FakeSink sink;
  RouteSource source(loop, sink, "urlprefix-");
  source.apply({{.service = "web", .instances = {instance("a", true, {"urlprefix-/"})}}});
  Scope scope(loop);
  scope.spawn(source.drain({"a"}));
  loop.post([&] { loop.post([&] { loop.stop(); }); });
  sluice::test::run_until_stopped(loop);
  source.apply({{.service = "web", .instances = {}}});
  REQUIRE(sink.keys["web"].routes.size() == 1);
  EXPECT(!sink.keys["web"].routes[0].healthy);
  // Its successor comes beside it.
  source.apply({{.service = "web", .instances = {instance("b", true, {"urlprefix-/"})}}});
  EXPECT_EQ(sink.keys["web"].routes.size(), 2u);
  source.forget({"a"});
  REQUIRE(sink.keys["web"].routes.size() == 1);
  EXPECT_EQ(sink.keys["web"].routes[0].instance, "b");
  sink.done();
}

TEST_CASE("what was inherited gets traffic until the catalog has said it, and drains as it does") {
  UvLoop loop;
  FakeSink sink;
  Event gone(loop);
  RouteSource source(loop, sink, "urlprefix-");
  const auto inherited = [](const char* id) {
    proxy::RouteSpec spec{.service = "web", .instance = id, .host = "", .path = "/"};
    return spec;
  };
  source.inherit(
      {.key = "inherited",
       .routes = {inherited("p-a-1"), inherited("p-b-1"), inherited("p-c-1"), inherited("other")}},
      gone);
  EXPECT_EQ(source.instances_of("p-"), std::set<std::string>{"p-a-1", "p-b-1", "p-c-1"});
  // Its check has not passed yet: what was known of it counts.
  source.apply({{.service = "web", .instances = {instance("p-a-1", false, {"urlprefix-/"})}}});
  EXPECT(!sink.keys.contains("inherited"));
  source.apply({{.service = "web", .instances = {instance("p-a-1", true, {"urlprefix-/"})}}});
  EXPECT_EQ(sink.keys["inherited"].routes.size(), 3u);
  EXPECT_EQ(source.instances_of("p-a-"), std::set<std::string>{});
  // One that stops before the catalog has it rests in its place; the predecessor's requests count.
  bool drained = false;
  Scope scope(loop);
  auto body = [](RouteSource& from, UvLoop& on, bool& out) -> Task<void> {
    co_await from.drain({"p-b-1"});
    out = true;
    on.stop();
  };
  scope.spawn(body(source, loop, drained));
  const auto turn = [&] {
    loop.post([&] { loop.post([&] { loop.stop(); }); });
    sluice::test::run_until_stopped(loop);
  };
  turn();
  REQUIRE(sink.keys["inherited"].routes.size() == 3);
  EXPECT(!sink.keys["inherited"].routes[0].healthy);
  EXPECT(sink.keys["inherited"].routes[1].healthy);
  sink.done();
  turn();
  EXPECT(!drained);
  gone.set();
  sluice::test::run_until_stopped(loop);
  EXPECT(drained);
  source.forget({"p-b-1"});
  EXPECT_EQ(source.instances_of("p-"), std::set<std::string>{"p-c-1"});
  source.forget_inherited();
  EXPECT(sink.keys["inherited"].routes.empty());
  EXPECT_EQ(sink.keys["web"].routes.size(), 1u);
}

TEST_CASE("a service that sleeps has its places while none of its instances is healthy") {
  UvLoop loop;
  FakeSink sink;
  RouteSource source(loop, sink, "urlprefix-");
  const StringList tags = {"urlprefix-x.com/ deny=ip:10.0.0.0/8", "v1",
                           "urlprefix-y.com/ redirect=301,https://x.com$path"};
  source.set_sleeping({{"web", tags}, {"other", {"urlprefix-/other"}}});
  REQUIRE(sink.keys["web"].routes.size() == 1);  // a redirect needs nobody
  const proxy::RouteSpec place = sink.keys["web"].routes[0];
  EXPECT_EQ(place.host, "x.com");
  EXPECT(!place.healthy);
  EXPECT(place.options.limits.wakes);
  EXPECT_EQ(place.options.deny.size(), 1u);
  EXPECT_EQ(source.routes_of("web").size(), 1u);

  source.apply({{.service = "web", .instances = {instance("a", false, {tags[0]})}}});
  REQUIRE(sink.keys["web"].routes.size() == 2);
  EXPECT(!sink.keys["web"].routes[0].options.limits.wakes);
  EXPECT(sink.keys["web"].routes[1].options.limits.wakes);
  source.apply({{.service = "web", .instances = {instance("a", true, {tags[0]})}}});
  REQUIRE(sink.keys["web"].routes.size() == 1);
  EXPECT(sink.keys["web"].routes[0].healthy);

  // The last one leaves: its place is there before it has gone.
  source.apply({{.service = "web", .instances = {}}});
  EXPECT_EQ(sink.keys["web"].routes.size(), 1u);
  source.set_sleeping({{"web", tags}});
  EXPECT(sink.keys["other"].routes.empty());
  source.set_sleeping({});
  EXPECT(sink.keys["web"].routes.empty());
}

TEST_CASE("canary-weight: the canaries together get that share; a wrong one is rejected") {
  const auto tagged = [](const char* id, const char* weight, bool healthy = true) {
    return instance(id, healthy, {"urlprefix-/", weight});
  };
  const auto weights = [](std::vector<ServiceInstance> instances) {
    std::vector<double> out;
    const auto edit =
        make_route_edit({.service = "web", .instances = std::move(instances)}, "urlprefix-", {});
    for (const auto& route : edit.routes) out.push_back(route.options.weight);
    return out;
  };
  EXPECT_EQ(weights({tagged("a", "v1"), tagged("b", "canary-weight=0.2")}),
            std::vector<double>{0, 0.2});
  EXPECT_EQ(weights({tagged("a", "canary-weight=10%"), tagged("b", "canary-weight=10%"),
                     tagged("c", "canary-weight=10%", false)}),
            std::vector<double>{0.05, 0.05, 0});
  for (const char* wrong : {"canary-weight=", "canary-weight=0", "canary-weight=1.5",
                            "canary-weight=120%", "canary-weight=-1", "canary-weight=x"}) {
    CAPTURE(wrong);
    const auto edit =
        make_route_edit({.service = "web", .instances = {tagged("a", wrong)}}, "urlprefix-", {});
    REQUIRE(edit.rejected.size() == 1);
    EXPECT_EQ(edit.rejected[0].tag, wrong);
    REQUIRE(edit.routes.size() == 1);
    EXPECT_EQ(edit.routes[0].options.weight, 0);
  }
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
