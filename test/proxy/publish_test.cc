#include "proxy/publish.h"

#include <string>
#include <vector>

#include "proxy/pick.h"
#include "test/proxy/publishing.h"
#include "test/test.h"

namespace sluice::proxy::test {
namespace {

/// "service port weight" of each target that can be picked, in order.
std::vector<std::string> targets_of(const RouteTable& table, std::string_view host,
                                    std::string_view path) {
  std::vector<std::string> out;
  const Host* found = table.find_host(host);
  if (found == nullptr) return out;
  const Route* route = found->find({path, Matcher::kPrefix});
  if (route == nullptr) return out;
  for (size_t i = 0; i < route->targets().size(); ++i) {
    const Target& target = *route->targets()[i];
    out.push_back(
        fmt::format("{} {} {:.2f}", target.service(), target.endpoint()->port(), route->weight(i)));
  }
  return out;
}

using Lines = std::vector<std::string>;

TEST_CASE("an edit replaces its key, leaves others alone, and what is equal changes nothing") {
  FakeLoop control;
  Publisher publisher({}, control.post(), nullptr);
  EXPECT_EQ(
      publisher.apply(edit("web", {spec("web", "a.com", "/", 1), spec("web", "a.com", "/", 2)})),
      1u);
  EXPECT_EQ(
      publisher.apply(edit("api", {spec("api", "a.com", "/", 3), spec("api", "", "/api", 3)})), 2u);
  EXPECT_EQ(targets_of(publisher.table(), "a.com", "/"),
            Lines{"api 3 0.33", "web 1 0.33", "web 2 0.33"});
  EXPECT_EQ(
      publisher.apply(edit("web", {spec("web", "a.com", "/", 1), spec("web", "a.com", "/", 2)})),
      2u);
  EXPECT_EQ(
      publisher.apply(edit("web", {spec("web", "a.com", "/", 2), spec("web", "a.com", "/", 1)})),
      2u);  // the order of the instances is nobody's business
  const Host* untouched = publisher.table().find_host("");
  EXPECT_EQ(publisher.apply(edit("web", {spec("web", "a.com", "/", 2)})), 3u);
  EXPECT_EQ(targets_of(publisher.table(), "a.com", "/"), Lines{"api 3 0.50", "web 2 0.50"});
  EXPECT(publisher.table().find_host("") == untouched);
  EXPECT_EQ(publisher.apply(edit("api", {})), 4u);
  EXPECT_EQ(publisher.apply(edit("web", {})), 5u);
  EXPECT_EQ(publisher.apply(edit("never", {})), 5u);
  EXPECT_EQ(publisher.table().route_count(), 0u);
  control.run();
  EXPECT_EQ(publisher.endpoint_count(), 0u);
  EXPECT_EQ(publisher.tables_held(), 1u);
}

TEST_CASE("two edits of one key in one call: the last counts") {
  FakeLoop control;
  Publisher publisher({}, control.post(), nullptr);
  std::vector<RouteEdit> edits = edit("web", {spec("web", "a.com", "/", 1, "i1")});
  edits.push_back({"web", {spec("web", "a.com", "/", 2, "i1")}, {}});
  EXPECT_EQ(publisher.apply(std::move(edits)), 1u);
  EXPECT_EQ(targets_of(publisher.table(), "a.com", "/"), Lines{"web 2 1.00"});
}

TEST_CASE("equal targets share one part; unhealthy ones keep the route and get nothing") {
  FakeLoop control;
  Publisher publisher({}, control.post(), nullptr);
  RouteSpec sick = spec("web", "a.com", "/", 2);
  sick.healthy = false;
  publisher.apply(
      edit("web", {spec("web", "a.com", "/", 1, "x"), spec("web", "a.com", "/", 1, "y"), sick}));
  EXPECT_EQ(targets_of(publisher.table(), "a.com", "/"), Lines{"web 1 1.00"});
  publisher.apply(edit("web", {sick}));
  const Route* route = publisher.table().find_host("a.com")->match("/");
  REQUIRE(route != nullptr);
  EXPECT(pick(*route, {}).outcome == PickOutcome::kNoneHealthy);
}

TEST_CASE("weights, strategies and options reach the route") {
  FakeLoop control;
  Publisher publisher({}, control.post(), nullptr);
  RouteSpec one = spec("web", "a.com", "/", 1);
  one.options.weight = 0.2;
  publisher.apply(edit("web", {one, spec("web", "a.com", "/", 2)}));
  EXPECT_EQ(targets_of(publisher.table(), "a.com", "/"), Lines{"web 1 0.20", "web 2 0.80"});
  EXPECT(publisher.table().find_host("a.com")->match("/")->strategy() == Strategy::kRandom);
  one.options.strategy = Strategy::kRoundRobin;
  one.options.weight = 0;
  one.options.strip = "/x";
  publisher.apply(edit("web", {one}));
  const Route* route = publisher.table().find_host("a.com")->match("/");
  EXPECT(route->strategy() == Strategy::kRoundRobin);
  EXPECT_EQ(route->targets()[0]->options().strip, "/x");
}

TEST_CASE("a bad route is left out with its reason and blocks nobody") {
  FakeLoop control;
  Publisher publisher({.host_bytes = 32}, control.post(), nullptr);
  std::vector<RouteEdit> edits =
      edit("web", {spec("web", "a.com", "/", 1), spec("web", std::string(33, 'x'), "/", 1),
                   spec("web", "[a", "/", 1), spec("web", "{a", "/", 1)});
  edits[0].rejected.push_back({"web", "urlprefix-:x", "no port"});
  publisher.apply(std::move(edits));
  EXPECT_EQ(publisher.table().route_count(), 1u);
  const std::vector<RejectedRoute> rejected = publisher.rejected();
  REQUIRE(rejected.size() == 4);
  EXPECT_EQ(rejected[0].reason, "no port");
  EXPECT_EQ(rejected[3].tag, "{a/");
  publisher.apply(edit("web", {spec("web", "a.com", "/", 1)}));
  EXPECT(publisher.rejected().empty());
}

TEST_CASE("general globs are bounded") {
  FakeLoop control;
  Publisher publisher({}, control.post(), nullptr);
  std::vector<RouteSpec> specs;
  for (size_t i = 0; i < PublisherOptions().glob_hosts + 5; ++i) {
    specs.push_back(spec("web", "a*" + std::to_string(i) + ".com", "/", 1));
  }
  publisher.apply(edit("web", std::move(specs)));
  EXPECT_EQ(publisher.table().host_count(), PublisherOptions().glob_hosts);
  EXPECT_EQ(publisher.rejected().size(), 5u);
}

TEST_CASE("an endpoint that comes back keeps its counts") {
  FakeLoop control;
  Publisher publisher({}, control.post(), nullptr);
  publisher.apply(edit("web", {spec("web", "a.com", "/", 1, "i1")}));
  const Endpoint* before =
      publisher.table().find_host("a.com")->match("/")->targets()[0]->endpoint();
  before->begin();
  for (int i = 0; i < 5; ++i) before->note_failure(1000);
  publisher.apply(edit("web", {}));
  control.run();
  EXPECT_EQ(publisher.endpoint_count(), 1u);  // one is under way
  publisher.apply(edit("web", {spec("web", "b.com", "/", 1, "i1")}));
  const Endpoint* after =
      publisher.table().find_host("b.com")->match("/")->targets()[0]->endpoint();
  EXPECT(before == after);
  EXPECT(after->ejected(1000));
  EXPECT_EQ(after->outstanding(), 1u);
  after->end();
}

}  // namespace
}  // namespace sluice::proxy::test
