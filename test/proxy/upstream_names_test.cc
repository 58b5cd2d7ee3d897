#include "proxy/upstream_names.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "core/json.h"
#include "core/random.h"
#include "proxy/pick.h"
#include "proxy/publish.h"
#include "proxy/route_listing.h"
#include "proxy/table_state.h"
#include "test/sim/sim_executor.h"
#include "test/test.h"

namespace sluice::proxy {
namespace {

using Ips = std::vector<std::string>;

/// Says what the test says, a millisecond later.
class FakeLookup final : public HostLookup {
 public:
  explicit FakeLookup(Executor& executor) : executor_(executor) {}
  Task<Result<HostAddresses>> look_up(std::string name) override {
    ++asked[name];
    most_at_once = std::max(most_at_once, ++running_);
    co_await sleep_for(executor_, 1);
    --running_;
    const auto at = known.find(name);
    if (at == known.end()) co_return fail(Code::kNotFound, "{}: there is no such name", name);
    if (at->second.ips.empty()) co_return fail(Code::kTimeout, "{}: no server answered", name);
    co_return at->second;
  }

  std::map<std::string, HostAddresses> known;  // without addresses: no server answers
  std::map<std::string, int> asked;
  int most_at_once = 0;

 private:
  Executor& executor_;
  int running_ = 0;
};

struct Setting {
  SeededRandom random{7};
  sim::SimExecutor executor{random};
  FakeLookup lookup{executor};
  UpstreamNames names{executor, lookup, nullptr, {.lookups = 2, .names = 5}};
  std::vector<std::string> changes;
  Setting() {
    names.set_on_change([this](const std::string& name) { changes.push_back(name); });
  }
  Ips addresses(const std::string& name) {
    const auto found = names.addresses(name);
    return {found.begin(), found.end()};
  }
};

TEST_CASE("a name is asked again after its TTL, which has a least and a most") {
  Setting setting;
  setting.lookup.known = {{"a", {{"10.0.0.1"}, 5'000}},
                          {"none", {{"10.0.0.2"}, 0}},
                          {"long", {{"10.0.0.3"}, 86'400'000}}};
  for (const char* name : {"a", "none", "long"}) EXPECT(setting.names.watch(name));
  EXPECT_EQ(setting.addresses("a"), Ips{});
  setting.executor.run_for(10);
  EXPECT_EQ(setting.addresses("a"), Ips{"10.0.0.1"});
  EXPECT_EQ(setting.changes.size(), 3u);
  setting.executor.run_for(4'900);
  EXPECT_EQ(setting.lookup.asked["a"], 1);
  EXPECT_EQ(setting.lookup.asked["none"], 5);  // once a second
  setting.executor.run_for(200);
  EXPECT_EQ(setting.lookup.asked["a"], 2);
  EXPECT_EQ(setting.changes.size(), 3u);  // the same as before is no change
  setting.executor.run_for(295'000);
  EXPECT_EQ(setting.lookup.asked["long"], 2);
}

TEST_CASE("what is known stays when a look-up fails, which is repeated ever more rarely") {
  Setting setting;
  setting.lookup.known["a"] = {{"10.0.0.1", "::1"}, 1'000};
  EXPECT(setting.names.watch("a"));
  setting.executor.run_for(10);
  setting.lookup.known["a"].ips.clear();
  setting.executor.run_for(1'005);
  EXPECT_EQ(setting.addresses("a"), (Ips{"10.0.0.1", "::1"}));
  EXPECT_EQ(setting.names.trouble("a"), "a: no server answered");
  setting.lookup.known.clear();  // there is no such name: it stays all the same
  setting.lookup.asked.clear();
  setting.executor.run_for(64'000);  // after 1, 3, 7, 15, 31 and 61 s
  EXPECT_EQ(setting.lookup.asked["a"], 6);
  EXPECT_EQ(setting.addresses("a"), (Ips{"10.0.0.1", "::1"}));
  EXPECT_EQ(setting.changes.size(), 1u);
  setting.lookup.known["a"] = {{"10.0.0.9"}, 1'000};
  setting.executor.run_for(30'000);
  EXPECT_EQ(setting.addresses("a"), Ips{"10.0.0.9"});
  EXPECT_EQ(setting.names.trouble("a"), "");
  EXPECT_EQ(setting.changes.size(), 2u);
}

TEST_CASE("names are asked a few at a time, there is a limit to them, and unwatched ones rest") {
  Setting setting;
  for (const char* name : {"a", "b", "c", "d", "e"}) EXPECT(setting.names.watch(name));
  EXPECT(setting.names.watch("a"));
  EXPECT(!setting.names.watch("f"));
  setting.executor.run_for(20);
  EXPECT_EQ(setting.lookup.asked.size(), 5u);
  EXPECT_EQ(setting.lookup.most_at_once, 2);
  for (const char* name : {"a", "b", "c", "d", "e"}) setting.names.unwatch(name);
  setting.lookup.asked.clear();
  setting.executor.run_for(60'000);
  EXPECT_EQ(setting.lookup.asked.size(), 1u);  // "a" has one watcher left
  EXPECT(setting.names.watch("f"));
  setting.names.unwatch("f");  // while it is asked
  EXPECT(setting.names.watch("f"));
  setting.lookup.known["f"] = {{"10.0.0.1"}, 60'000};
  setting.executor.run_for(10);
  EXPECT_EQ(setting.addresses("f"), Ips{"10.0.0.1"});
}

TEST_CASE("a successor begins with what its predecessor knew") {
  Setting before;
  before.lookup.known["a"] = {{"10.0.0.1", "::1"}, 1'000};
  EXPECT(before.names.watch("a"));
  EXPECT(before.names.watch("b"));
  before.executor.run_for(10);
  std::string text;
  JsonWriter json(text);
  before.names.write_state(json);
  Setting after;
  const Result<Json> state = parse_json(text);
  REQUIRE(state.has_value());
  REQUIRE(after.names.read_state(*state).has_value());
  EXPECT(after.names.watch("a"));
  EXPECT_EQ(after.addresses("a"), (Ips{"10.0.0.1", "::1"}));
  EXPECT(!after.names.read_state(*parse_json(R"({"a":["x"]})")).has_value());
}

// ---- with the publisher

struct Published : Setting {
  std::vector<std::move_only_function<void()>> posted;
  Publisher publisher{
      {},
      [this](std::move_only_function<void()> closure) { posted.push_back(std::move(closure)); },
      nullptr,
      &names};

  void run(int64_t ms) {
    executor.run_for(ms);
    while (!posted.empty()) {
      auto now = std::exchange(posted, {});
      for (auto& each : now) each();
    }
  }
  uint64_t say(std::string commands) {
    return publisher.apply({{.key = "static",
                             .routes = {},
                             .rejected = {},
                             .commands = std::move(commands),
                             .layer = 1}});
  }
  const Route& route(std::string_view path) {
    const Route* found = publisher.table().find_host("")->match(path);
    REQUIRE(found != nullptr);
    return *found;
  }
  /// "service address share" of each target that can be picked, sorted.
  std::vector<std::string> live(std::string_view path) {
    std::vector<std::string> out;
    const Route& found = route(path);
    for (size_t i = 0; i < found.targets().size(); ++i) {
      const Target& target = *found.targets()[i];
      out.push_back(fmt::format("{} {} {:.2f}", target.service(), target.endpoint()->address(),
                                found.weight(i)));
    }
    std::ranges::sort(out);
    return out;
  }
};

using Lines = std::vector<std::string>;

TEST_CASE("a route to a host name has no endpoint until the name is known, then one an address") {
  Published setting;
  setting.lookup.known["a.test"] = {{"10.0.0.1", "10.0.0.2"}, 1'000};
  const uint64_t first =
      setting.say("route add web /x http://a.test:80/\nroute add web / http://10.9.9.9:1/");
  EXPECT(pick(setting.route("/x"), {}).outcome == PickOutcome::kNoneHealthy);
  const auto problem = [&] {
    const Result<Json> json = parse_json(routes_json(setting.publisher.table(), &setting.names, 0));
    return std::string(json->as_array()[0].get_string("problem"));
  };
  EXPECT_EQ(problem(), "the host name is being looked up");
  setting.run(10);
  EXPECT_EQ(setting.publisher.table().version(), first + 1);
  EXPECT_EQ(setting.live("/x"), (Lines{"web 10.0.0.1 0.50", "web 10.0.0.2 0.50"}));
  EXPECT_EQ(problem(), "");
  const Endpoint* endpoint = setting.route("/x").targets()[0]->endpoint();
  EXPECT_EQ(endpoint->host(), "a.test");
  EXPECT_EQ(endpoint->server_name(), "a.test");
  EXPECT(endpoint->family() == Endpoint::Family::kIpv4);
  EXPECT_EQ(endpoint->ip()[3], 1);

  const Endpoint* second = setting.route("/x").targets()[1]->endpoint();
  setting.lookup.known["a.test"] = {{"10.0.0.2", "::3"}, 1'000};
  setting.run(1'100);
  EXPECT_EQ(setting.publisher.table().version(), first + 2);
  EXPECT_EQ(setting.live("/x"), (Lines{"web 10.0.0.2 0.50", "web ::3 0.50"}));
  EXPECT(std::ranges::any_of(setting.route("/x").targets(), [&](const Target* target) {
    return target->endpoint() == second;  // with its pools and its counts
  }));
  EXPECT_EQ(setting.publisher.endpoint_count(), 3u);  // 10.0.0.1 is gone
  setting.run(10'000);
  EXPECT_EQ(setting.publisher.table().version(), first + 2);
  EXPECT_EQ(setting.say(""), first + 3);
  setting.run(0);
  EXPECT_EQ(setting.publisher.endpoint_count(), 0u);
  setting.lookup.asked.clear();
  setting.run(60'000);
  EXPECT_EQ(setting.lookup.asked.size(), 0u);
}

TEST_CASE("the addresses of a name share its weight, and route commands mean the name") {
  Published setting;
  setting.lookup.known["a.test"] = {{"10.0.0.1", "10.0.0.2"}, 1'000};
  setting.say(
      "route add web /even http://a.test:80/\nroute add one /even http://10.9.9.9:1/\n"
      "route add web /fixed http://a.test:80/ weight 0.2\nroute add one /fixed http://10.9.9.9:1/\n"
      "route add web /ruled http://a.test:80/\nroute add one /ruled http://10.9.9.9:1/\n"
      "route add web /gone http://a.test:80/\nroute add one /gone http://10.9.9.9:1/\n"
      "route weight web /ruled weight 0.5\nroute del web /gone http://a.test:80/");
  setting.run(10);
  EXPECT_EQ(setting.live("/even"), (Lines{"one  0.50", "web 10.0.0.1 0.25", "web 10.0.0.2 0.25"}));
  EXPECT_EQ(setting.live("/fixed"), (Lines{"one  0.80", "web 10.0.0.1 0.10", "web 10.0.0.2 0.10"}));
  EXPECT_EQ(setting.live("/ruled"), (Lines{"one  0.50", "web 10.0.0.1 0.25", "web 10.0.0.2 0.25"}));
  EXPECT_EQ(setting.live("/gone"), Lines{"one  1.00"});
  // As commands, one for each destination.
  const std::string text = routes_text(setting.publisher.table());
  EXPECT_EQ(std::string_view(text).find("http://a.test:80/ weight 0.2000"),
            text.rfind("http://a.test:80/ weight 0.2000"));
  setting.lookup.known["a.test"] = {{"10.0.0.1"}, 1'000};
  setting.run(1'100);
  EXPECT_EQ(setting.live("/fixed"), (Lines{"one  0.80", "web 10.0.0.1 0.20"}));
  EXPECT_EQ(setting.live("/ruled"), (Lines{"one  0.50", "web 10.0.0.1 0.50"}));
}

TEST_CASE("a sticky cookie and a hash tell the addresses of a name apart") {
  Published setting;
  setting.lookup.known["a.test"] = {{"10.0.0.1", "10.0.0.2"}, 1'000};
  setting.say("route add web / http://a.test:80/ opts \"sticky=s strategy=hash\"");
  setting.run(10);
  const RouteExtra* extra = setting.route("/").extra();
  REQUIRE(extra != nullptr);
  REQUIRE(extra->ids.size() == 2);
  EXPECT(extra->ids[0] != extra->ids[1]);
}

TEST_CASE("names beyond the limit are left out with the reason") {
  Published setting;
  std::string commands;
  for (int i = 0; i < 7; ++i) {
    commands += fmt::format("route add web /{} http://host{}.test:80/\n", i, i);
  }
  setting.say(commands);
  const std::vector<RejectedRoute> rejected = setting.publisher.rejected();
  REQUIRE(rejected.size() == 2);
  EXPECT_EQ(rejected[0].reason, "host5.test: there are too many host names");
  setting.say("route add web /6 http://host6.test:80/");
  EXPECT_EQ(setting.publisher.rejected().size(), 0u);
}

TEST_CASE("a table with host names comes over whole, with the addresses") {
  Published before;
  before.lookup.known["a.test"] = {{"10.0.0.1", "10.0.0.2"}, 1'000};
  before.say("route add web / http://a.test:80/ weight 0.3\nroute add one / http://10.9.9.9:1/");
  before.run(10);
  std::string text;
  JsonWriter json(text);
  json.begin_object().key("table");
  write_table_state(before.publisher.table(), json);
  json.key("names");
  before.names.write_state(json);
  json.end_object();
  const Result<Json> state = parse_json(text);
  REQUIRE(state.has_value());
  Published after;
  REQUIRE(after.names.read_state(*state->find("names")).has_value());
  Result<RouteEdit> edit = read_table_state(*state->find("table"));
  REQUIRE(edit.has_value());
  std::vector<RouteEdit> edits;
  edits.push_back(*std::move(edit));
  after.publisher.apply(std::move(edits));
  EXPECT_EQ(after.live("/"), before.live("/"));
  EXPECT_EQ(routes_json(after.publisher.table(), nullptr, 1),
            routes_json(before.publisher.table(), nullptr, 1));
}

}  // namespace
}  // namespace sluice::proxy
