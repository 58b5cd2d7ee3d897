// When readers see a table, when it is freed, and when an instance is drained.
#include <string>
#include <vector>

#include "test/proxy/publishing.h"
#include "test/test.h"

namespace sluice::proxy::test {
namespace {

TEST_CASE("readers see each version when they run; tables are freed when none looks") {
  FakeLoop control;
  FakeLoop reactor;
  FakeLoop other;
  Publisher publisher({}, control.post(), nullptr);
  TableReader& reader = publisher.add_reader(reactor.post());
  TableReader& slow = publisher.add_reader(other.post());
  publisher.apply(edit("web", {spec("web", "a.com", "/", 1)}));
  EXPECT_EQ(reader.table().version(), 0u);
  reactor.run();
  control.run();
  EXPECT_EQ(reader.table().version(), 1u);
  EXPECT_EQ(publisher.tables_held(), 2u);  // the slow one still has version 0
  other.run();
  control.run();
  EXPECT_EQ(publisher.tables_held(), 1u);

  TableReader::Pin pin = reader.pin();
  const Route* route = reader.table().find_host("a.com")->match("/");
  publisher.apply(edit("web", {spec("web", "a.com", "/", 2)}));
  publisher.apply(edit("web", {}));
  reactor.run();
  other.run();
  control.run();
  EXPECT_EQ(publisher.tables_held(), 2u);  // the pinned one and the newest, not the one between
  EXPECT_EQ(route->targets()[0]->service(), "web");
  pin = {};
  control.run();
  EXPECT_EQ(publisher.tables_held(), 1u);
  EXPECT_EQ(publisher.endpoint_count(), 0u);
  publisher.remove_reader(reader);
  publisher.remove_reader(slow);
}

TEST_CASE("drained: acknowledged by every reactor, and nothing under way") {
  FakeLoop control;
  FakeLoop reactor;
  FakeLoop other;
  Publisher publisher({}, control.post(), nullptr);
  TableReader& reader = publisher.add_reader(reactor.post());
  TableReader& slow = publisher.add_reader(other.post());
  const auto settle = [&] {
    reactor.run();
    other.run();
    control.run();
  };
  publisher.apply(
      edit("web", {spec("web", "a.com", "/", 1, "i1"), spec("web", "a.com", "/", 2, "i2")}));
  settle();
  const Route* route = reader.table().find_host("a.com")->match("/");
  const Endpoint& first = *route->targets()[0]->endpoint();
  REQUIRE(first.port() == 1);
  first.begin();
  first.begin();

  bool done = false;
  const uint64_t version = publisher.apply(edit("web", {spec("web", "a.com", "/", 2, "i2")}));
  EXPECT(first.retired());
  publisher.when_drained({"i1"}, version, [&] { done = true; });
  EXPECT(!done);
  settle();
  EXPECT(!done);  // two are under way
  first.end();
  control.run();
  EXPECT(!done);
  first.end();
  control.run();
  EXPECT(done);
  EXPECT_EQ(publisher.endpoint_count(), 1u);

  // Nothing under way, but one reactor has not acknowledged: it could still pick.
  done = false;
  const uint64_t next = publisher.apply(edit("web", {}));
  publisher.when_drained({"i2"}, next, [&] { done = true; });
  reactor.run();
  control.run();
  EXPECT(!done);
  slow.table().find_host("a.com")->match("/")->targets()[0]->endpoint()->begin();
  const Endpoint& second = *slow.table().find_host("a.com")->match("/")->targets()[0]->endpoint();
  other.run();
  control.run();
  EXPECT(!done);
  second.end();
  control.run();
  EXPECT(done);
  EXPECT_EQ(publisher.endpoint_count(), 0u);

  // An instance that is not there is drained at the version; one that still has a route is not.
  int calls = 0;
  publisher.when_drained({"never", "i1"}, next, [&] { ++calls; });
  EXPECT_EQ(calls, 0);  // never inside the call
  control.run();
  EXPECT_EQ(calls, 1);
  publisher.apply(edit("web", {spec("web", "a.com", "/", 3, "i3")}));
  publisher.when_drained({"i3"}, next, [&] { ++calls; });
  settle();
  EXPECT_EQ(calls, 1);
  publisher.apply(edit("web", {}));
  settle();
  EXPECT_EQ(calls, 2);
  publisher.remove_reader(reader);
  publisher.remove_reader(slow);
}

TEST_CASE("an instance that is listed but gets nothing is drained, once what is under way ends") {
  FakeLoop control;
  FakeLoop reactor;
  Publisher publisher({}, control.post(), nullptr);
  TableReader& reader = publisher.add_reader(reactor.post());
  const auto settle = [&] {
    reactor.run();
    control.run();
  };
  publisher.apply(edit("web", {spec("web", "a.com", "/", 1, "i1")}));
  settle();
  const Endpoint& endpoint =
      *reader.table().find_host("a.com")->match("/")->targets()[0]->endpoint();
  endpoint.begin();
  const auto listed = [&] {
    RouteSpec marked = spec("web", "a.com", "/", 1, "i1");
    marked.healthy = false;
    return edit("web", {marked});
  };
  int calls = 0;
  const uint64_t version = publisher.apply(listed());
  publisher.when_drained({"i1"}, version, [&] { ++calls; });
  EXPECT(endpoint.retired());
  settle();
  EXPECT_EQ(calls, 0);
  endpoint.end();
  control.run();
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(reader.table().find_host("a.com")->match("/")->all_targets().size(), 1u);

  // Back for a moment: it counts again. Never healthy: it never counts.
  publisher.apply(edit("web", {spec("web", "a.com", "/", 1, "i1")}));
  publisher.when_drained({"i1"}, version, [&] { ++calls; });
  settle();
  EXPECT_EQ(calls, 1);
  publisher.apply(edit("web", {}));
  settle();
  EXPECT_EQ(calls, 2);
  publisher.when_drained({"i1"}, publisher.apply(listed()), [&] { ++calls; });
  settle();
  EXPECT_EQ(calls, 3);
  publisher.apply(edit("web", {}));
  settle();
  EXPECT_EQ(publisher.endpoint_count(), 0u);
  publisher.remove_reader(reader);
}

TEST_CASE("endpoints of ondown=close are told of when they fail, not when they leave or rest") {
  FakeLoop control;
  Publisher publisher({}, control.post(), nullptr);
  std::vector<uint16_t> down;
  publisher.set_on_down([&](const Publisher::Down& endpoints) {
    for (const EndpointRef& each : *endpoints) down.push_back(each->port());
  });
  const auto state = [&](bool closes, bool healthy, bool draining) {
    RouteSpec one = spec("web", "a.com", "/", 1, "i1");
    one.options.close_on_down = closes;
    one.healthy = healthy;
    one.draining = draining;
    return edit("web", {one});
  };
  publisher.apply(state(true, true, false));
  const Endpoint& endpoint =
      *publisher.table().find_host("a.com")->match("/")->targets()[0]->endpoint();
  publisher.apply(state(true, false, false));
  EXPECT_EQ(down.size(), 0u);  // nothing was under way
  publisher.apply(state(true, true, false));
  endpoint.begin();
  publisher.apply(state(true, false, true));
  publisher.apply(state(true, true, false));
  publisher.apply(state(false, false, false));
  publisher.apply(state(true, true, false));
  publisher.apply(edit("web", {}));
  publisher.apply(state(true, true, false));
  // Another route still leads there.
  publisher.apply(edit("too", {spec("too", "b.com", "/", 1, "i1")}));
  publisher.apply(state(true, false, false));
  EXPECT_EQ(down.size(), 0u);
  publisher.apply(edit("too", {}));
  publisher.apply(state(true, true, false));
  publisher.apply(state(true, false, false));
  EXPECT_EQ(down, std::vector<uint16_t>{1});
  endpoint.end();
  publisher.apply(edit("web", {}));
}

}  // namespace
}  // namespace sluice::proxy::test
