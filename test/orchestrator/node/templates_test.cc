// Templates of a task: what they are rendered to, and what a change of them does.
#include "orchestrator/node/templates.h"

#include <sys/stat.h>

#include <algorithm>

#include "test/orchestrator/node/setup_world.h"

namespace sluice::orchestrator {

using test::content;
using test::last_event;
using test::Lines;
using test::make_setup;
using test::World;

namespace {

Template make_template(std::string data, std::string destination = "local/out") {
  Template made;
  made.data = std::move(data);
  made.dest_path = std::move(destination);
  made.splay_ns = 0;
  return made;
}

}  // namespace

TEST_CASE("env files: each form of a line") {
  const auto parsed = parse_env_file(
      "# comment\nA=1\n export B = two words # not this\nC='a # b'\nD=\"x\\ny\\\"\"\nE=\n\n");
  REQUIRE(parsed);
  EXPECT_EQ(*parsed,
            StringMap{{"A", "1"}, {"B", "two words"}, {"C", "a # b"}, {"D", "x\ny\""}, {"E", ""}});
  EXPECT_EQ(parse_env_file("A=1\nnothing").error().message, "line 2: expected NAME=value");
  EXPECT_EQ(parse_env_file("A='x").error().message, "line 1: a quote without its end");
  EXPECT(!parse_env_file("A B=1"));
}

TEST_CASE("a template is there before its task starts, with its mode, and its variables are set") {
  World world;
  world.start_agent();
  Template env = make_template("GREETING=hello {{ env \"COLOUR\" }}\n", "secrets/file.env");
  env.env = true;
  env.perms = "0600";
  world.link.say({make_setup("a", {make_template("job {{ env \"NOMAD_JOB_ID\" }}"), env})});
  world.until([&] { return world.status("a") == ClientStatus::kRunning; });
  const std::string task = world.folder + "/alloc/a/srv";
  EXPECT_EQ(content(task + "/local/out"), "job web");
  struct stat status{};
  REQUIRE(::stat((task + "/secrets/file.env").c_str(), &status) == 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  const auto& variables = world.agent->find("a")->task("srv")->environment().variables();
  EXPECT_EQ(variables.at("GREETING"), "hello blue");
}

TEST_CASE("a template waits for its key, and says so; a change restarts its task") {
  World world;
  world.drainer.ready.set();
  world.start_agent();
  world.link.say({make_setup("a", {make_template("v={{ key \"app/v\" }} "
                                                 "{{ keyOrDefault \"app/none\" \"d\" }}")})});
  world.settle(50);
  EXPECT(world.machine.log.empty());
  world.catalog.set_key("app/v", "1");
  world.until([&] { return world.status("a") == ClientStatus::kRunning; });
  const std::string out = world.folder + "/alloc/a/srv/local/out";
  EXPECT_EQ(content(out), "v=1 d");
  world.catalog.set_key("other", "x");
  world.settle(100);
  EXPECT_EQ(world.machine.log, Lines{"start srv#1"});
  world.catalog.set_key("app/v", "2");
  world.until([&] { return world.machine.log.size() == 3; });
  EXPECT_EQ(world.machine.log, Lines{"start srv#1", "stop srv#1", "start srv#2"});
  EXPECT_EQ(content(out), "v=2 d");
  world.until([&] {
    return last_event(world, "Restart Signaled") == "Template with change_mode restart re-rendered";
  });
}

TEST_CASE(
    "change modes noop and signal; folders of keys; an agent that comes back restarts nothing") {
  World world;
  world.drainer.ready.set();
  world.catalog.set_key("app/list/a", "1");
  world.catalog.set_key("app/list/b", "2");
  world.start_agent();
  Template quiet =
      make_template("{{ range ls \"app/list\" }}{{ .Key }}={{ .Value }};{{ end }}", "local/noop");
  quiet.change_mode = "noop";
  Template loud = make_template("{{ key \"app/list/a\" }}", "local/signal");
  loud.change_mode = "signal";
  loud.change_signal = "SIGHUP";
  const auto alloc = make_setup("a", {quiet, loud});
  world.link.say({alloc});
  world.until([&] { return world.status("a") == ClientStatus::kRunning; });
  const std::string local = world.folder + "/alloc/a/srv/local/";
  EXPECT_EQ(content(local + "noop"), "a=1;b=2;");
  world.catalog.set_key("app/list/b", "3");
  world.until([&] { return content(local + "noop") == "a=1;b=3;"; });
  world.settle();
  EXPECT_EQ(last_event(world, "Signaling"), "");
  world.catalog.set_key("app/list/a", "9");
  world.until([&] { return last_event(world, "Signaling") != ""; });
  EXPECT_EQ(last_event(world, "Signaling"), "Task being sent signal SIGHUP");
  EXPECT_EQ(content(local + "signal"), "9");

  world.kill_agent();
  world.link.reports.clear();
  world.start_agent();
  world.until([&] { return world.status("a") == ClientStatus::kRunning; });
  world.settle(100);
  EXPECT_EQ(world.machine.log.back(), "recover srv#1");
  const std::string said = last_event(world, "Signaling");
  world.catalog.set_key("app/list/b", "4");
  world.until([&] { return content(local + "noop") == "a=9;b=4;"; });
  world.kill_agent();
  world.catalog.set_key("app/list/a", "10");  // while no agent is there
  world.start_agent();
  world.until([&] { return content(local + "signal") == "10"; });
}

TEST_CASE("a change whose round is broken off is written by the next one") {
  World world;
  world.drainer.ready.set();
  world.catalog.set_key("app/v", "1");
  world.start_agent();
  Template spec = make_template("v={{ key \"app/v\" }}");
  spec.change_mode = "signal";
  spec.change_signal = "SIGHUP";
  spec.splay_ns = 20 * kSecondNs;
  world.link.say({make_setup("a", {spec})});
  world.until([&] { return world.status("a") == ClientStatus::kRunning; });
  const std::string out = world.folder + "/alloc/a/srv/local/out";
  EXPECT_EQ(content(out), "v=1");
  // Seen, and gone again before it is written: by the end of the splay.
  world.catalog.set_key("app/v", "2");
  world.settle(50);
  world.catalog.keys.erase("app/v");
  world.catalog.set_key("app/other", "x");
  world.settle(700);
  EXPECT_EQ(content(out), "v=1");
  world.catalog.set_key("app/v", "2");
  world.until([&] { return content(out) == "v=2"; });
}

TEST_CASE("services in a template: those that pass, by name and tag") {
  World world;
  world.start_agent();
  const auto instance = [](const char* id, bool healthy, std::vector<std::string> tags) {
    return ServiceInstance{
        .id = id,
        .service = "db",
        .address = "10.0.0.1",
        .port = 5432,
        .node = id,
        .tags = std::move(tags),
        .checks = {{.status = healthy ? CheckStatus::kPassing : CheckStatus::kCritical}},
        .healthy = healthy};
  };
  world.until([&] { return static_cast<bool>(world.catalog.tell_services); });
  world.catalog.tell_services(
      {{.service = "db",
        .instances = {instance("n2", true, {"main"}), instance("n1", true, {}),
                      instance("n3", false, {"main"})}}});
  Template spec = make_template(
      "{{ range service \"db\" }}{{ .Node }}:{{ .Port }} {{ end }}|"
      "{{ range service \"main.db\" }}{{ .ID }}{{ end }}|"
      "{{ range service \"db|any\" }}{{ .Status }} {{ end }}|{{ len (services) }}");
  spec.change_mode = "noop";
  world.link.say({make_setup("a", {spec})});
  world.until([&] { return world.status("a") == ClientStatus::kRunning; });
  const std::string out = world.folder + "/alloc/a/srv/local/out";
  EXPECT_EQ(content(out), "n1:5432 n2:5432 |n2|passing passing critical |1");
  world.catalog.tell_services({{.service = "db", .instances = {instance("n9", true, {})}}});
  world.until([&] { return content(out) == "n9:5432 ||passing |1"; });
}

TEST_CASE("an agent that comes back waits for its catalog before it believes a service gone") {
  World world;
  world.drainer.ready.set();
  const auto tell = [&](bool healthy) {
    world.until([&] { return static_cast<bool>(world.catalog.tell_services); });
    world.catalog.tell_services(
        {{.service = "db",
          .instances = {
              {.id = "n1",
               .service = "db",
               .address = "10.0.0.1",
               .port = 5432,
               .node = "n1",
               .checks = {{.status = healthy ? CheckStatus::kPassing : CheckStatus::kCritical}},
               .healthy = healthy}}}});
  };
  const auto come_back = [&] {
    world.kill_agent();
    world.catalog.tell_services = nullptr;
    world.link.reports.clear();
    world.start_agent();
    world.until([&] { return world.status("a") == ClientStatus::kRunning; });
  };
  world.start_agent();
  tell(true);
  world.link.say(
      {make_setup("a", {make_template("{{ range service \"db\" }}{{ .ID }}{{ end }}")})});
  world.until([&] { return world.status("a") == ClientStatus::kRunning; });
  const std::string out = world.folder + "/alloc/a/srv/local/out";
  EXPECT_EQ(content(out), "n1");

  come_back();
  world.settle(100);  // it has said nothing yet
  EXPECT_EQ(content(out), "n1");
  tell(false);  // its check is still to be asked
  world.settle(100);
  EXPECT_EQ(content(out), "n1");
  tell(true);
  world.settle(100);
  EXPECT_EQ(content(out), "n1");
  EXPECT(std::ranges::find(world.machine.log, "stop srv#1") == world.machine.log.end());

  world.services_come_ms = 20;
  come_back();
  tell(false);  // and so it stays
  world.until([&] { return content(out) == ""; });
  world.until([&] { return world.machine.log.back() == "start srv#2"; });
}

TEST_CASE("a template that cannot be rendered fails its task, by its policy") {
  World world;
  world.start_agent();
  world.link.say({make_setup("a", {make_template("{{ file \"local/none\" }}")})});
  world.until([&] { return world.status("a") == ClientStatus::kFailed; });
  EXPECT(last_event(world, "Setup Failure").find("local/none") != std::string::npos);
  EXPECT(world.machine.log.empty());
}

}  // namespace sluice::orchestrator
