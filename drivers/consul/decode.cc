#include "drivers/consul/decode.h"

#include <algorithm>
#include <ranges>
#include <set>
#include <utility>

#include "core/json_strings.h"

namespace sluice::drivers {

using orchestrator::CheckState;
using orchestrator::CheckStatus;
using orchestrator::ServiceCheck;
using orchestrator::ServiceInstance;
using orchestrator::ServiceRegistration;

namespace {

constexpr std::string_view kNodeAlive = "serfHealth";
constexpr std::string_view kNodeMaintenance = "_node_maintenance";
constexpr std::string_view kServiceMaintenance = "_service_maintenance:";

std::vector<std::string> texts_of(const Json* list) {
  std::vector<std::string> items;
  if (!list || !list->is_array()) return items;
  for (const Json& item : list->as_array()) {
    if (item.is_string()) items.push_back(item.as_string());
  }
  return items;
}

/// FNV-1a, 64 bits: stable between versions of the program, which std::hash is not.
uint64_t digest_of(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (unsigned char c : text) hash = (hash ^ c) * 0x100000001b3;
  return hash;
}

std::string host_and_port(const ServiceCheck& check) {
  bool ipv6 = check.address.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", ipv6 ? "[" : "", check.address, ipv6 ? "]" : "", check.port);
}

Json check_body(const std::string& service_id, const ServiceCheck& check, bool passing) {
  Json body = Json::object({{"CheckID", consul_check_id(service_id, check.id)},
                            {"Name", check.name},
                            {"Interval", fmt::format("{}ms", check.interval_ms)},
                            {"Timeout", fmt::format("{}ms", check.timeout_ms)}});
  if (check.type == "http") {
    std::string_view scheme = check.protocol.empty() ? "http" : std::string_view(check.protocol);
    body.set("HTTP", fmt::format("{}://{}{}", scheme, host_and_port(check), check.path));
    if (!check.method.empty()) body.set("Method", check.method);
    if (!check.body.empty()) body.set("Body", check.body);
    Json headers = Json::object();
    for (const auto& [name, values] : check.headers) {
      headers.set(name, string_list(values));
    }
    if (headers.size() > 0) body.set("Header", std::move(headers));
  } else if (check.type == "grpc") {
    body.set("GRPC", host_and_port(check) + check.path);
    body.set("GRPCUseTLS", check.protocol == "https");
  } else if (check.type == "tcp") {
    body.set("TCP", host_and_port(check));
  } else {
    // Scripts run on the node, which reports them; Consul only watches that it does.
    body.erase("Interval");
    body.erase("Timeout");
    body.set("TTL", fmt::format("{}ms", 2 * (check.interval_ms + check.timeout_ms)));
  }
  if (!check.notes.empty()) body.set("Notes", check.notes);
  if (check.deregister_after_ms > 0) {
    body.set("DeregisterCriticalServiceAfter", fmt::format("{}ms", check.deregister_after_ms));
  }
  if (check.tls_skip_verify) body.set("TLSSkipVerify", true);
  if (!check.tls_server_name.empty()) body.set("TLSServerName", check.tls_server_name);
  if (check.success_before_passing > 0)
    body.set("SuccessBeforePassing", check.success_before_passing);
  if (check.failures_before_critical > 0) {
    body.set("FailuresBeforeCritical", check.failures_before_critical);
  }
  if (check.failures_before_warning > 0) {
    body.set("FailuresBeforeWarning", check.failures_before_warning);
  }
  if (passing) {
    body.set("Status", "passing");
  } else if (!check.initial_status.empty()) {
    body.set("Status", check.initial_status);
  }
  return body;
}

Json weights_body(const orchestrator::ServiceWeights& weights) {
  return Json::object({{"Passing", weights.passing}, {"Warning", weights.warning}});
}

/// What an instance's checks, its own and its node's, say of it.
struct Verdict {
  bool healthy = false;
  bool unproven = false;
  bool maintenance = false;
};

Verdict judge(const Json::Array& checks, const ConsulHealthRule& rule) {
  size_t own = 0, good = 0, not_run = 0;
  for (const Json& check : checks) {
    std::string_view id = check.get_string("CheckID");
    std::string_view status = check.get_string("Status");
    if (id == kNodeAlive && status == "critical") return {};
    if (id == kNodeMaintenance || id.starts_with(kServiceMaintenance)) return {.maintenance = true};
    if (check.get_string("ServiceID").empty()) continue;
    ++own;
    if (std::ranges::find(rule.statuses, status) != rule.statuses.end()) {
      ++good;
      continue;
    }
    std::string_view type = check.get_string("Type");
    // Checks that Consul makes itself always say something once they have run.
    bool consul_runs_it = type == "http" || type == "tcp" || type == "grpc";
    if (status == "critical" && check.get_string("Output").empty() && consul_runs_it) ++not_run;
  }
  bool healthy = rule.all_checks ? own > 0 && good == own : good > 0;
  return {.healthy = healthy, .unproven = !healthy && own > 0 && good + not_run == own};
}

bool has_prefix(const std::vector<std::string>& prefixes, std::string_view id) {
  return std::ranges::any_of(prefixes,
                             [&](const std::string& prefix) { return id.starts_with(prefix); });
}

bool same_as_registered(const ServiceRegistration& wanted, const Json& held) {
  const Json body = registration_body(wanted, false);
  const Json* meta = held.find("Meta");
  const Json* weights = held.find("Weights");
  return held.get_string("Service") == wanted.name &&
         held.get_string("Address") == wanted.address && held.get_int("Port") == wanted.port &&
         texts_of(held.find("Tags")) == wanted.tags && meta && *meta == *body.find("Meta") &&
         weights && *weights == *body.find("Weights");
}

}  // namespace

CheckStatus check_status(std::string_view text) {
  if (text == "passing") return CheckStatus::kPassing;
  if (text == "warning") return CheckStatus::kWarning;
  return CheckStatus::kCritical;
}

std::string consul_check_id(const std::string& service_id, const std::string& check_id) {
  return service_id + ":" + check_id;
}

Result<ConsulServices> decode_services(const Json& body) {
  if (!body.is_object()) return fail(Code::kInvalid, "Consul's list of services is no object");
  ConsulServices services;
  for (const JsonMember& member : body.as_object()) {
    services[member.key] = texts_of(&member.value);
  }
  return services;
}

Result<std::vector<ConsulCheckRow>> decode_checks(const Json& body) {
  if (!body.is_array()) return fail(Code::kInvalid, "Consul's list of checks is no list");
  std::vector<ConsulCheckRow> rows;
  rows.reserve(body.size());
  for (const Json& item : body.as_array()) {
    rows.push_back({.node = std::string(item.get_string("Node")),
                    .check_id = std::string(item.get_string("CheckID")),
                    .name = std::string(item.get_string("Name")),
                    .status = std::string(item.get_string("Status")),
                    .output = std::string(item.get_string("Output")),
                    .service_id = std::string(item.get_string("ServiceID")),
                    .service = std::string(item.get_string("ServiceName")),
                    .modify_index = static_cast<uint64_t>(item.get_int("ModifyIndex"))});
  }
  return rows;
}

Result<std::vector<ConsulInstance>> decode_instances(const Json& body,
                                                     const ConsulHealthRule& rule) {
  if (!body.is_array()) return fail(Code::kInvalid, "Consul's list of instances is no list");
  std::vector<ConsulInstance> instances;
  for (const Json& item : body.as_array()) {
    const Json* node = item.find("Node");
    const Json* service = item.find("Service");
    const Json* checks = item.find("Checks");
    if (!node || !service || service->get_string("ID").empty()) continue;
    ConsulInstance found;
    ServiceInstance& instance = found.instance;
    instance.id = service->get_string("ID");
    instance.service = service->get_string("Service");
    instance.address = service->get_string("Address");
    if (instance.address.empty()) instance.address = node->get_string("Address");
    instance.port = static_cast<uint16_t>(service->get_int("Port"));
    instance.node = node->get_string("Node");
    instance.datacenter = node->get_string("Datacenter");
    instance.tags = texts_of(service->find("Tags"));
    if (const Json* meta = service->find("Meta"); meta && meta->is_object()) {
      for (const JsonMember& member : meta->as_object()) {
        if (member.value.is_string() && member.key != kDigestMeta) {
          instance.meta[member.key] = member.value.as_string();
        }
      }
    }
    if (checks && checks->is_array()) {
      for (const Json& check : checks->as_array()) {
        instance.checks.push_back({.service_id = std::string(check.get_string("ServiceID")),
                                   .check_id = std::string(check.get_string("CheckID")),
                                   .name = std::string(check.get_string("Name")),
                                   .status = check_status(check.get_string("Status")),
                                   .output = std::string(check.get_string("Output"))});
      }
      Verdict verdict = judge(checks->as_array(), rule);
      instance.healthy = verdict.healthy;
      instance.maintenance = verdict.maintenance;
      found.unproven = verdict.unproven;
    }
    instances.push_back(std::move(found));
  }
  std::ranges::sort(instances, {}, &ConsulInstance::key);
  return instances;
}

Json registration_body(const ServiceRegistration& registration, bool passing) {
  Json checks = Json::array();
  for (const ServiceCheck& check : registration.checks) {
    checks.push(check_body(registration.id, check, false));
  }
  Json meta = string_map(registration.meta);
  meta.set(kDigestMeta, fmt::format("{:016x}", digest_of(to_json(checks))));
  if (passing) {
    checks = Json::array();
    for (const ServiceCheck& check : registration.checks) {
      checks.push(check_body(registration.id, check, true));
    }
  }
  return Json::object({{"ID", registration.id},
                       {"Name", registration.name},
                       {"Tags", string_list(registration.tags)},
                       {"Meta", std::move(meta)},
                       {"Address", registration.address},
                       {"Port", registration.port},
                       {"Weights", weights_body(registration.weights)},
                       {"Checks", std::move(checks)}});
}

ConsulSync plan_sync(const std::map<std::string, ServiceRegistration>& desired,
                     const std::vector<std::string>& prefixes, const Json& agent_services,
                     const Json& agent_checks) {
  ConsulSync sync;
  std::set<std::string, std::less<>> held_checks;
  if (agent_checks.is_object()) {
    for (const JsonMember& member : agent_checks.as_object()) {
      held_checks.insert(member.key);
      auto owner = desired.find(std::string(member.value.get_string("ServiceID")));
      if (owner == desired.end()) continue;
      // Maintenance is somebody's intent; what else is there is an older registration's.
      if (member.key.starts_with(kServiceMaintenance)) continue;
      bool wanted = std::ranges::any_of(owner->second.checks, [&](const ServiceCheck& check) {
        return consul_check_id(owner->first, check.id) == member.key;
      });
      if (!wanted && member.key.starts_with(owner->first)) sync.remove_checks.push_back(member.key);
    }
  }
  for (const auto& [id, registration] : desired) {
    const Json* held = agent_services.find(id);
    bool checks_there = std::ranges::all_of(registration.checks, [&](const ServiceCheck& check) {
      return held_checks.contains(consul_check_id(id, check.id));
    });
    if (!held || !checks_there || !same_as_registered(registration, *held)) {
      sync.add.push_back(&registration);
    }
  }
  if (agent_services.is_object()) {
    for (const JsonMember& member : agent_services.as_object()) {
      if (has_prefix(prefixes, member.key) && !desired.contains(member.key)) {
        sync.remove.push_back(member.key);
      }
    }
  }
  return sync;
}

}  // namespace sluice::drivers
