// Verbs against a stand-in for the API on a real socket: what they ask, what they print, how they
// end.
#include <fmt/format.h>

#include <map>

#include "core/http_server.h"
#include "core/loop.h"
#include "core/uv_network.h"
#include "orchestrator/cli/cli.h"
#include "orchestrator/cli/monitor.h"
#include "orchestrator/cli/session.h"
#include "test/run_loop.h"
#include "test/test.h"

namespace sluice::orchestrator::cli {
namespace {

struct TestTerminal final : Terminal {
  std::string out_text, err_text, input;
  void out(std::string_view text) override { out_text += text; }
  void err(std::string_view text) override { err_text += text; }
  bool out_is_terminal() const override { return false; }
  std::optional<std::string> read_line() override {
    if (input.empty()) return std::nullopt;
    return std::exchange(input, "");
  }
  Result<std::string> read_all(size_t) override { return std::exchange(input, ""); }
};

/// Answers by "METHOD target"; a list of answers is used up, its last one stays.
struct FakeApi {
  UvLoop loop;
  UvNetwork network{loop};
  PosixDisk disk;
  TestTerminal terminal;
  std::map<std::string, std::vector<std::pair<int, std::string>>> answers;
  std::vector<std::string> calls;

  Task<void> handle(const HttpServerRequest& request, HttpResponseWriter& writer) {
    const std::string call = request.method + " " + request.target;
    calls.push_back(request.body.empty() ? call : call + " " + request.body);
    auto found = answers.find(call);
    if (found == answers.end()) {
      (void)co_await writer.respond(404, "text/plain", "not here");
      co_return;
    }
    const auto [status, body] = found->second.front();
    if (found->second.size() > 1) found->second.erase(found->second.begin());
    writer.add_header("X-Nomad-Index", "7");
    (void)co_await writer.respond(status, "application/json", body);
  }

  int run(std::vector<std::string> words) {
    auto listener = network.listen(Address{.ip = "127.0.0.1"});
    REQUIRE(listener);
    HttpServer server(loop, std::move(*listener),
                      [this](const HttpServerRequest& request, HttpResponseWriter& writer) {
                        return handle(request, writer);
                      });
    const std::string address = "http://" + to_string(server.local());
    CliEnv env{.executor = loop,
               .network = network,
               .disk = disk,
               .terminal = terminal,
               .environment =
                   [&](const char* name) {
                     return std::string(name) == "SLUICE_ADDR" ? address : std::string();
                   },
               .poll_ms = 1};
    int code = -1;
    {
      Scope scope(loop);
      scope.spawn(server.run());
      scope.spawn(
          [](CliEnv& cli, std::vector<std::string> args, int& out, UvLoop& on) -> Task<void> {
            out = co_await run_verb(cli, std::move(args));
            on.stop();
          }(env, std::move(words), code, loop));
      sluice::test::run_until_stopped(loop);
    }
    return code;
  }
};

constexpr const char* kJob = R"({"ID":"web","Type":"service","TaskGroups":[]})";
constexpr const char* kJobWithUpdate =
    R"({"ID":"web","Type":"service","TaskGroups":[{"Update":{"Canary":1}}]})";

}  // namespace

TEST_CASE("verbs: what an address may be") {
  struct Row {
    const char *text, *ip;
    uint16_t port;
  };
  const Row table[] = {
      {"http://10.0.0.1:80", "10.0.0.1", 80},
      {"10.0.0.1", "10.0.0.1", 4646},
      {"http://localhost", "127.0.0.1", 4646},
      {"https://localhost:1/", "127.0.0.1", 1},
      {"http://[::1]:8080", "::1", 8080},
      {"https://[fd00::2]", "fd00::2", 4646},
      {"[::1]", "::1", 4646},
      {"http://nomad.internal", "nomad.internal", 4646},
      {"https://n-1_a:8443/ui", "n-1_a", 8443},
      {"http://localhost.example:9", "localhost.example", 9},
      {":4747", "127.0.0.1", 4747},
  };
  for (const Row& row : table) {
    CAPTURE(row.text);
    const Result<Address> address = parse_api_address(row.text);
    REQUIRE(address);
    EXPECT_EQ(address->ip, row.ip);
    EXPECT_EQ(address->port, row.port);
  }
  EXPECT_EQ(parse_api_address("unix:///run/s.sock")->path, "/run/s.sock");
  for (const char* text : {"ftp://a", "http://a b", "http://1.2.3", "http://[::1", "http://::1",
                           "http://a:b", "http://a:99999", "http://[name]:1", "http://-a"}) {
    CAPTURE(text);
    const Result<Address> address = parse_api_address(text);
    REQUIRE(!address);
    EXPECT_EQ(address.error().message,
              fmt::format("address {}: expected http://HOST:PORT", text) +
                  (std::string(text).starts_with("ftp") ? "" : ", such as http://127.0.0.1:4646"));
  }
}

TEST_CASE("an evaluation's news are the lines of the user's own session") {
  EvalNews news(false, true);
  const Json pending = *parse_json(R"({"ID":"40c63529-1","JobID":"httpbackend","Status":"pending",
    "CreateIndex":5})");
  const Json complete = *parse_json(R"({"ID":"40c63529-1","JobID":"httpbackend","Status":"complete",
    "CreateIndex":5,"DeploymentID":"d3adb33f-1"})");
  const Json allocs = *parse_json(R"([{"ID":"6b0b83de-1","NodeID":"9e3ef19f-1","CreateIndex":6,
    "TaskGroup":"httpbackend","DesiredStatus":"run","ClientStatus":"pending"},
    {"ID":"d0710b85-1","NodeID":"7acdd7bc-1","CreateIndex":4,
    "TaskGroup":"httpbackend","DesiredStatus":"run","ClientStatus":"running"}])");
  Json later = allocs;
  later.as_array()[0].set("ClientStatus", "running");
  using Lines = std::vector<std::string>;
  EXPECT_EQ(news.update(pending, Json::array()),
            Lines{"Evaluation triggered by job \"httpbackend\""});
  EXPECT_EQ(news.update(complete, allocs),
            Lines{"Evaluation within deployment: \"d3adb33f\"",
                  "Allocation \"6b0b83de\" created: node \"9e3ef19f\", group \"httpbackend\"",
                  "Allocation \"d0710b85\" modified: node \"7acdd7bc\", group \"httpbackend\"",
                  "Evaluation status changed: \"pending\" -> \"complete\""});
  EXPECT_EQ(news.update(complete, later),
            Lines{"Allocation \"6b0b83de\" status changed: \"pending\" -> \"running\""});
  EXPECT(news.update(complete, later).empty());
}

TEST_CASE("job run sends the job, follows the evaluation and the deployment") {
  FakeApi api;
  api.terminal.input = kJobWithUpdate;
  api.answers["PUT /v1/jobs"] = {{200, R"({"EvalID":"40c63529-1","JobModifyIndex":7})"}};
  api.answers["GET /v1/evaluation/40c63529-1"] = {
      {200, R"({"ID":"40c63529-1","JobID":"web","Status":"pending","CreateIndex":5})"},
      {200, R"({"ID":"40c63529-1","JobID":"web","Status":"complete","CreateIndex":5,
               "DeploymentID":"d3adb33f-1"})"}};
  api.answers["GET /v1/evaluation/40c63529-1/allocations"] = {{200, "[]"}};
  api.answers["GET /v1/deployment/d3adb33f-1"] = {
      {200,
       R"({"ID":"d3adb33f-1","JobID":"web","Status":"failed","StatusDescription":"too slow"})"}};
  EXPECT_EQ(api.run({"job", "run", "-check-index", "0", "-"}), 1);
  EXPECT_EQ(api.calls.at(0), R"(PUT /v1/jobs {"Job":)" + std::string(kJobWithUpdate) +
                                 R"(,"Submission":{"Format":"json","Source":)" +
                                 to_json(Json(kJobWithUpdate)) +
                                 R"(},"EnforceIndex":true,"JobModifyIndex":0})");
  const std::string& out = api.terminal.out_text;
  EXPECT_EQ(out.substr(0, out.find("Monitoring deployment")),
            R"(==> Monitoring evaluation "40c63529"
    Evaluation triggered by job "web"
    Evaluation within deployment: "d3adb33f"
    Evaluation status changed: "pending" -> "complete"
==> Evaluation "40c63529" finished with status "complete"
==> )");
  EXPECT(out.ends_with("==> Deployment \"d3adb33f\" failed\n"));
}

TEST_CASE("job run of a file without an update block ends with its evaluation") {
  FakeApi api;
  api.terminal.input = kJob;
  api.answers["PUT /v1/jobs"] = {{200, R"({"EvalID":"40c63529-1","JobModifyIndex":7})"}};
  api.answers["GET /v1/evaluation/40c63529-1"] = {
      {200, R"({"ID":"40c63529-1","JobID":"web","Status":"complete","CreateIndex":5,
               "DeploymentID":"d3adb33f-1"})"}};
  api.answers["GET /v1/evaluation/40c63529-1/allocations"] = {{200, "[]"}};
  EXPECT_EQ(api.run({"job", "run", "-"}), 0);
  EXPECT_EQ(api.terminal.out_text, R"(==> Monitoring evaluation "40c63529"
    Evaluation triggered by job "web"
    Evaluation status changed: "pending" -> "complete"
==> Evaluation "40c63529" finished with status "complete"
)");
}

TEST_CASE("job run says who was faster, in Nomad's words") {
  FakeApi api;
  api.terminal.input = kJob;
  api.answers["PUT /v1/jobs"] = {{500, "Enforcing job modify index 0: job already exists"}};
  EXPECT_EQ(api.run({"job", "run", "-check-index=0", "-"}), 1);
  EXPECT_EQ(api.terminal.err_text,
            "Enforcing job modify index 0: job already exists\nJob not updated\n");
}

TEST_CASE("job run exits with 2 where instances could not be placed") {
  FakeApi api;
  api.terminal.input = kJob;
  api.answers["PUT /v1/jobs"] = {{200, R"({"EvalID":"40c63529-1"})"}};
  api.answers["GET /v1/evaluation/40c63529-1"] = {
      {200, R"({"ID":"40c63529-1","Status":"complete","BlockedEval":"b10cced0-1",
               "FailedTGAllocs":{"g":{"NodesEvaluated":1,"DimensionExhausted":{"memory":1}}}})"}};
  api.answers["GET /v1/evaluation/40c63529-1/allocations"] = {{200, "[]"}};
  EXPECT_EQ(api.run({"run", "-"}), 2);
  EXPECT(api.terminal.out_text.ends_with(
      R"(==> Evaluation "40c63529" finished with status "complete" but failed to place all allocations:
    Task Group "g" (failed to place 1 allocation):
      * Dimension "memory" exhausted on 1 nodes
    Evaluation "b10cced0" waiting for additional capacity to place remainder
)"));
}

TEST_CASE("job run -output and -detach") {
  FakeApi api;
  api.terminal.input = kJob;
  EXPECT_EQ(api.run({"job", "run", "-output", "-"}), 0);
  EXPECT(api.calls.empty());
  EXPECT_EQ(parse_json(api.terminal.out_text), Json::object({{"Job", *parse_json(kJob)}}));

  FakeApi detached;
  detached.terminal.input = kJob;
  detached.answers["PUT /v1/jobs"] = {{200, R"({"EvalID":"40c63529-1"})"}};
  EXPECT_EQ(detached.run({"job", "run", "-detach", "-"}), 0);
  EXPECT_EQ(detached.terminal.out_text, "Job registration successful\nEvaluation ID: 40c63529-1\n");
}

TEST_CASE("job plan: 255 for every error, 1 for changes, 0 for none") {
  FakeApi api;
  EXPECT_EQ(api.run({"job", "plan", "/nowhere.nomad"}), 255);
  EXPECT(api.terminal.err_text.find("/nowhere.nomad") != std::string::npos);
  EXPECT_EQ(api.run({"job", "plan", "-wat", "x"}), 255);
  api.terminal.input = kJob;
  EXPECT_EQ(api.run({"job", "plan", "-"}), 255);
  api.answers["PUT /v1/job/web/plan"] = {
      {200, R"({"JobModifyIndex":0,"Diff":{"Type":"Added","ID":"web"},
               "Annotations":{"DesiredTGUpdates":{"g":{"Place":1}}}})"},
      {200, R"({"JobModifyIndex":9,"Diff":{"Type":"None","ID":"web"},"Annotations":null})"}};
  api.terminal.input = kJob;
  EXPECT_EQ(api.run({"job", "plan", "-"}), 1);
  api.terminal.input = kJob;
  EXPECT_EQ(api.run({"job", "plan", "-"}), 0);
  EXPECT(api.terminal.out_text.find("sluice job run -check-index 9 -\n") != std::string::npos);
}

TEST_CASE("a prefix finds one job; several are listed; stop asks where it guessed") {
  FakeApi api;
  api.answers["GET /v1/jobs?prefix=we"] = {{200, R"([{"ID":"web"}])"}};
  api.terminal.input = "n";
  EXPECT_EQ(api.run({"job", "stop", "we"}), 0);
  EXPECT_EQ(api.terminal.out_text,
            "Are you sure you want to stop job \"web\"? [y/N] Cancelling job stop\n");
  EXPECT_EQ(api.calls.size(), 1u);
  api.answers["DELETE /v1/job/web?purge=false"] = {{200, R"({"EvalID":""})"}};
  EXPECT_EQ(api.run({"job", "stop", "-yes", "we"}), 0);
  EXPECT_EQ(api.calls.back(), "DELETE /v1/job/web?purge=false");

  api.answers["GET /v1/jobs?prefix=w"] = {{200, R"([{"ID":"web"},{"ID":"wob"}])"}};
  EXPECT_EQ(api.run({"job", "status", "w"}), 1);
  EXPECT(api.terminal.err_text.find("Prefix matched multiple jobs") != std::string::npos);
  api.answers["GET /v1/jobs?prefix=zz"] = {{200, "[]"}};
  api.terminal.err_text.clear();
  EXPECT_EQ(api.run({"job", "status", "zz"}), 1);
  EXPECT_EQ(api.terminal.err_text, "No job(s) with prefix or id \"zz\" found\n");
}

TEST_CASE("ids are escaped in paths") {
  FakeApi api;
  api.answers["GET /v1/jobs?prefix=a%2Fb%20c"] = {{200, R"([{"ID":"a/b c"}])"}};
  api.answers["DELETE /v1/job/a%2Fb%20c?purge=true"] = {{200, R"({"EvalID":""})"}};
  EXPECT_EQ(api.run({"job", "stop", "-purge", "a/b c"}), 0);
}

TEST_CASE("alloc logs decodes frames and passes heartbeats over") {
  FakeApi api;
  api.answers["GET /v1/allocations?prefix=6b0b83de"] = {{200, R"([{"ID":"6b0b83de-1"}])"}};
  api.answers["GET /v1/allocation/6b0b83de-1"] = {
      {200, R"({"ID":"6b0b83de-1","TaskResources":{"srv":{}}})"}};
  api.answers
      ["GET /v1/client/fs/logs/6b0b83de-1?task=srv&type=stderr&origin=start&offset=0"
       "&follow=false"] = {
      {200,
       R"({"Data":"b25lCg==","File":"alloc/logs/srv.stderr.0","Offset":4}{}{"Data":"dHdvfQo="})"}};
  EXPECT_EQ(api.run({"alloc", "logs", "-stderr", "6b0b83de"}), 0);
  EXPECT_EQ(api.terminal.out_text, "one\ntwo}\n");
}

TEST_CASE("operator api: the call as it was typed, the answer as it came") {
  FakeApi api;
  api.answers["GET /v1/jobs?filter=a%20%3D%3D%201&namespace=n&prefix=x"] = {{200, "[ 1 ]"}};
  EXPECT_EQ(api.run({"operator", "api", "-namespace", "n", "-filter", "a == 1", "-token", "s3",
                     "-H", "A:b", "-verbose", "v1/jobs?prefix=x"}),
            0);
  EXPECT_EQ(api.terminal.out_text, "[ 1 ]");
  EXPECT(
      api.terminal.err_text.starts_with("> GET /v1/jobs?filter=a%20%3D%3D%201&namespace=n&prefix"
                                        "=x\n> X-Nomad-Token: (not shown)\n> A: b\n< 200\n"));
  EXPECT(api.terminal.err_text.contains("< X-Nomad-Index: 7\n"));

  api.answers["PUT /v1/jobs/parse"] = {{500, "no"}};
  api.answers["DELETE /v1/job/a"] = {{200, "gone"}};
  api.terminal.out_text.clear();
  api.terminal.input = "{}";
  api.calls.clear();
  EXPECT_EQ(api.run({"operator", "api", "http://elsewhere:1/v1/jobs/parse", "-"}), 1);
  EXPECT_EQ(api.run({"operator", "api", "-X", "DELETE", "/v1/job/a"}), 0);
  EXPECT_EQ(api.run({"operator", "api", "/v1/none"}), 1);
  EXPECT_EQ(api.terminal.out_text, "nogonenot here");
  EXPECT_EQ(api.calls,
            std::vector<std::string>{"PUT /v1/jobs/parse {}", "DELETE /v1/job/a", "GET /v1/none"});

  api.calls.clear();
  for (const char* header : {"bad", ":x", "A: b\r\nC: d", "host: x", "Content-Length: 1"}) {
    CAPTURE(header);
    EXPECT_EQ(api.run({"operator", "api", "-H", header, "/v1/jobs"}), 1);
  }
  EXPECT_EQ(api.run({"operator", "api", "-X", "GE T", "/v1/jobs"}), 1);
  EXPECT_EQ(api.run({"operator", "api", "/v1/a b"}), 1);
  EXPECT(api.calls.empty());
}

TEST_CASE("operator metrics and agent-info") {
  FakeApi api;
  api.answers["GET /v1/metrics"] = {{200, R"({"Gauges":[1]})"}};
  api.answers["GET /v1/metrics?format=prometheus"] = {{200, "a 1\n"}};
  api.answers["GET /v1/agent/self"] = {
      {200, R"({"stats":{"nomad":{"leader":"true","a":"b"},"client":{"node_id":"n"}}})"}};
  EXPECT_EQ(api.run({"operator", "metrics"}), 0);
  EXPECT_EQ(api.run({"operator", "metrics", "-format", "prometheus"}), 0);
  EXPECT_EQ(api.run({"agent-info"}), 0);
  EXPECT_EQ(api.terminal.out_text,
            "{\"Gauges\":[1]}\na 1\nclient\n  node_id = n\nnomad\n  a = b\n  leader = true\n");
  EXPECT_EQ(api.run({"operator", "metrics", "-format=xml"}), 1);
}

TEST_CASE("unknown verbs, wrong counts and -help") {
  FakeApi api;
  EXPECT_EQ(api.run({"jobb"}), 1);
  EXPECT_EQ(api.terminal.err_text,
            "sluice: no verb \"jobb\"; `sluice -help` lists what there is\n");
  api.terminal.err_text.clear();
  EXPECT_EQ(api.run({"job", "wat"}), 1);
  EXPECT_EQ(api.terminal.err_text,
            "sluice: no verb \"job wat\"; `sluice job -help` lists what there is\n");
  EXPECT_EQ(api.run({"job", "run"}), 1);
  EXPECT(api.terminal.err_text.find("sluice job run: 0 arguments given, 1 wanted") !=
         std::string::npos);
  for (const char* help : {"-help", "--help", "-h"}) {
    api.terminal.out_text.clear();
    EXPECT_EQ(api.run({"job", "run", help}), 0);
    EXPECT(api.terminal.out_text.starts_with("Usage: sluice job run [options] <path>\n"));
  }
  api.terminal.out_text.clear();
  EXPECT_EQ(api.run({"--help"}), 0);
  EXPECT(api.terminal.out_text.find("node eligibility") != std::string::npos);
  EXPECT(api.calls.empty());
}

TEST_CASE("no agent: the message says where it looked and what to do") {
  FakeApi api;
  EXPECT_EQ(api.run({"job", "status", "-address", "http://127.0.0.1:1"}), 1);
  EXPECT(api.terminal.err_text.find("no agent answers at http://127.0.0.1:1 (") !=
         std::string::npos);
  EXPECT(api.terminal.err_text.find("sluice agent -dev") != std::string::npos);
  EXPECT_EQ(api.run({"job", "status", "-address", "ftp://x"}), 1);
}

}  // namespace sluice::orchestrator::cli
