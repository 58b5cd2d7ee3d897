#include "drivers/embedded/read_calls.h"

#include <algorithm>
#include <map>

#include "core/ascii.h"
#include "core/digest.h"
#include "core/http.h"
#include "core/json_strings.h"

namespace sluice::drivers {

namespace {

constexpr uint16_t kSerfPort = 8301;  // what Consul's clients expect to be told; nothing listens
constexpr size_t kHashBytes = 8;

// Below these any key may stand.
constexpr std::string_view kMaps[] = {"Meta", "NodeMeta", "ServiceMeta", "TaggedAddresses",
                                      "ServiceTaggedAddresses"};

bool same_name(std::string_view a, std::string_view b) {
  return ascii::lower(a) == ascii::lower(b);
}

bool kept(const ReadContext& of, const Json& item) {
  return !of.query.filter || of.query.filter->matches(item);
}

bool node_wanted(const ReadContext& of) {
  return std::ranges::all_of(of.query.node_meta, [](const auto& wanted) {
    return wanted.first == "consul-network-segment" && wanted.second.empty();
  });
}

bool has_tags(const CatalogRecord& record, const std::vector<std::string>& wanted) {
  return std::ranges::all_of(wanted, [&](const std::string& tag) {
    return std::ranges::any_of(record.registration.tags,
                               [&](const std::string& held) { return same_name(held, tag); });
  });
}

template <class Take>
void each_of_service(const ReadContext& of, Take take) {
  if (!node_wanted(of)) return;
  for (const auto& [id, record] : of.table.records()) {
    if (same_name(record.registration.name, of.name) && has_tags(record, of.query.tags)) {
      take(record);
    }
  }
}

void push_kept(const ReadContext& of, Json& list, Json item) {
  if (kept(of, item)) list.push(std::move(item));
}

Json checks_of(const ReadContext& of, const CatalogRecord& record) {
  Json checks = Json::array({node_check_json(of.node, of.table.begin_index())});
  for (size_t i = 0; i < record.states.size(); ++i) {
    checks.push(check_json(of.node, record, i, true));
  }
  return checks;
}

Json health_entry(const ReadContext& of, const CatalogRecord& record) {
  return Json::object({{"Node", node_json(of.node, of.table.begin_index())},
                       {"Service", service_json(record)},
                       {"Checks", checks_of(of, record)}});
}

// -------------------------------------------------------------------------------- bodies

Result<Json> catalog_services(const ReadContext& of) {
  std::map<std::string, std::vector<std::string>> tags_of;
  if (node_wanted(of)) {
    for (const auto& [id, record] : of.table.records()) {
      std::vector<std::string>& tags = tags_of[record.registration.name];
      for (const std::string& tag : record.registration.tags) {
        if (std::ranges::find(tags, tag) == tags.end()) tags.push_back(tag);
      }
    }
  }
  Json all = Json::object();
  for (const auto& [name, tags] : tags_of) all.set(name, string_list(tags));
  return all;
}

Result<Json> catalog_service(const ReadContext& of) {
  Json list = Json::array();
  each_of_service(of, [&](const CatalogRecord& record) {
    push_kept(of, list, catalog_service_json(of.node, record));
  });
  return list;
}

Result<Json> catalog_nodes(const ReadContext& of) {
  Json list = Json::array();
  if (node_wanted(of)) push_kept(of, list, node_json(of.node, of.table.begin_index()));
  return list;
}

Result<Json> catalog_node(const ReadContext& of) {
  if (!same_name(of.name, of.node.name)) return Json();
  Json services = Json::object();
  for (const auto& [id, record] : of.table.records()) {
    Json item = service_json(record);
    if (kept(of, item)) services.set(id, std::move(item));
  }
  return Json::object(
      {{"Node", node_json(of.node, of.table.begin_index())}, {"Services", std::move(services)}});
}

Result<Json> catalog_node_services(const ReadContext& of) {
  if (!same_name(of.name, of.node.name)) {
    return Json::object({{"Node", Json()}, {"Services", Json()}});
  }
  Json services = Json::array();
  for (const auto& [id, record] : of.table.records()) push_kept(of, services, service_json(record));
  return Json::object(
      {{"Node", node_json(of.node, of.table.begin_index())}, {"Services", std::move(services)}});
}

Result<Json> datacenters(const ReadContext& of) {
  return Json::array({of.node.datacenter});
}

Result<Json> health_service(const ReadContext& of) {
  Json list = Json::array();
  each_of_service(of, [&](const CatalogRecord& record) {
    if (of.query.passing && record.status() != orchestrator::CheckStatus::kPassing) return;
    push_kept(of, list, health_entry(of, record));
  });
  return list;
}

Result<Json> health_checks(const ReadContext& of) {
  Json list = Json::array();
  each_of_service(of, [&](const CatalogRecord& record) {
    for (size_t i = 0; i < record.states.size(); ++i) {
      push_kept(of, list, check_json(of.node, record, i, true));
    }
  });
  return list;
}

Json all_checks(const ReadContext& of, std::string_view status) {
  Json list = Json::array();
  if (!node_wanted(of)) return list;
  for (const auto& [id, record] : of.table.records()) {
    for (size_t i = 0; i < record.states.size(); ++i) {
      if (status != "any" && to_string(record.states[i].status) != status) continue;
      push_kept(of, list, check_json(of.node, record, i, true));
    }
  }
  if (status == "any" || status == "passing") {
    push_kept(of, list, node_check_json(of.node, of.table.begin_index()));
  }
  return list;
}

Result<Json> health_state(const ReadContext& of) {
  return all_checks(of, of.name);
}

Result<Json> health_node(const ReadContext& of) {
  return same_name(of.name, of.node.name) ? all_checks(of, "any") : Json::array();
}

/// The agent's own view is without the server's service.
Result<Json> agent_services(const ReadContext& of) {
  Json all = Json::object();
  for (const auto& [id, record] : of.table.records()) {
    if (id == kServerService) continue;
    Json item = agent_service_json(of.node, record);
    if (kept(of, item)) all.set(id, std::move(item));
  }
  return all;
}

Result<Json> agent_checks(const ReadContext& of) {
  Json all = Json::object();
  for (const auto& [id, record] : of.table.records()) {
    for (size_t i = 0; i < record.states.size(); ++i) {
      Json item = check_json(of.node, record, i, false);
      if (kept(of, item)) all.set(check_key(record, i), std::move(item));
    }
  }
  return all;
}

Result<Json> agent_service(const ReadContext& of) {
  const auto found = of.table.records().find(of.name);
  if (found == of.table.records().end() || of.name == kServerService) {
    return fail(Code::kNotFound, "unknown service ID: {}", of.name);
  }
  Json service = agent_service_json(of.node, found->second);
  const std::string hash =
      to_hex(digest(DigestKind::kSha256, to_json(service)).substr(0, kHashBytes));
  service.erase("Datacenter");
  service.set("ContentHash", hash);
  service.set("Datacenter", of.node.datacenter);
  return service;
}

Json member(const ReadNode& node) {
  return Json::object({{"Name", node.name},
                       {"Addr", node.address},
                       {"Port", kSerfPort},
                       {"Tags", Json::object({{"acls", "0"},
                                              {"build", SLUICE_VERSION ":"},
                                              {"dc", node.datacenter},
                                              {"id", node.id},
                                              {"port", std::to_string(kServerPort)},
                                              {"role", "consul"},
                                              {"segment", ""},
                                              {"vsn", "2"}})},
                       {"Status", 1},  // alive
                       {"ProtocolMin", 1},
                       {"ProtocolMax", 5},
                       {"ProtocolCur", 2},
                       {"DelegateMin", 2},
                       {"DelegateMax", 5},
                       {"DelegateCur", 4}});
}

std::string leader_address(const ReadNode& node) {
  return fmt::format("{}:{}", node.address, kServerPort);
}

Result<Json> agent_self(const ReadContext& of) {
  return Json::object(
      {{"Config", Json::object({{"Datacenter", of.node.datacenter},
                                {"PrimaryDatacenter", of.node.datacenter},
                                {"NodeName", of.node.name},
                                {"NodeID", of.node.id},
                                {"Revision", ""},
                                {"Server", true},
                                {"Version", SLUICE_VERSION}})},
       {"Member", member(of.node)},
       {"Stats", Json::object({{"consul", Json::object({{"leader", "true"},
                                                        {"leader_addr", leader_address(of.node)},
                                                        {"server", "true"}})}})},
       {"Meta", Json::object({{"consul-network-segment", ""}})}});
}

Result<Json> agent_members(const ReadContext& of) {
  return Json::array({member(of.node)});
}

Result<Json> status_leader(const ReadContext& of) {
  return Json(leader_address(of.node));
}

Result<Json> status_peers(const ReadContext& of) {
  return Json::array({leader_address(of.node)});
}

/// There are no keys: as Consul answers for one that is not there, and for a list of all.
Result<Json> no_key(const ReadContext& of) {
  if (of.name.empty() && of.query.keys) return Json::array();
  if (of.name.empty() && !of.query.recurse) {
    return fail(Code::kInvalid, "Bad request: Missing key name");
  }
  return fail(Code::kNotFound, "");
}

// ------------------------------------------------------------------------------- indexes

uint64_t of_services(const ReadContext& of) {
  return of.table.services_index();
}
uint64_t of_service(const ReadContext& of) {
  return of.table.service_index(of.name);
}
uint64_t of_checks(const ReadContext& of) {
  return of.table.checks_index();
}
uint64_t of_node(const ReadContext& of) {
  return of.table.begin_index();
}

// ------------------------------------------------------------------------------- samples

CatalogRecord sample_record() {
  return {.registration = {.name = "",
                           .tags = {""},
                           .meta = {},
                           .address = "127.0.0.1",
                           .checks = {orchestrator::ServiceCheck{}}},
          .states = {orchestrator::CheckState{}},
          .check_indexes = {0}};
}

Json sample_service(const ReadNode&) {
  return service_json(sample_record());
}
Json sample_catalog_service(const ReadNode& node) {
  return catalog_service_json(node, sample_record());
}
Json sample_agent_service(const ReadNode& node) {
  return agent_service_json(node, sample_record());
}
Json sample_node(const ReadNode& node) {
  return node_json(node, 0);
}
Json sample_check(const ReadNode& node) {
  return check_json(node, sample_record(), 0, true);
}
Json sample_health(const ReadNode& node) {
  return Json::object({{"Node", sample_node(node)},
                       {"Service", service_json(sample_record())},
                       {"Checks", Json::array({sample_check(node)})}});
}

constexpr ReadCall kCalls[] = {
    {"/v1/catalog/services", "", of_services, catalog_services, nullptr},
    {"/v1/catalog/service/", "Missing service name", of_service, catalog_service,
     sample_catalog_service},
    {"/v1/catalog/nodes", "", of_node, catalog_nodes, sample_node},
    {"/v1/catalog/node/", "Missing node name", of_services, catalog_node, sample_service},
    {"/v1/catalog/node-services/", "Missing node name", of_services, catalog_node_services,
     sample_service},
    {"/v1/catalog/datacenters", "", nullptr, datacenters, nullptr},
    {"/v1/health/service/", "Missing service name", of_service, health_service, sample_health},
    {"/v1/health/checks/", "Missing service name", of_checks, health_checks, sample_check},
    {"/v1/health/node/", "Missing node name", of_checks, health_node, sample_check},
    {"/v1/health/state/", "Missing check state", of_checks, health_state, sample_check},
    {"/v1/agent/services", "", nullptr, agent_services, sample_agent_service},
    {"/v1/agent/checks", "", nullptr, agent_checks, sample_check},
    {"/v1/agent/service/", "Missing service ID", nullptr, agent_service, nullptr},
    {"/v1/agent/self", "", nullptr, agent_self, nullptr},
    {"/v1/agent/members", "", nullptr, agent_members, nullptr},
    {"/v1/status/leader", "", nullptr, status_leader, nullptr},
    {"/v1/status/peers", "", nullptr, status_peers, nullptr},
    {"/v1/kv/", "", of_node, no_key, nullptr},
};

}  // namespace

const ReadCall* find_read_call(std::string_view path, std::string& name) {
  for (const ReadCall& call : kCalls) {
    if (!call.path.ends_with('/')) {
      if (path == call.path) return &call;
    } else if (path.starts_with(call.path)) {
      name = percent_decode(path.substr(call.path.size()), false);
      return &call;
    }
  }
  return nullptr;
}

Result<void> check_read_filter(const ReadCall& call, const ReadQuery& query, const ReadNode& node) {
  if (!query.filter) return {};
  if (call.sample == nullptr) {
    return fail(Code::kInvalid, "{} takes no filter", call.path);
  }
  Result<void> checked = query.filter->check_against(call.sample(node), kMaps);
  if (!checked) return pass(checked, "Failed to create boolean expression evaluator");
  return {};
}

}  // namespace sluice::drivers
