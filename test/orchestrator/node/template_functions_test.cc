// The template stanza against consul-template: template_functions.json holds templates and what
// consul-template v0.30.0 makes of each (`consul-template -once -dry`, in an environment with
// CT_X=val and CT_EMPTY= but no CT_NONE); null: it refuses the template, or sluice does by name.
#include <algorithm>
#include <fstream>
#include <iterator>

#include "orchestrator/node/template_inputs.h"
#include "test/orchestrator/node/node_world.h"
#include "test/test.h"

namespace sluice::orchestrator {

namespace {

/// What templates of a task would read from, on a node that does nothing else.
struct Inputs {
  test::World world;
  NodeContext context{.env = {world.loop, world.network, world.disk, world.random, nullptr},
                      .log = world.log,
                      .catalog = world.catalog,
                      .drainer = nullptr,
                      .options = {.data_folder = world.folder},
                      .tls = nullptr,
                      .cluster_id = {},
                      .node = {},
                      .drivers = {}};
  Event changed{world.loop};
  TemplateInputs inputs{context, changed};
  std::map<std::string, std::string> environment = {{"CT_X", "val"}, {"CT_EMPTY", ""}};

  Result<std::string> render(const std::string& text) {
    const text_template::Functions& functions =
        inputs.begin(environment, world.folder, world.folder);
    auto parsed = text_template::Template::parse("t", text, functions);
    if (!parsed) return pass(parsed);
    return parsed->render(Json(), functions);
  }

  std::string text(const std::string& source) {
    Result<std::string> out = render(source);
    return out ? *out : "refused: " + out.error().message;
  }
};

ServiceInstance instance(const std::string& id, std::vector<CheckStatus> checks) {
  ServiceInstance out{.id = id,
                      .service = "web",
                      .address = "10.0.0.1",
                      .port = 80,
                      .node = "n",
                      .datacenter = "dc1",
                      .tags = {"b", "a"},
                      .meta = {{"team", "x/y"}, {"shard", "7"}},
                      .checks = {}};
  for (const CheckStatus status : checks) out.checks.push_back({.status = status});
  out.healthy = !checks.empty() && std::ranges::all_of(checks, [](CheckStatus status) {
    return status == CheckStatus::kPassing;
  });
  return out;
}

}  // namespace

TEST_CASE("template functions: what consul-template makes of each, or a refusal") {
  const char* root = std::getenv("SLUICE_SOURCE_ROOT");
  REQUIRE(root != nullptr);
  std::ifstream file(std::string(root) + "/test/orchestrator/node/template_functions.json");
  const std::string content(std::istreambuf_iterator<char>(file), {});
  Result<Json> table = parse_json(content);
  REQUIRE(table);
  REQUIRE(table->size() > 200);
  Inputs inputs;
  for (const Json& row : table->as_array()) {
    const std::string& source = row.as_array()[0].as_string();
    const Json& wanted = row.as_array()[1];
    CAPTURE(source);
    const Result<std::string> made = inputs.render(source);
    if (wanted.is_null()) {
      if (made) CAPTURE(*made);
      EXPECT_EQ(made.value_or("refused"), "refused");
    } else {
      EXPECT_EQ(made ? *made : "refused: " + made.error().message, wanted.as_string());
    }
  }
}

TEST_CASE("template functions: a refusal names what is not there") {
  Inputs inputs;
  EXPECT_EQ(inputs.text("\n{{ \"a\" | toTOML }}"), "refused: t:2: function \"toTOML\" not defined");
  EXPECT_EQ(
      inputs.text("{{ printf \"%*d\" 5 1 }}"),
      "refused: t:1: printf: \"%*d\": widths and numbers of arguments (%*, %[) are not known");
  EXPECT_EQ(inputs.text("{{ key \"a@dc2\" }}"),
            "refused: t:1: key: \"a@dc2\": keys of another datacenter (@) are not known");
  EXPECT_EQ(inputs.text("{{ range service \"web~_agent\" }}{{ end }}"),
            "refused: t:1: service: \"web~_agent\": ~ (near a node) is not known");
}

TEST_CASE("template functions: services by the status of all their checks") {
  using enum CheckStatus;
  Inputs inputs;
  inputs.context.services["web"] = {
      "web",
      {instance("1-passing", {kPassing, kPassing}), instance("2-warning", {kPassing, kWarning}),
       instance("3-critical", {kWarning, kCritical}), instance("4-bare", {})}};
  inputs.context.services["web"].instances.push_back(instance("5-maintenance", {kCritical}));
  inputs.context.services["web"].instances.back().maintenance = true;
  const auto of = [&](const std::string& arguments) {
    return inputs.text("{{ range service " + arguments + " }}{{ .ID }} {{ end }}");
  };
  // A service without checks is passing, as Consul's clients see it.
  EXPECT_EQ(of("\"web\""), "1-passing 4-bare ");
  EXPECT_EQ(of("\"web|passing,warning\""), "1-passing 2-warning 4-bare ");
  EXPECT_EQ(of("\"web\" \"passing, warning\""), "1-passing 2-warning 4-bare ");
  EXPECT_EQ(of("\"a.web@dc1|critical\""), "3-critical ");
  EXPECT_EQ(of("\"web|maintenance\""), "5-maintenance ");
  EXPECT_EQ(of("\"web\" \"any\""), "1-passing 2-warning 3-critical 4-bare 5-maintenance ");
  EXPECT_EQ(of("\"c.web|any\""), "");
  EXPECT_EQ(of("\"web@dc2|any\""), "");
  EXPECT_EQ(of("\"web|sick\""), "refused: t:1: service: invalid filter \"sick\"");
  EXPECT_EQ(inputs.text("{{ range service \"web|any\" }}{{ .Status }} {{ end }}"),
            "passing warning critical passing maintenance ");
  EXPECT_EQ(inputs.text("{{ range $k, $s := service \"web\" | byMeta \"team,none,shard|int\" }}"
                        "{{ $k }}={{ len $s }}{{ end }}"),
            "x_y__no_none__00007=2");
  EXPECT_EQ(inputs.text("{{ range service \"web|critical\" }}{{ range .Checks }}{{ .Status }} "
                        "{{ end }}{{ .Tags }}{{ end }}"),
            "warning critical [a b]");
  EXPECT_EQ(inputs.text("{{ range service \"web\" }}{{ .NodeMeta }}{{ end }}"),
            "refused: t:1: can't evaluate field NodeMeta in type HealthService");
  EXPECT_EQ(inputs.text("{{ range services }}{{ . | toJSON }}{{ . }}{{ end }}"),
            "{\"Name\":\"web\",\"Tags\":[\"a\",\"b\"]}map[Name:web Tags:[a b]]");
  EXPECT_EQ(inputs.text("{{ range services }}{{ range . }}x{{ end }}{{ end }}"),
            "refused: t:1: range can't iterate over map[Name:web Tags:[a b]]");
  EXPECT_EQ(
      inputs.text("{{ range $k, $s := service \"web\" | byTag }}{{ $k }}={{ len $s }}{{ end }}"),
      "a=2b=2");
}

}  // namespace sluice::orchestrator
