#include "proxy/route_listing.h"

#include <deque>

#include "core/json.h"
#include "proxy/publish.h"
#include "test/test.h"

namespace sluice::proxy {

TEST_CASE(
    "the listing shows every target with its share, the empty host last, and what is not healthy") {
  std::deque<std::move_only_function<void()>> posted;
  Publisher publisher(
      {}, [&](std::move_only_function<void()> closure) { posted.push_back(std::move(closure)); },
      nullptr);
  const auto add = [&](const char* service, uint16_t port, const char* tag, bool healthy) {
    TagContext context{
        .service = service, .instance = service, .address = "10.0.0.1", .port = port};
    Result<std::optional<RouteSpec>> spec = parse_tag(tag, context);
    REQUIRE(spec);
    (*spec)->healthy = healthy;
    publisher.apply({{.key = service, .routes = {**spec}, .rejected = {}}});
  };
  add("any", 1, "urlprefix-/", true);
  add("web", 2, "urlprefix-mysite.com:9999/a strip=/a weight=0.25", true);
  add("sick", 3, "urlprefix-mysite.com:9999/a", false);
  add("api", 4, "urlprefix-mysite.com:9999/a", true);
  const Result<Json> json = parse_json(routes_json(publisher.table(), nullptr, 0));
  REQUIRE(json);
  const Json::Array& rows = json->as_array();
  REQUIRE(rows.size() == 4);
  double total = 0;
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(rows[i].get_string("host"), "mysite.com:9999");
    EXPECT_EQ(rows[i].get_string("src"), "mysite.com:9999/a");
    EXPECT_EQ(rows[i].get_bool("healthy"), rows[i].get_string("service") != "sick");
    if (rows[i].get_string("service") == "web") {
      EXPECT_EQ(rows[i].get_double("weight"), 0.25);
      EXPECT_EQ(rows[i].get_string("dst"), "http://10.0.0.1:2/");
    }
    total += rows[i].get_double("weight");
  }
  EXPECT_EQ(total, 1.0);
  EXPECT_EQ(rows[3].get_string("service"), "any");
  EXPECT(routes_text(publisher.table()).ends_with("route add any / http://10.0.0.1:1/\n"));
  for (auto& closure : posted) closure();
}

TEST_CASE("an empty table is an empty list") {
  EXPECT_EQ(routes_json(*RouteTable::make_empty(), nullptr, 0), "[]\n");
  EXPECT_EQ(routes_text(*RouteTable::make_empty()), "");
}

}  // namespace sluice::proxy
