#include "core/loop.h"
#include "drivers/embedded/read_calls.h"
#include "drivers/embedded/table.h"
#include "test/test.h"

namespace sluice::drivers {

using orchestrator::CheckState;
using orchestrator::CheckStatus;
using orchestrator::ServiceCheck;
using orchestrator::ServiceRegistration;

namespace {

ServiceRegistration make(const std::string& id, const std::string& name,
                         std::vector<std::string> tags = {}) {
  return {.id = id,
          .name = name,
          .tags = std::move(tags),
          .meta = {},
          .address = "127.0.0.1",
          .port = 80,
          .checks = {ServiceCheck{.id = "c", .name = "alive", .type = "http"}}};
}

std::vector<CheckState> states(CheckStatus status) {
  return {CheckState{.check_id = "c", .name = "alive", .status = status}};
}

struct World {
  UvLoop loop;
  CatalogTable table{loop};
  ReadNode node{.id = "n1", .name = "node-a", .address = "127.0.0.1"};

  HttpServerRequest request(const std::string& query) {
    HttpServerRequest made;
    made.query = parse_query(query);
    return made;
  }
  Result<Json> ask(std::string_view path, const std::string& query = "") {
    std::string name;
    const ReadCall* call = find_read_call(path, name);
    REQUIRE(call);
    Result<ReadQuery> parsed = parse_read_query(request(query), node);
    if (!parsed) return pass(parsed);
    Result<void> filter = check_read_filter(*call, *parsed, node);
    if (!filter) return pass(filter);
    return call->body({.table = table, .node = node, .query = *parsed, .name = name});
  }
  std::string refused(std::string_view path, const std::string& query) {
    Result<Json> answer = ask(path, query);
    return answer ? "answered" : answer.error().message;
  }
};

}  // namespace

TEST_CASE("table: what changed moves its own index, and that of what is gone") {
  World world;
  CatalogTable& table = world.table;
  const uint64_t begin = table.begin_index();
  EXPECT(begin > 1'700'000'000'000);  // rises over a restart of the agent
  EXPECT_EQ(table.service_index("web"), begin);
  CatalogRecord& web = table.put(make("1", "web"), states(CheckStatus::kCritical));
  table.put(make("2", "Db"), states(CheckStatus::kCritical));
  EXPECT_EQ(table.service_index("web"), begin + 1);
  EXPECT_EQ(table.service_index("db"), begin + 2);
  EXPECT_EQ(table.services_index(), begin + 2);

  table.set_status(web, 0, CheckStatus::kPassing);
  EXPECT_EQ(table.service_index("WEB"), begin + 3);
  EXPECT_EQ(table.service_index("db"), begin + 2);
  EXPECT_EQ(table.services_index(), begin + 2);  // no registration has changed
  EXPECT_EQ(table.checks_index(), begin + 3);
  EXPECT_EQ(web.check_indexes[0], begin + 3);
  EXPECT_EQ(web.modify_index, begin + 1);

  // With other tags, and with other checks: the same registration.
  table.replace(web, make("1", "web", {"t"}));
  EXPECT_EQ(web.modify_index, begin + 4);
  EXPECT_EQ(table.put(make("1", "web"), states(CheckStatus::kWarning)).create_index, begin + 1);

  table.erase("1");
  const uint64_t gone = table.service_index("web");
  EXPECT_EQ(gone, begin + 6);
  EXPECT_EQ(table.service_index("never"), gone);
  EXPECT_EQ(table.service_index("db"), begin + 2);
  EXPECT_EQ(table.put(make("1", "web"), states(CheckStatus::kPassing)).create_index, begin + 7);
  EXPECT_EQ(table.service_index("web"), begin + 7);
}

TEST_CASE("table: an id that takes another service's name leaves the old one") {
  World world;
  world.table.put(make("1", "web"), states(CheckStatus::kPassing));
  world.table.put(make("1", "api"), states(CheckStatus::kPassing));
  EXPECT_EQ(to_json(*world.ask("/v1/catalog/services")), R"({"api":[],"consul":[]})");
  EXPECT_EQ(world.table.service_index("web"), world.table.begin_index() + 2);
}

TEST_CASE("read calls: tags in the order in which they came, instances by name, tags and health") {
  World world;
  world.table.put(make("1", "web", {"b", "A"}), states(CheckStatus::kPassing));
  world.table.put(make("2", "web", {"b", "c"}), states(CheckStatus::kWarning));
  ServiceRegistration bare = make("3", "bare");
  bare.checks.clear();
  world.table.put(bare, {});
  EXPECT_EQ(to_json(*world.ask("/v1/catalog/services")),
            R"({"bare":[],"consul":[],"web":["b","A","c"]})");
  for (const auto& [path, query, count] :
       {std::tuple{"/v1/catalog/service/web", "", 2u},
        {"/v1/catalog/service/WEB", "tag=a", 1u},
        {"/v1/catalog/service/web", "tag=b&tag=c", 1u},
        {"/v1/catalog/service/web", "node-meta=x:y", 0u},
        {"/v1/catalog/service/web", "node-meta=consul-network-segment:", 2u},
        {"/v1/health/service/web", "passing", 1u},
        {"/v1/health/service/web", "passing=false", 2u},
        {"/v1/health/service/bare", "passing=1", 1u},
        {"/v1/health/service/w%65b", "", 2u},
        {"/v1/health/service/web", "filter=Checks.Status+%3D%3D+warning", 1u},
        {"/v1/health/state/any", "", 3u},
        {"/v1/health/state/passing", "", 2u},
        {"/v1/health/state/critical", "", 0u},
        {"/v1/health/state/nonsense", "", 0u},
        {"/v1/health/node/NODE-A", "", 3u},
        {"/v1/health/checks/web", "", 2u},
        {"/v1/health/service/consul", "passing", 1u},
        {"/v1/agent/services", "", 3u},
        {"/v1/agent/checks", "filter=Status+%21%3D+passing", 1u}}) {
    CAPTURE(path);
    CAPTURE(query);
    EXPECT_EQ(world.ask(path, query)->size(), count);
  }
  EXPECT_EQ(to_json(*world.ask("/v1/catalog/node/other")), "null");
}

TEST_CASE("read calls: addresses of both families, of a name and of none") {
  World world;
  ServiceRegistration six = make("1", "six");
  six.address = "::1";
  world.table.put(six, states(CheckStatus::kPassing));
  ServiceRegistration named = make("2", "named");
  named.address = "db.internal";
  world.table.put(named, states(CheckStatus::kPassing));
  const Json first = world.ask("/v1/health/service/six")->as_array()[0];
  EXPECT_EQ(to_json(*first.find("Service")->find("TaggedAddresses")),
            R"({"lan_ipv6":{"Address":"::1","Port":80},"wan_ipv6":{"Address":"::1","Port":80}})");
  const Json second = world.ask("/v1/health/service/named")->as_array()[0];
  EXPECT(second.find("Service")->find("TaggedAddresses") == nullptr);
}

TEST_CASE("read calls: what is wrong is refused by name, in Consul's words") {
  World world;
  const char* path = "/v1/health/service/web";
  for (const auto& [query, message] :
       {std::pair{"index=x", "Invalid index"},
        {"index=-1", "Invalid index"},
        {"index=99999999999999999999", "Invalid index"},
        {"wait=5", "Invalid wait time"},
        {"passing=maybe", "Bad request: Invalid value for ?passing"},
        {"dc=far", "No path to datacenter"},
        {"ns=x",
         "Bad request: Invalid query parameter: \"ns\" - Namespaces are a Consul Enterprise "
         "feature"},
        {"stale&consistent", "Cannot specify ?stale with ?consistent, conflicting semantics."},
        {"filter=Nope%3D%3D1",
         "Failed to create boolean expression evaluator: Selector \"Nope\" is not valid"},
        {"filter=%28%28",
         "Failed to create boolean expression evaluator: filter: at 2: expected a field's name, "
         "not the end"}}) {
    CAPTURE(query);
    EXPECT_EQ(world.refused(path, query), message);
  }
  EXPECT_EQ(world.refused("/v1/catalog/services", "filter=a%3D%3Db"),
            "/v1/catalog/services takes no filter");
  EXPECT_EQ(world.refused("/v1/agent/service/nope", ""), "unknown service ID: nope");
  EXPECT_EQ(world.refused("/v1/agent/service/consul", ""), "unknown service ID: consul");
  EXPECT_EQ(world.ask(path, "dc=dc1&near=_agent&cached")->size(), 0u);
  std::string name;
  EXPECT(find_read_call("/v1/session/list", name) == nullptr);
  EXPECT_EQ(parse_read_query(world.request("wait=1h"), world.node)->wait_ms, kLongestReadWaitMs);
  EXPECT_EQ(parse_read_query(world.request("wait=-1s"), world.node)->wait_ms, 0);
}

}  // namespace sluice::drivers
