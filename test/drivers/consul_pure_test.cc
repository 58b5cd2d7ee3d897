// The Consul catalog's pure parts: JSON in and out, the plan of a sync, and what is believed after
// a gap.
#include <string>
#include <vector>

#include "drivers/consul/decode.h"
#include "drivers/consul/kv.h"
#include "drivers/consul/view.h"
#include "test/test.h"

namespace sluice::drivers {
namespace {

using orchestrator::ServiceCheck;
using orchestrator::ServiceRegistration;
using orchestrator::ServiceSnapshot;

Json json(std::string_view text) {
  auto value = parse_json(text);
  REQUIRE(value.has_value());
  return *std::move(value);
}

ServiceRegistration web(const std::string& id = "_sluice-c-n-1") {
  ServiceRegistration web;
  web.id = id;
  web.name = "web";
  web.tags = {"urlprefix-/"};
  web.address = "10.0.0.1";
  web.port = 8081;
  web.checks = {
      ServiceCheck{.id = "alive",
                   .name = "alive",
                   .type = "http",
                   .address = "10.0.0.1",
                   .port = 8081,
                   .path = "/health",
                   .headers = {{"Host", {"mysite.com"}}}},
      ServiceCheck{.id = "open", .name = "open", .type = "tcp", .address = "::1", .port = 1}};
  return web;
}

TEST_CASE("consul: the body of a registration") {
  Json body = registration_body(web(), true);
  EXPECT_EQ(body.get_string("ID"), "_sluice-c-n-1");
  const Json& checks = *body.find("Checks");
  EXPECT_EQ(to_json(checks.as_array()[0]),
            R"({"CheckID":"_sluice-c-n-1:alive","Name":"alive","Interval":"10000ms",)"
            R"("Timeout":"2000ms","HTTP":"http://10.0.0.1:8081/health",)"
            R"("Header":{"Host":["mysite.com"]},"Status":"passing"})");
  EXPECT_EQ(checks.as_array()[1].get_string("TCP"), "[::1]:1");
  // The digest is of the checks, whatever status they begin with.
  EXPECT(*body.find("Meta") == *registration_body(web(), false).find("Meta"));
  ServiceRegistration slower = web();
  slower.checks[0].interval_ms = 20'000;
  EXPECT(!(*body.find("Meta") == *registration_body(slower, false).find("Meta")));
}

std::string plan_text(const std::map<std::string, ServiceRegistration>& desired, Json services,
                      Json checks) {
  ConsulSync sync = plan_sync(desired, {"_sluice-c-n-"}, services, checks);
  std::string text;
  for (const auto* one : sync.add) text += "+" + one->id + " ";
  for (const auto& id : sync.remove) text += "-" + id + " ";
  for (const auto& id : sync.remove_checks) text += "!" + id + " ";
  return text;
}

TEST_CASE("consul: a key has no slash in front, and keeps those inside in a URL") {
  EXPECT_EQ(escaped_consul_key("app/a b/%"), "app/a%20b/%25");
  // As Consul's own client library takes it; "//" would be a redirect.
  EXPECT_EQ(escaped_consul_key("/app/v"), "app/v");
  EXPECT_EQ(escaped_consul_key("app/"), "app/");
  EXPECT_EQ(consul_key("/fabio/config"), "fabio/config");
}

TEST_CASE("consul: the plan of a sync") {
  const std::string id = "_sluice-c-n-1";
  std::map<std::string, ServiceRegistration> desired = {{id, web()}};
  Json held = Json::object();
  Json service = registration_body(web(), false);
  service.set("Service", "web");
  held.set(id, service);
  Json checks = Json::object();
  checks.set(id + ":alive", Json::object({{"ServiceID", id}}));
  checks.set(id + ":open", Json::object({{"ServiceID", id}}));

  EXPECT_EQ(plan_text(desired, held, checks), "");
  EXPECT_EQ(plan_text(desired, Json::object(), Json::object()), "+" + id + " ");
  EXPECT_EQ(plan_text({}, held, checks), "-" + id + " ");
  // Others' services, also those of another node of ours, are not touched.
  Json foreign = Json::object();
  foreign.set("_sluice-c-other-1", service);
  foreign.set("mysql", service);
  EXPECT_EQ(plan_text({}, foreign, Json::object()), "");
  // Somebody changed a tag, or took a check away.
  Json tampered = held;
  tampered.find(id)->set("Tags", Json::array({"other"}));
  EXPECT_EQ(plan_text(desired, tampered, checks), "+" + id + " ");
  Json fewer = checks;
  fewer.erase(id + ":open");
  EXPECT_EQ(plan_text(desired, held, fewer), "+" + id + " ");
  // An old check goes; maintenance is somebody's intent.
  Json more = checks;
  more.set(id + ":old", Json::object({{"ServiceID", id}}));
  more.set("_service_maintenance:" + id, Json::object({{"ServiceID", id}}));
  EXPECT_EQ(plan_text(desired, held, more), "!" + id + ":old ");
}

TEST_CASE("consul: what a registration says beside its checks' kinds") {
  ServiceRegistration weighted = web();
  weighted.weights = {.passing = 7, .warning = 2};
  weighted.checks[0].notes = "why";
  weighted.checks[0].deregister_after_ms = 90 * 60'000;
  const Json body = registration_body(weighted, false);
  EXPECT_EQ(body.find("Weights")->get_int("Passing"), 7);
  EXPECT_EQ(body.find("Weights")->get_int("Warning"), 2);
  const Json& check = body.find("Checks")->as_array().at(0);
  EXPECT_EQ(check.get_string("Notes"), "why");
  EXPECT_EQ(check.get_string("DeregisterCriticalServiceAfter"), "5400000ms");
}

/// One instance of /v1/health/service; checks as "status/output" of an HTTP check, or as raw JSON.
std::string instance(const std::string& id, std::vector<std::string> checks, int port = 80) {
  std::string list = R"({"CheckID":"serfHealth","Status":"passing","ServiceID":""})";
  for (const std::string& check : checks) {
    if (check.starts_with('{')) {
      list += "," + check;
      continue;
    }
    size_t slash = check.find('/');
    list += fmt::format(
        R"(,{{"CheckID":"c","ServiceID":"{}","Type":"http","Status":"{}","Output":"{}"}})", id,
        check.substr(0, slash), check.substr(slash + 1));
  }
  return fmt::format(
      R"({{"Node":{{"Node":"n1","Address":"10.0.0.9","Datacenter":"dc1"}},)"
      R"("Service":{{"ID":"{}","Service":"web","Tags":["urlprefix-/"],"Address":"","Port":{}}},)"
      R"("Checks":[{}]}})",
      id, port, list);
}

std::vector<ConsulInstance> instances(std::vector<std::string> items, ConsulHealthRule rule = {}) {
  std::string text;
  for (const std::string& item : items) text += (text.empty() ? "" : ",") + item;
  auto decoded = decode_instances(json("[" + text + "]"), rule);
  REQUIRE(decoded.has_value());
  return *std::move(decoded);
}

bool healthy(std::vector<std::string> checks, ConsulHealthRule rule = {}) {
  return instances({instance("a", std::move(checks))}, rule).at(0).instance.healthy;
}

TEST_CASE("consul: which instances are healthy") {
  EXPECT(healthy({"passing/ok"}));
  EXPECT(!healthy({}));
  EXPECT(!healthy({"warning/slow"}));
  EXPECT(healthy({"warning/slow"}, {.statuses = {"passing", "warning"}}));
  EXPECT(healthy({"passing/ok", "critical/down"}));
  EXPECT(!healthy({"passing/ok", "critical/down"}, {.all_checks = true}));
  EXPECT(!healthy({"passing/ok", R"({"CheckID":"_node_maintenance","Status":"critical"})"}));
  EXPECT(!healthy({"passing/ok", R"({"CheckID":"_service_maintenance:a","ServiceID":"a",
                                     "Status":"critical"})"}));
  EXPECT(!healthy({"passing/ok", R"({"CheckID":"serfHealth","Status":"critical"})"}));
  EXPECT_EQ(instances({instance("a", {})})[0].instance.address, "10.0.0.9");
  // Not run yet: critical and silent, of a check that Consul runs itself.
  EXPECT(instances({instance("a", {"critical/"})})[0].unproven);
  EXPECT(!instances({instance("a", {"critical/refused"})})[0].unproven);
  EXPECT(!instances({instance("a", {R"({"CheckID":"c","ServiceID":"a","Type":"script",
                                       "Status":"critical","Output":""})"})})[0]
              .unproven);
}

std::string shown(const std::optional<ServiceSnapshot>& snapshot) {
  if (!snapshot) return "same";
  std::string text;
  for (const auto& one : snapshot->instances) text += one.id + (one.healthy ? "+ " : "- ");
  return text;
}

const std::string kGood = "passing/ok", kBad = "critical/refused", kNotRun = "critical/";

ConsulView view_of_web(std::vector<ConsulInstance> first) {
  ConsulView view({.tag_prefix = "urlprefix-"});
  view.set_services({{"consul", {}}, {"web", {"urlprefix-/"}}});
  EXPECT(view.take_wanted() == std::vector<std::string>{"web"});
  (void)view.accept("web", std::move(first), 0);
  return view;
}

TEST_CASE("consul view: only what changed is fetched") {
  ConsulView view({.tag_prefix = "urlprefix-"});
  ConsulServices services = {{"consul", {}}, {"db", {"master"}}, {"web", {"urlprefix-/"}}};
  view.set_services(services);
  std::vector<ConsulCheckRow> rows = {{.node = "n1", .check_id = "serfHealth", .status = "passing"},
                                      {.node = "n1",
                                       .check_id = "c",
                                       .status = "passing",
                                       .service_id = "w1",
                                       .service = "web",
                                       .modify_index = 5},
                                      {.node = "n2",
                                       .check_id = "c",
                                       .status = "passing",
                                       .service_id = "d1",
                                       .service = "db",
                                       .modify_index = 5}};
  view.set_checks(rows);
  EXPECT(view.take_wanted() == std::vector<std::string>{"web"});
  view.set_checks(rows);
  EXPECT(!view.wants());
  rows[2].status = "critical";
  view.set_checks(rows);
  EXPECT(!view.wants());
  rows[1].status = "critical";
  view.set_checks(rows);
  EXPECT(view.take_wanted() == std::vector<std::string>{"web"});
  rows[0].status = "critical";  // the node's check counts for what is on it
  view.set_checks(rows);
  EXPECT(view.take_wanted() == std::vector<std::string>{"web"});
  // The list moved on and does not tell why: an address may have changed.
  view.set_services(services);
  EXPECT(view.take_wanted() == std::vector<std::string>{"web"});
  services["web"] = {"other"};
  view.set_services(services);
  EXPECT(view.take_wanted() == std::vector<std::string>{"web"});
  EXPECT(!view.wants());
}

TEST_CASE("consul view: many services are swept at a bounded rate") {
  ConsulView view({.fetch_all_services = 3, .sweep_per_second = 4});
  ConsulServices services;
  for (int i = 0; i < 10; ++i) services[fmt::format("s{}", i)] = {};
  view.set_services(services);
  EXPECT_EQ(view.take_wanted().size(), 10u);
  view.set_services(services);
  EXPECT(!view.wants());
  size_t swept = 0;
  for (int second = 1; second <= 4; ++second) {
    view.tick(second * 1000);
    size_t count = view.take_wanted().size();
    EXPECT(count <= 4u);
    swept += count;
  }
  EXPECT_EQ(swept, 10u);
}

TEST_CASE("consul view: without a gap an answer is believed, down to none") {
  ConsulView view = view_of_web(instances({instance("a", {kGood}), instance("b", {kGood})}));
  EXPECT_EQ(
      shown(view.accept("web", instances({instance("a", {kGood}), instance("b", {kBad})}), 1)),
      "a+ b- ");
  EXPECT_EQ(
      shown(view.accept("web", instances({instance("a", {kGood}), instance("b", {kBad})}), 2)),
      "same");
  EXPECT_EQ(shown(view.accept("web", instances({instance("b", {kGood})}), 3)), "b+ ");
  EXPECT_EQ(shown(view.accept("web", {}, 4)), "");
}

TEST_CASE("consul view: after a gap what is missing is held, and what goes later goes") {
  ConsulView view = view_of_web(
      instances({instance("a", {kGood}), instance("b", {kGood}), instance("c", {kBad})}));
  view.begin_gap();
  EXPECT(view.take_wanted() == std::vector<std::string>{"web"});
  EXPECT_EQ(shown(view.accept("web", instances({instance("b", {kGood})}), 1000)), "a+ b+ ");
  EXPECT_EQ(shown(view.accept("web", {}, 2000)), "a+ ");
  view.tick(60'999);
  EXPECT(!view.wants());
  view.tick(61'000);
  EXPECT(view.take_wanted() == std::vector<std::string>{"web"});
  EXPECT_EQ(shown(view.accept("web", {}, 61'001)), "");
}

TEST_CASE("consul view: what is back is no longer held, and what we took out never is") {
  ConsulView view = view_of_web(instances({instance("a", {kGood}), instance("b", {kGood})}));
  view.begin_gap();
  (void)view.take_wanted();
  EXPECT_EQ(shown(view.accept("web", {}, 0)), "same");
  EXPECT_EQ(shown(view.accept("web", instances({instance("a", {kGood})}), 1)), "same");
  EXPECT_EQ(shown(view.accept("web", {}, 2)), "b+ ");
  view.forget("b");
  EXPECT(view.take_wanted() == std::vector<std::string>{"web"});
  EXPECT_EQ(shown(view.accept("web", {}, 3)), "");
}

TEST_CASE("consul view: checks that have not run yet say nothing") {
  ConsulView view = view_of_web(instances({instance("a", {kGood}), instance("b", {kBad})}));
  // Consul's agent was restarted: all is critical until the checks run again.
  auto silent = [] { return instances({instance("a", {kNotRun}), instance("b", {kNotRun})}); };
  EXPECT_EQ(shown(view.accept("web", silent(), 1000)), "a+ b- ");
  EXPECT_EQ(shown(view.accept("web", silent(), 2000)), "same");
  EXPECT_EQ(shown(view.accept("web", instances({instance("a", {kBad})}), 3000)), "a- ");
  EXPECT_EQ(shown(view.accept("web", instances({instance("a", {kGood})}), 4000)), "a+ ");
  // Not for ever, and not at another address.
  EXPECT_EQ(shown(view.accept("web", instances({instance("a", {kNotRun})}), 5000)), "a+ ");
  view.tick(35'000);
  EXPECT(view.take_wanted() == std::vector<std::string>{"web"});
  EXPECT_EQ(shown(view.accept("web", instances({instance("a", {kNotRun})}), 35'001)), "a- ");
  EXPECT_EQ(shown(view.accept("web", instances({instance("a", {kNotRun})}), 35'002)), "same");
  EXPECT_EQ(shown(view.accept("web", instances({instance("a", {kGood})}), 35'003)), "a+ ");
  EXPECT_EQ(shown(view.accept("web", instances({instance("a", {kNotRun}, 81)}), 35'004)), "a- ");
}

}  // namespace
}  // namespace sluice::drivers
