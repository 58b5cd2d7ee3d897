#include "proxy/route_command.h"

#include <algorithm>
#include <deque>
#include <string>
#include <vector>

#include "proxy/publish.h"
#include "test/test.h"

namespace sluice::proxy {
namespace {

using Lines = std::vector<std::string>;

/// Every route as a command with its share: "svc host/path dst share", in the listing's order.
Lines listing(const Publisher& publisher) {
  Lines out;
  publisher.table().for_each_host([&](const Host& host) {
    host.for_each_route([&](const Route& route) {
      for (size_t i = 0; i < route.targets().size(); ++i) {
        const Target& target = *route.targets()[i];
        out.push_back(fmt::format("{} {}{} {} {:.2f}", target.service(), host.pattern(),
                                  route.path(), target.destination(), route.weight(i)));
      }
      return true;
    });
  });
  std::sort(out.begin(), out.end());
  return out;
}

class Fixture {
 public:
  Lines commands(std::string text, std::string key = "static", uint8_t layer = 1) {
    std::vector<RouteEdit> edits;
    edits.push_back({.key = std::move(key), .commands = std::move(text), .layer = layer});
    publisher.apply(std::move(edits));
    return listing(publisher);
  }
  void catalog(std::string service, std::vector<uint16_t> ports,
               std::vector<std::string> tags = {}) {
    RouteEdit edit{.key = service};
    for (const uint16_t port : ports) {
      RouteSpec spec;
      spec.service = service;
      spec.instance = service + std::to_string(port);
      spec.host = "a.com";
      spec.path = "/";
      spec.destination = {Scheme::kHttp, "1.1.1.1", port};
      spec.tags = tags;
      edit.routes.push_back(std::move(spec));
    }
    std::vector<RouteEdit> edits;
    edits.push_back(std::move(edit));
    publisher.apply(std::move(edits));
  }
  std::deque<Publisher::Closure> posted;
  Publisher publisher{
      {}, [this](Publisher::Closure c) { posted.push_back(std::move(c)); }, nullptr};
};

TEST_CASE("commands: add with everything, comments, blank lines, odd spaces") {
  const RouteCommands out = parse_commands(
      "# comment\n"
      "// comment\n"
      "\n"
      "  route  add\tweb WWW.a.com/x https://10.0.0.1:5000/ weight 0.25 tags \"a, b\" opts "
      "\"strip=/x proto=https\"\r\n"
      "route add db :3306 tcp://10.0.0.2:3306\n"
      "route add r a.com/ https://b.com$path opts \"redirect=301\"");
  EXPECT(out.rejected.empty());
  REQUIRE(out.adds.size() == 3);
  const RouteSpec& web = out.adds[0].spec;
  EXPECT_EQ(out.adds[0].line, 4u);
  EXPECT_EQ(web.service, "web");
  EXPECT_EQ(web.host, "www.a.com");
  EXPECT_EQ(web.path, "/x");
  EXPECT_EQ(to_string(web.destination), "https://10.0.0.1:5000");
  EXPECT_EQ(web.options.weight, 0.25);
  EXPECT_EQ(web.options.strip, "/x");
  EXPECT_EQ(web.tags, Lines{"a", "b"});
  EXPECT_EQ(out.adds[1].spec.host, ":3306");
  EXPECT_EQ(out.adds[2].spec.options.redirect_url, "https://b.com$path");
  EXPECT_EQ(format_command(web),
            "route add web www.a.com/x https://10.0.0.1:5000 weight 0.2500 tags \"a,b\" opts "
            "\"strip=/x\"");
  EXPECT_EQ(format_command(out.adds[2].spec),
            "route add r a.com/ https://b.com$path opts \"redirect=301\"");
}

TEST_CASE("commands: the destination says whether it is http or https, proto= what else it is") {
  const RouteCommands out = parse_commands(
      "route add w a.com/ https://1.1.1.1:1 opts \"x=proto=tcp\"\n"
      "route add w b.com/ https://1.1.1.1:1 opts \"proto=http\"\n"
      "route add w c.com/ http://1.1.1.1:1 opts \"proto=https\"\n"
      "route add w d.com/ http://1.1.1.1:1 opts \"proto=tcp\"\n");
  REQUIRE(out.adds.size() == 4);
  EXPECT(out.adds[0].spec.destination.scheme == Scheme::kHttps);
  EXPECT(out.adds[1].spec.destination.scheme == Scheme::kHttps);
  EXPECT(out.adds[2].spec.destination.scheme == Scheme::kHttp);
  EXPECT(out.adds[3].spec.destination.scheme == Scheme::kTcp);
}

TEST_CASE("commands: every form of del and weight") {
  const RouteCommands out = parse_commands(
      "route del web\n"
      "route del web a.com/\n"
      "route del web a.com/ http://1.1.1.1:80/\n"
      "route del web tags \"a,b\"\n"
      "route del tags \"a\"\n"
      "route weight web a.com/ weight 0.5\n"
      "route weight web a.com/ weight 0.5 tags \"a\"\n"
      "route weight a.com/ weight 0.5 tags \"a\"\n");
  EXPECT(out.rejected.empty());
  REQUIRE(out.rules.size() == 8);
  EXPECT_EQ(out.rules[0].service, "web");
  EXPECT(!out.rules[0].source.has_value());
  EXPECT_EQ(out.rules[1].source->host, "a.com");
  EXPECT_EQ(*out.rules[2].destination, "http://1.1.1.1:80/");
  EXPECT_EQ(out.rules[3].tags, Lines{"a", "b"});
  EXPECT_EQ(out.rules[4].service, "");
  EXPECT(out.rules[7].kind == RouteRule::Kind::kWeight);
  EXPECT_EQ(out.rules[7].service, "");
  EXPECT_EQ(out.rules[7].weight, 0.5);
}

TEST_CASE("commands: a wrong line is left out with its number, the others act") {
  const char* const wrong[] = {
      "rout add web a.com/ http://1.1.1.1:80/",
      "route",
      "route put web",
      "route add web",
      "route add web a.com/",
      "route add web a.com/ 1.1.1.1:80",
      "route add web a.com/ http://1.1.1.1:80/ weight x",
      "route add web a.com/ http://1.1.1.1:80/ weight",
      "route add web a.com/ http://1.1.1.1:80/ colour red",
      "route add web a.com/ http://1.1.1.1:80/ tags a",
      "route add web a.com/ http://1.1.1.1:80/ tags \"a",
      "route add web a.com/ http://1.1.1.1:80/ opts \"allow=x\"",
      "route add web a.com/ ftp://1.1.1.1/ opts \"redirect=301\"",
      "route del",
      "route del tags",
      "route del tags \"\"",
      "route del web a.com/ http://1.1.1.1:80/ more",
      "route weight a.com/ weight 0.5",
      "route weight web a.com/ 0.5",
      "route weight web a.com/ weight 1e300",
  };
  for (const char* line : wrong) {
    CAPTURE(line);
    const RouteCommands out =
        parse_commands("route add ok b.com/ http://1.1.1.1:80/\n" + std::string(line) +
                       "\nroute add ok c.com/ http://1.1.1.1:80/\n");
    if (std::string(line) == "route del tags") {  // a service of that name
      EXPECT_EQ(out.rules.size(), 1u);
      continue;
    }
    EXPECT_EQ(out.adds.size(), 2u);
    EXPECT(out.rules.empty());
    REQUIRE(out.rejected.size() == 1);
    EXPECT(out.rejected[0].reason.starts_with("line 2: "));
    EXPECT_EQ(out.rejected[0].tag, line);
  }
  EXPECT_EQ(parse_commands("\n\n\n", {.lines = 2}).rejected.size(), 0u);
  EXPECT_EQ(parse_commands("a\nb\nc", {.lines = 2}).rejected.size(), 3u);
  EXPECT_EQ(parse_commands("aaaa", {.text_bytes = 3}).rejected.size(), 1u);
}

TEST_CASE("commands act in order on what stands") {
  Fixture fixture;
  EXPECT_EQ(fixture.commands("route add web a.com/ http://1.1.1.1:1/\n"
                             "route add web a.com/ http://1.1.1.1:2/ tags \"blue\"\n"
                             "route add api a.com/api http://1.1.1.1:3/\n"),
            Lines{"api a.com/api http://1.1.1.1:3/ 1.00", "web a.com/ http://1.1.1.1:1/ 0.50",
                  "web a.com/ http://1.1.1.1:2/ 0.50"});
  EXPECT_EQ(fixture.commands("route add web a.com/ http://1.1.1.1:1/\n"
                             "route add web a.com/ http://1.1.1.1:2/ tags \"blue\"\n"
                             "route add api a.com/api http://1.1.1.1:3/\n"
                             "route weight web a.com/ weight 0.2 tags \"blue\"\n"
                             "route weight nobody a.com/ weight 1\n"
                             "route del api\n"
                             "route add api a.com/api http://1.1.1.1:4/\n"),
            Lines{"api a.com/api http://1.1.1.1:4/ 1.00", "web a.com/ http://1.1.1.1:1/ 0.80",
                  "web a.com/ http://1.1.1.1:2/ 0.20"});
  EXPECT_EQ(fixture.commands("route add web a.com/ http://1.1.1.1:1/\n"
                             "route del web a.com/ http://1.1.1.1:1/\n"),
            Lines{});
  EXPECT_EQ(fixture.publisher.table().host_count(), 0u);
  EXPECT_EQ(fixture.commands(""), Lines{});
}

TEST_CASE("overrides hold for the catalog's routes, now and later, and go without a trace") {
  Fixture fixture;
  fixture.catalog("web", {1, 2}, {"blue"});
  fixture.catalog("api", {3});
  const Lines plain = listing(fixture.publisher);
  // Half of the traffic to all of the blue ones together.
  EXPECT_EQ(fixture.commands("route weight a.com/ weight 0.5 tags \"blue\"", "manual", 2),
            Lines{"api a.com/ http://1.1.1.1:3/ 0.50", "web a.com/ http://1.1.1.1:1/ 0.25",
                  "web a.com/ http://1.1.1.1:2/ 0.25"});
  fixture.catalog("web", {1, 2, 4, 5}, {"blue"});
  EXPECT_EQ(listing(fixture.publisher)[1], "web a.com/ http://1.1.1.1:1/ 0.12");
  fixture.catalog("web", {1, 2}, {"blue"});
  EXPECT_EQ(fixture.commands("route del api", "manual", 2),
            Lines{"web a.com/ http://1.1.1.1:1/ 0.50", "web a.com/ http://1.1.1.1:2/ 0.50"});
  EXPECT_EQ(fixture.commands("route del tags \"blue\"\nroute del api", "manual", 2), Lines{});
  fixture.catalog("web", {1, 2, 9}, {"green"});
  EXPECT_EQ(listing(fixture.publisher).size(), 3u);
  fixture.catalog("web", {1, 2}, {"blue"});
  EXPECT_EQ(listing(fixture.publisher), Lines{});
  EXPECT_EQ(fixture.commands("", "manual", 2), plain);
}

TEST_CASE("a lower layer's commands act before a higher one's") {
  Fixture fixture;
  fixture.commands("route del web\n", "manual", 2);
  EXPECT_EQ(fixture.commands("route add web a.com/ http://1.1.1.1:1/\n", "static", 1), Lines{});
  EXPECT_EQ(fixture.commands("route del nobody\n", "manual", 2).size(), 1u);
  EXPECT_EQ(fixture.commands("route del web\nroute add web b.com/ http://1.1.1.1:2/", "manual", 2),
            Lines{"web b.com/ http://1.1.1.1:2/ 1.00"});
}

TEST_CASE("an instance that a rule hides still drains") {
  Fixture fixture;
  fixture.commands("route del web", "manual", 2);
  fixture.catalog("web", {1});
  bool done = false;
  fixture.publisher.when_drained({"web1"}, 0, [&] { done = true; });
  const auto run = [&] {
    while (!fixture.posted.empty()) {
      Publisher::Closure next = std::move(fixture.posted.front());
      fixture.posted.pop_front();
      next();
    }
  };
  run();
  EXPECT(!done);
  fixture.catalog("web", {});
  run();
  EXPECT(done);
  EXPECT_EQ(fixture.publisher.endpoint_count(), 0u);
}

}  // namespace
}  // namespace sluice::proxy
