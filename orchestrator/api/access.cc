#include "orchestrator/api/access.h"

#include <algorithm>

namespace sluice::orchestrator::api {

namespace {

struct Rule {
  std::string_view prefix;
  std::optional<AclArea> area;
  std::optional<AclLevel> level = std::nullopt;  // whatever the method
};

// The first that fits. Longer prefixes of one path stand before shorter ones.
constexpr Rule kRules[] = {
    {"/v1/status/", std::nullopt},
    {"/v1/regions", std::nullopt},
    {"/v1/agent/health", std::nullopt},
    {"/v1/acl/bootstrap", std::nullopt},               // once, while there is no token
    {"/v1/acl/token/self", std::nullopt},              // needs a token of any kind, and says which
    {"/v1/client/allocation/:id/exec", std::nullopt},  // the token may come behind the upgrade
    {"/v1/acl/policy/self", std::nullopt},             // likewise
    {"/v1/acl/", AclArea::kManagement},
    {"/v1/system/", AclArea::kManagement},
    {"/v1/operator/recover", AclArea::kManagement},
    {"/v1/operator/", AclArea::kOperator},
    {"/v1/agent/", AclArea::kAgent},
    {"/v1/metrics", AclArea::kAgent},
    {"/v1/node/pool/:name/jobs", AclArea::kNamespace},
    {"/v1/nodes", AclArea::kNode},
    {"/v1/node/", AclArea::kNode},
    {"/v1/client/stats", AclArea::kNode},
    {"/v1/client/gc", AclArea::kNode, AclLevel::kWrite},
    {"/v1/client/allocation/:id/gc", AclArea::kNamespace, AclLevel::kWrite},
    {"/v1/event/stream", AclArea::kManagement},
    {"/v1/namespaces", AclArea::kNamespace, AclLevel::kRead},
    {"/v1/namespace/", AclArea::kNamespace, AclLevel::kRead},
    {"/v1/search", AclArea::kNamespace, AclLevel::kRead},
    {"/v1/jobs/parse", AclArea::kNamespace, AclLevel::kRead},
    {"/v1/validate/", AclArea::kNamespace, AclLevel::kRead},
    {"/v1/jobs", AclArea::kNamespace},
    {"/v1/job/", AclArea::kNamespace},
    {"/v1/allocations", AclArea::kNamespace},
    {"/v1/allocation/", AclArea::kNamespace},
    {"/v1/evaluations", AclArea::kNamespace},
    {"/v1/evaluation/", AclArea::kNamespace},
    {"/v1/deployments", AclArea::kNamespace},
    {"/v1/deployment/", AclArea::kNamespace},
    {"/v1/client/", AclArea::kNamespace},
    {"/v1/scaling/", AclArea::kNamespace},
    {"/v1/services", AclArea::kNamespace},
    {"/v1/service/", AclArea::kNamespace},
    {"/v1/volumes", AclArea::kNamespace},
    {"/v1/plugins", AclArea::kNode},
};

}  // namespace

Need need_of(std::string_view method, std::string_view pattern) {
  if (pattern == "/" || pattern.starts_with("/ui")) return {};
  for (const Rule& rule : kRules) {
    if (!pattern.starts_with(rule.prefix)) continue;
    if (!rule.area) return {};
    const AclLevel by_method = method == "GET" ? AclLevel::kRead : AclLevel::kWrite;
    return {rule.area, rule.level.value_or(by_method)};
  }
  return {AclArea::kManagement, AclLevel::kWrite};
}

}  // namespace sluice::orchestrator::api
