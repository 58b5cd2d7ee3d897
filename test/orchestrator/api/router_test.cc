#include "orchestrator/api/router.h"

#include "orchestrator/api/wire.h"
#include "test/test.h"

namespace sluice::orchestrator::api {
namespace {

using Params = std::vector<std::string>;

Task<void> nothing(Call&) {
  co_return;
}

constexpr Route kRoutes[] = {{"GET", "/v1/job/*id/plan", nothing},
                             {"PUT", "/v1/job/*id/plan", nothing},
                             {"GET", "/v1/job/*id", nothing}};

std::string refusal(std::string host, std::string origin = "") {
  HttpServerRequest request;
  request.host = std::move(host);
  if (!origin.empty()) request.headers.add("Origin", std::move(origin));
  return refuse_origin(request, {"sluice.example"});
}

}  // namespace

TEST_CASE("paths match by segment, decoded once matched") {
  EXPECT_EQ(match_path("/v1/job/:id", "/v1/job/web"), Params{"web"});
  EXPECT_EQ(match_path("/v1/job/:id", "/v1/job/a%2Fb%20c"), Params{"a/b c"});
  EXPECT_EQ(match_path("/v1/jobs", "/v1/jobs/"), Params{});
  EXPECT(!match_path("/v1/job/:id", "/v1/job"));
  EXPECT(!match_path("/v1/job/:id", "/v1/job/a/b"));
  EXPECT(!match_path("/v1/jobs", "/v1/nodes"));
  EXPECT(!match_path("/v1/node/:id/drain", "/v1/node//drain"));
  EXPECT(!match_path("/v1/job/*id/scale", "/v1/job//scale"));
}

TEST_CASE("a job's id may hold slashes that nobody escaped") {
  EXPECT_EQ(match_path("/v1/job/*id/plan", "/v1/job/a/periodic-1/plan"), Params{"a/periodic-1"});
  EXPECT_EQ(match_path("/v1/job/*id/periodic/force", "/v1/job/a/b/periodic/force"), Params{"a/b"});
  EXPECT_EQ(match_path("/v1/job/*id", "/v1/job/a/b"), Params{"a/b"});
  EXPECT(!match_path("/v1/job/*id/plan", "/v1/job/plan"));
  EXPECT_EQ(match_path("/v1/job/*id/plan", "/v1/job/a%2Fplan/plan"), Params{"a/plan"});
}

TEST_CASE("PUT takes POST, GET takes HEAD, other methods are told apart from other paths") {
  const std::array<std::span<const Route>, 1> tables{std::span(kRoutes)};
  EXPECT_EQ(find_route(tables, "POST", "/v1/job/a/plan").route, &kRoutes[1]);
  EXPECT_EQ(find_route(tables, "HEAD", "/v1/job/a").route, &kRoutes[2]);
  const RouteMatch wrong = find_route(tables, "DELETE", "/v1/job/a");
  EXPECT(!wrong.route);
  EXPECT(wrong.path_known);
  EXPECT(!find_route(tables, "GET", "/v2/job/a").path_known);
}

TEST_CASE("a foreign page cannot drive the API: Host and Origin are checked") {
  for (const char* fine : {"127.0.0.1:4646", "[::1]:4646", "localhost:4646", "LOCALHOST",
                           "10.1.2.3", "sluice.example:4646"}) {
    CAPTURE(fine);
    EXPECT_EQ(refusal(fine), "");
  }
  for (const char* foreign : {"evil.example:4646", "localhost.evil.example", ""}) {
    CAPTURE(foreign);
    EXPECT(!refusal(foreign).empty());
  }
  EXPECT_EQ(refusal("127.0.0.1:4646", "http://127.0.0.1:4646"), "");
  EXPECT(!refusal("127.0.0.1:4646", "http://127.0.0.1:8080").empty());
  EXPECT(!refusal("127.0.0.1:4646", "http://evil.example").empty());
  EXPECT(!refusal("127.0.0.1:4646", "null").empty());
}

TEST_CASE("a duration in a body is nanoseconds or Go's text, and nothing else in silence") {
  const auto read = [](const char* text) { return read_duration(*parse_json(text), "TTL"); };
  EXPECT_EQ(*read(R"({"TTL":1500000000})"), 1'500'000'000);
  EXPECT_EQ(*read(R"({"TTL":"1.5s"})"), 1'500'000'000);
  EXPECT_EQ(*read(R"({"TTL":null})"), 0);
  EXPECT_EQ(*read("{}"), 0);
  EXPECT_EQ(*read(R"({"TTL":""})"), 0);
  EXPECT(!read(R"({"TTL":"soon"})"));
  EXPECT(!read(R"({"TTL":true})"));
}

TEST_CASE("waits are at most five minutes, which nothing means too") {
  EXPECT_EQ(parse_wait_ms(""), 300'000);
  EXPECT_EQ(parse_wait_ms("2000ms"), 2'000);
  EXPECT_EQ(parse_wait_ms("10h"), 300'000);
  EXPECT_EQ(parse_wait_ms("-1s"), 0);
  EXPECT(!parse_wait_ms("soon"));
}

}  // namespace sluice::orchestrator::api
