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

TEST_CASE("the health of endpoints comes over, also of the many kinds of one address") {
  const auto specs = [](bool healthy) {
    std::vector<RouteSpec> out;
    for (const char* tag :
         {"urlprefix-a.com/", "urlprefix-b.com/ proto=https host=name tlsskipverify=true",
          "urlprefix-:1 proto=tcp pxyproto=true", "urlprefix-c.com/ proto=grpc"}) {
      const std::vector<std::string> tags = {tag};
      Result<std::optional<RouteSpec>> spec = parse_tag(
          tag,
          {.service = "web", .instance = tag, .address = "10.0.0.1", .port = 80, .tags = tags});
      REQUIRE(spec);
      (*spec)->healthy = healthy;
      out.push_back(**spec);
    }
    return std::vector<RouteEdit>{{.key = "web", .routes = out}};
  };
  const auto endpoint = [](const Table& table, std::string_view host) {
    const Host* found = table.publisher.table().find_host(host);
    REQUIRE(found != nullptr);
    const Endpoint* out = nullptr;
    found->for_each_route([&](const Route& route) {
      out = route.all_targets()[0]->endpoint();
      return true;
    });
    return out;
  };
  Table old;
  old.publisher.apply(specs(true));
  for (int i = 0; i < 5; ++i) endpoint(old, "a.com")->note_failure(1'000);
  for (int i = 0; i < 3; ++i) endpoint(old, "b.com")->note_failure(1'000);
  for (int i = 0; i < 7; ++i) endpoint(old, ":1")->note_failure(2'000);
  old.publisher.apply(specs(false));
  std::string text;
  JsonWriter json(text);
  write_endpoint_state(old.publisher.endpoints(), json);
  const Result<Json> state = parse_json(text);
  REQUIRE(state);

  Table fresh;
  fresh.publisher.apply(specs(false));
  REQUIRE(read_endpoint_state(*state, fresh.publisher.endpoints()));
  for (const char* host : {"a.com", "b.com", ":1", "c.com"}) {
    EXPECT(endpoint(fresh, host)->health() == endpoint(old, host)->health());
  }
  EXPECT(endpoint(fresh, "a.com")->ejected(1'000 + Endpoint::kEjectionMs - 1));
  EXPECT(!endpoint(fresh, "a.com")->ejected(1'000 + Endpoint::kEjectionMs));
  EXPECT(!endpoint(fresh, "b.com")->ejected(1'000));
  // It was healthy in the other process: it comes back slowly, from the next pick on.
  fresh.publisher.apply(specs(true));
  (void)endpoint(fresh, "c.com")->starts_slowly(1'000, 12345);
  EXPECT_EQ(endpoint(fresh, "c.com")->ejected_until_ms(), 1'000);

  Table other;
  EXPECT(read_endpoint_state(*state, other.publisher.endpoints()));  // none of them is there
  EXPECT(!read_endpoint_state(*parse_json("[{}]"), other.publisher.endpoints()));
}

TEST_CASE("a successor's versions begin above its predecessor's") {
  std::deque<std::move_only_function<void()>> posted;
  Publisher publisher(
      {.first_version = 41},
      [&](std::move_only_function<void()> closure) { posted.push_back(std::move(closure)); },
      nullptr);
  EXPECT_EQ(publisher.table().version(), 41u);
  EXPECT_EQ(publisher.apply({{.key = "x"}}), 41u);
}

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

  // The same without JSON.
  Table third;
  third.publisher.apply({table_edit(old.publisher.table())});
  EXPECT_EQ(third.state(), old.state());
  EXPECT_EQ(third.publisher.keys(), std::set<std::string>{std::string(kInheritedKey)});

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
