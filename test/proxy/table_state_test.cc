#include "proxy/table_state.h"

#include <deque>

#include "proxy/publish.h"
#include "proxy/route_listing.h"
#include "test/test.h"

namespace sluice::proxy {

namespace {

struct Table {
  std::deque<std::move_only_function<void()>> posted;
  Publisher publisher{
      {},
      [this](std::move_only_function<void()> closure) { posted.push_back(std::move(closure)); },
      nullptr};
  ~Table() {
    for (auto& closure : posted) closure();
  }

  std::string state() const {
    std::string text;
    JsonWriter json(text);
    write_table_state(publisher.table(), json);
    return text;
  }
};

}  // namespace

TEST_CASE("a table comes out as it went in, with all that its routes say") {
  Table old;
  std::vector<RouteEdit> edits;
  for (const char* tag :
       {"urlprefix-/", "urlprefix-a.com:9999/p strip=/p weight=0.25 deny=ip:10.0.0.0/8",
        "urlprefix-*.b.com/ proto=https host=dst tlsskipverify=true sticky=SID",
        "urlprefix-c.com/ redirect=301,https://c.com$path", "urlprefix-:3306 proto=tcp",
        "urlprefix-d.com/x matcher=segment maxconn=7 ratelimit=5,6 strategy=hash"}) {
    const std::vector<std::string> tags = {tag, "blue"};
    TagContext context{.service = "web",
                       .instance = std::string_view(tag).substr(10, 5),
                       .address = "10.0.0.1",
                       .port = 80,
                       .tags = tags};
    Result<std::optional<RouteSpec>> spec = parse_tag(tag, context);
    REQUIRE(spec);
    (*spec)->healthy = std::string_view(tag) != "urlprefix-/";
    edits.push_back({.key = tag, .routes = {**spec}});
  }
  old.publisher.apply(std::move(edits));
  const Result<Json> state = parse_json(old.state());
  REQUIRE(state);
  REQUIRE(state->size() == 6);

  Table fresh;
  Result<RouteEdit> edit = read_table_state(*state);
  REQUIRE(edit);
  fresh.publisher.apply({*edit});
  EXPECT_EQ(fresh.publisher.rejected().size(), 0);
  EXPECT_EQ(routes_json(fresh.publisher.table(), nullptr, 1),
            routes_json(old.publisher.table(), nullptr, 1));
  EXPECT_EQ(fresh.state(), old.state());

  // What the sources say themselves then counts alone.
  fresh.publisher.apply({{.key = std::string(kInheritedKey)}});
  EXPECT_EQ(fresh.state(), "[]");
}

TEST_CASE("what another version may have written is refused") {
  for (const char* text :
       {"{}", R"([{"opts":"","dst":1,"tags":[]}])", R"([{"opts":"strategy=best","tags":[]}])",
        R"([{"opts":"","dst":"gopher://x","tags":[]}])", R"([{"opts":""}])"}) {
    CAPTURE(text);
    const Result<Json> state = parse_json(text);
    REQUIRE(state);
    EXPECT(!read_table_state(*state).has_value());
  }
}

}  // namespace sluice::proxy
