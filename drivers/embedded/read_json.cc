#include "drivers/embedded/read_json.h"

#include <fmt/format.h>

#include "core/duration.h"
#include "core/json_strings.h"

namespace sluice::drivers {

using orchestrator::CheckState;
using orchestrator::ServiceCheck;
using orchestrator::ServiceRegistration;

namespace {

enum class AddressKind : uint8_t { kNone, kIpv4, kIpv6, kName };

AddressKind kind_of(const std::string& address) {
  if (address.empty()) return AddressKind::kNone;
  if (address.find(':') != std::string::npos) return AddressKind::kIpv6;
  return address.find_first_not_of("0123456789.") == std::string::npos ? AddressKind::kIpv4
                                                                       : AddressKind::kName;
}

Json node_meta() {
  return Json::object({{"consul-network-segment", ""}});
}

Json node_addresses(const ReadNode& node) {
  Json all = Json::object({{"lan", node.address}});
  const bool ipv4 = kind_of(node.address) == AddressKind::kIpv4;
  const bool ipv6 = kind_of(node.address) == AddressKind::kIpv6;
  if (ipv4) all.set("lan_ipv4", node.address);
  if (ipv6) all.set("lan_ipv6", node.address);
  all.set("wan", node.address);
  if (ipv4) all.set("wan_ipv4", node.address);
  if (ipv6) all.set("wan_ipv6", node.address);
  return all;
}

/// Consul leaves the member out where the service has no IP address of its own.
void set_service_addresses(Json& into, std::string_view key, const ServiceRegistration& service) {
  const AddressKind kind = kind_of(service.address);
  if (kind != AddressKind::kIpv4 && kind != AddressKind::kIpv6) return;
  const Json place = Json::object({{"Address", service.address}, {"Port", service.port}});
  const std::string_view family = kind == AddressKind::kIpv4 ? "ipv4" : "ipv6";
  Json all = Json::object();
  for (const std::string_view net : {"lan", "wan"}) {
    all.set(fmt::format("{}_{}", net, family), place);
  }
  into.set(key, std::move(all));
}

Json weights(const ServiceRegistration& service) {
  return Json::object({{"Passing", service.weights.passing}, {"Warning", service.weights.warning}});
}

Json no_proxy() {
  return Json::object({{"Mode", ""}, {"MeshGateway", Json::object()}, {"Expose", Json::object()}});
}

std::string duration_text(int64_t ms) {
  return go_duration(ms * 1'000'000);
}

}  // namespace

Json node_json(const ReadNode& node, uint64_t index) {
  return Json::object({{"ID", node.id},
                       {"Node", node.name},
                       {"Address", node.address},
                       {"Datacenter", node.datacenter},
                       {"TaggedAddresses", node_addresses(node)},
                       {"Meta", node_meta()},
                       {"CreateIndex", index},
                       {"ModifyIndex", index}});
}

Json service_json(const CatalogRecord& record) {
  const ServiceRegistration& service = record.registration;
  Json out = Json::object({{"ID", service.id},
                           {"Service", service.name},
                           {"Tags", string_list(service.tags)},
                           {"Address", service.address}});
  set_service_addresses(out, "TaggedAddresses", service);
  out.set("Meta", string_map(service.meta));
  out.set("Port", service.port);
  out.set("Weights", weights(service));
  out.set("EnableTagOverride", false);
  out.set("Proxy", no_proxy());
  out.set("Connect", Json::object());
  out.set("CreateIndex", record.create_index);
  out.set("ModifyIndex", record.modify_index);
  return out;
}

Json catalog_service_json(const ReadNode& node, const CatalogRecord& record) {
  const ServiceRegistration& service = record.registration;
  Json out = Json::object({{"ID", node.id},
                           {"Node", node.name},
                           {"Address", node.address},
                           {"Datacenter", node.datacenter},
                           {"TaggedAddresses", node_addresses(node)},
                           {"NodeMeta", node_meta()},
                           {"ServiceKind", ""},
                           {"ServiceID", service.id},
                           {"ServiceName", service.name},
                           {"ServiceTags", string_list(service.tags)},
                           {"ServiceAddress", service.address}});
  set_service_addresses(out, "ServiceTaggedAddresses", service);
  out.set("ServiceWeights", weights(service));
  out.set("ServiceMeta", string_map(service.meta));
  out.set("ServicePort", service.port);
  out.set("ServiceSocketPath", "");
  out.set("ServiceEnableTagOverride", false);
  out.set("ServiceProxy", no_proxy());
  out.set("ServiceConnect", Json::object());
  out.set("CreateIndex", record.create_index);
  out.set("ModifyIndex", record.modify_index);
  return out;
}

Json agent_service_json(const ReadNode& node, const CatalogRecord& record) {
  const ServiceRegistration& service = record.registration;
  Json out = Json::object({{"ID", service.id},
                           {"Service", service.name},
                           {"Tags", string_list(service.tags)},
                           {"Meta", string_map(service.meta)},
                           {"Port", service.port},
                           {"Address", service.address}});
  set_service_addresses(out, "TaggedAddresses", service);
  out.set("Weights", weights(service));
  out.set("EnableTagOverride", false);
  out.set("Datacenter", node.datacenter);
  return out;
}

std::string check_key(const CatalogRecord& record, size_t check) {
  return fmt::format("{}:{}", record.registration.id, record.states[check].check_id);
}

Json check_json(const ReadNode& node, const CatalogRecord& record, size_t check, bool indexed) {
  const CheckState& state = record.states[check];
  const ServiceCheck& asked = record.registration.checks[check];
  // A check that is told to us has no interval of its own.
  const bool told = asked.type == "ttl";
  return Json::object({{"Node", node.name},
                       {"CheckID", check_key(record, check)},
                       {"Name", state.name},
                       {"Status", to_string(state.status)},
                       {"Notes", asked.notes},
                       {"Output", state.output},
                       {"ServiceID", record.registration.id},
                       {"ServiceName", record.registration.name},
                       {"ServiceTags", string_list(record.registration.tags)},
                       {"Type", asked.type},
                       {"Interval", told ? "" : duration_text(asked.interval_ms)},
                       {"Timeout", told ? "" : duration_text(asked.timeout_ms)},
                       {"ExposedPort", 0},
                       {"Definition", Json::object()},
                       {"CreateIndex", indexed ? record.create_index : 0},
                       {"ModifyIndex", indexed ? record.check_indexes[check] : 0}});
}

Json node_check_json(const ReadNode& node, uint64_t index) {
  return Json::object({{"Node", node.name},
                       {"CheckID", "serfHealth"},
                       {"Name", "Serf Health Status"},
                       {"Status", "passing"},
                       {"Notes", ""},
                       {"Output", "Agent alive and reachable"},
                       {"ServiceID", ""},
                       {"ServiceName", ""},
                       {"ServiceTags", Json::array()},
                       {"Type", ""},
                       {"Interval", ""},
                       {"Timeout", ""},
                       {"ExposedPort", 0},
                       {"Definition", Json::object()},
                       {"CreateIndex", index},
                       {"ModifyIndex", index}});
}

}  // namespace sluice::drivers
