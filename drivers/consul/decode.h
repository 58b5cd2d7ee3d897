// Consul's JSON and ours: registrations out, checks and instances in, and the rule by which an
// instance is healthy (fabio's).
//
// Pure; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "core/result.h"
#include "orchestrator/catalog.h"

namespace sluice::drivers {

/// Which instances get traffic: fabio's -registry.consul.service.status and .checksRequired.
struct ConsulHealthRule {
  std::vector<std::string> statuses = {"passing"};
  bool all_checks = false;  // all of an instance's checks must have such a status; else one
};

/// An instance as Consul has it now.
struct ConsulInstance {
  orchestrator::ServiceInstance instance;
  /// Its checks are critical only because they have not run yet: the agent that runs them was
  /// restarted, or has just been told of them. That says nothing about the instance.
  bool unproven = false;

  /// A service's id is unique on its node only.
  std::string key() const { return instance.node + "/" + instance.id; }
};

/// One row of /v1/health/state/any.
struct ConsulCheckRow {
  std::string node;
  std::string check_id;
  std::string name;
  std::string status;
  std::string output;
  std::string service_id;  // empty: of the node
  std::string service;
  uint64_t modify_index = 0;
};

/// Names and all tags of their instances, of /v1/catalog/services.
using ConsulServices = std::map<std::string, std::vector<std::string>, std::less<>>;

Result<ConsulServices> decode_services(const Json& body);
Result<std::vector<ConsulCheckRow>> decode_checks(const Json& body);
/// Of /v1/health/service/NAME. An instance that lacks what it must have is left out.
Result<std::vector<ConsulInstance>> decode_instances(const Json& body,
                                                     const ConsulHealthRule& rule);

orchestrator::CheckStatus check_status(std::string_view text);

/// A check's id at Consul, where it must be unique on the agent.
std::string consul_check_id(const std::string& service_id, const std::string& check_id);

/// The key in a service's meta that holds a digest of what was registered, because Consul does not
/// tell all of it back.
inline constexpr std::string_view kDigestMeta = "sluice-digest";

/// The body of PUT /v1/agent/service/register. `passing`: the checks start as passing, because that
/// is how they were before Consul forgot them.
Json registration_body(const orchestrator::ServiceRegistration& registration, bool passing);

/// What to tell the agent so that it holds exactly `desired` of all ids with one of `prefixes`.
struct ConsulSync {
  std::vector<const orchestrator::ServiceRegistration*> add;  // missing or different
  std::vector<std::string> remove;                            // services
  std::vector<std::string> remove_checks;
};
ConsulSync plan_sync(const std::map<std::string, orchestrator::ServiceRegistration>& desired,
                     const std::vector<std::string>& prefixes, const Json& agent_services,
                     const Json& agent_checks);

}  // namespace sluice::drivers
