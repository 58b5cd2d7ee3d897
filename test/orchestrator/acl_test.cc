#include "orchestrator/acl.h"

#include "orchestrator/api/access.h"
#include "test/test.h"

namespace sluice::orchestrator {

namespace {

AclRights rights_of(std::initializer_list<const char*> policies) {
  AclRights rights;
  for (const char* rules : policies) REQUIRE(rights.add("p", rules));
  return rights;
}

using enum AclLevel;
using enum AclArea;

}  // namespace

TEST_CASE("rights: the most that any policy says, but for a deny, which wins") {
  const AclRights rights = rights_of({R"(namespace "default" {
  policy = "read"
}
node {
  policy = "read"
})",
                                      R"(namespace "default" {
  policy = "write"
}
namespace "secret" {
  policy = "write"
})",
                                      R"(namespace "secret" {
  policy = "deny"
}
operator {
  policy = "write"
})"});
  EXPECT(rights.allows(kNamespace, kWrite, "default"));
  EXPECT(!rights.allows(kNamespace, kRead, "secret"));
  EXPECT(!rights.allows(kNamespace, kRead, "other"));
  EXPECT(rights.allows(kNode, kRead));
  EXPECT(!rights.allows(kNode, kWrite));
  EXPECT(rights.allows(kOperator, kWrite));
  EXPECT(!rights.allows(kAgent, kRead));
  EXPECT(!rights.allows(kManagement, kRead));
  EXPECT(AclRights::all().allows(kManagement, kWrite));
  EXPECT(!AclRights().allows(kNamespace, kRead, "default"));
}

TEST_CASE("rights: of patterns the most specific counts, an exact name most of all") {
  const AclRights rights = rights_of({R"(namespace "*" {
  policy = "read"
}
namespace "prod-*" {
  policy = "deny"
}
namespace "prod-api" {
  policy = "write"
})"});
  EXPECT(rights.allows(kNamespace, kRead, "default"));
  EXPECT(!rights.allows(kNamespace, kRead, "prod-web"));
  EXPECT(rights.allows(kNamespace, kWrite, "prod-api"));
}

TEST_CASE("rules that are none are refused with their place") {
  const std::pair<const char*, const char*> table[] = {
      {"namespace {\n}", "namespace"}, {"namespace \"x\" {\n  policy = \"all\"\n}", "policy"},
      {"nodes {\n}", "nodes"},         {"node {\n  capabilities = []\n}", "capabilities"},
      {"namespace \"x\" {", "}"},
  };
  for (const auto& [rules, part] : table) {
    CAPTURE(rules);
    AclRights rights;
    const auto added = rights.add("p", rules);
    REQUIRE(!added);
    EXPECT(added.error().message.starts_with("p:"));
    EXPECT(added.error().message.find(part) != std::string::npos);
  }
}

TEST_CASE("tokens: by their whole secret, until their end, with the policies that are there") {
  AclRecords records;
  records.policies["readers"] = {.name = "readers",
                                 .rules = "namespace \"default\" {\n  policy = \"read\"\n}"};
  const auto token = [&](const char* id, const char* type, int64_t end_ns) {
    AclToken made{.accessor_id = id, .secret_id = std::string("secret-") + id, .type = type};
    if (made.type == "client") made.policies = {"readers", "gone"};
    made.expiration_time.ns = end_ns;
    records.tokens[id] = made;
  };
  token("a", "client", 0);
  token("b", "management", 0);
  token("c", "client", 100);
  const auto reads = [&](std::string_view secret, int64_t now_ns = 50) {
    const auto rights = acl_rights(records, secret, now_ns);
    return rights && rights->allows(kNamespace, kRead, "default");
  };
  EXPECT(reads("secret-a"));
  EXPECT(!acl_rights(records, "secret-a", 1)->allows(kNamespace, kWrite, "default"));
  EXPECT(acl_rights(records, "secret-b", 1)->allows(kManagement, kWrite));
  EXPECT(reads("secret-c"));
  EXPECT_EQ(acl_rights(records, "secret-c", 100).error().message, "ACL token not found");
  for (const char* secret : {"secret-", "secret-x", "secret-aa", "a"}) {
    CAPTURE(secret);
    EXPECT(!acl_rights(records, secret, 1));
  }
  // No token is the anonymous one, which may nothing until a policy of that name says so.
  EXPECT(!reads(""));
  records.policies["anonymous"] = records.policies["readers"];
  EXPECT(reads(""));
}

TEST_CASE("what each call needs; what the table does not name needs management") {
  struct Row {
    const char *method, *pattern, *need;
  };
  const auto text = [](const api::Need& need) -> std::string {
    if (!need.area) return "none";
    constexpr const char* kAreas[] = {"namespace", "node", "agent", "operator", "management"};
    return std::string(kAreas[static_cast<size_t>(*need.area)]) +
           (need.level == kWrite ? " write" : " read");
  };
  const Row table[] = {
      {"GET", "/v1/jobs", "namespace read"},
      {"PUT", "/v1/jobs", "namespace write"},
      {"DELETE", "/v1/job/*id", "namespace write"},
      {"PUT", "/v1/job/*id/dispatch", "namespace write"},
      {"PUT", "/v1/jobs/parse", "namespace read"},
      {"PUT", "/v1/search", "namespace read"},
      {"PUT", "/v1/client/allocation/:id/restart", "namespace write"},
      {"GET", "/v1/client/fs/logs/:id", "namespace read"},
      {"GET", "/v1/client/allocation/:id/gc", "namespace write"},
      {"GET", "/v1/client/gc", "node write"},
      {"GET", "/v1/client/stats", "node read"},
      {"PUT", "/v1/deployment/promote/:id", "namespace write"},
      {"GET", "/v1/nodes", "node read"},
      {"PUT", "/v1/node/:id/drain", "node write"},
      {"GET", "/v1/agent/self", "agent read"},
      {"GET", "/v1/metrics", "agent read"},
      {"GET", "/v1/operator/raft/configuration", "operator read"},
      {"PUT", "/v1/operator/snapshot", "operator write"},
      {"PUT", "/v1/system/gc", "management write"},
      {"GET", "/v1/acl/tokens", "management read"},
      {"GET", "/v1/status/leader", "none"},
      {"GET", "/ui/*path", "none"},
      {"GET", "/v1/something/new", "management write"},
  };
  for (const Row& row : table) {
    CAPTURE(row.pattern);
    EXPECT_EQ(text(api::need_of(row.method, row.pattern)), row.need);
  }
}

}  // namespace sluice::orchestrator
