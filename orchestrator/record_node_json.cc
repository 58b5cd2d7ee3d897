// Nomad's API shapes of a node, and the node's registration in its flat form.
//
// Where Nomad says a thing twice (old and new fields), so do we: its command line reads either, and
// crashes without some of them.
#include <fmt/format.h>

#include "orchestrator/fields_json.h"
#include "orchestrator/records.h"

namespace sluice::orchestrator {

namespace {

constexpr EncodeOptions kApi{};

std::string port_list(const std::vector<ReservedPort>& ports) {
  std::string text;
  for (const ReservedPort& port : ports) {
    if (!text.empty()) text += ',';
    text += fmt::to_string(port.port);
  }
  return text;
}

void write_node_resources(JsonWriter& out, const Node& node) {
  out.key("NodeResources").begin_object();
  out.key("Cpu").begin_object();
  out.member("CpuShares", node.cpu_mhz);
  out.member("TotalCpuCores", node.cpu_cores);
  out.key("ReservableCpuCores");
  encode(out, node.cores, kApi);
  out.end_object();
  out.key("Memory").begin_object().member("MemoryMB", node.memory_mb).end_object();
  out.key("Disk").begin_object().member("DiskMB", node.disk_mb).end_object();
  out.key("Networks").begin_array().begin_object();
  out.member("Mode", "host").member("Device", "").member("IP", node.ip).member("MBits", 1000);
  out.end_object().end_array();
  out.key("Devices").null();
  out.member("MinDynamicPort", node.min_dynamic_port);
  out.member("MaxDynamicPort", node.max_dynamic_port);
  out.end_object();
  out.key("ReservedResources").begin_object();
  out.key("Cpu").begin_object().member("CpuShares", node.reserved_cpu_mhz);
  out.key("ReservedCpuCores");
  encode(out, node.reserved_cores, kApi);
  out.end_object();
  out.key("Memory").begin_object().member("MemoryMB", node.reserved_memory_mb).end_object();
  out.key("Disk").begin_object().member("DiskMB", node.reserved_disk_mb).end_object();
  out.key("Networks").begin_object();
  out.member("ReservedHostPorts", port_list(node.reserved_ports));
  out.end_object();
  out.end_object();
}

void write_node_common(JsonWriter& out, const Node& node) {
  out.member("ID", node.id);
  out.member("Name", node.name);
  out.member("Datacenter", node.datacenter);
  out.member("NodeClass", node.node_class);
  out.member("NodePool", node.node_pool);
  out.member("Drain", node.drain.has_value());
  out.member("SchedulingEligibility", to_string(node.eligibility));
  out.member("Status", to_string(node.status));
  out.member("StatusDescription", node.status_description);
  out.key("Drivers").begin_object();
  for (const auto& [name, driver] : node.drivers) {
    out.key(name);
    encode(out, driver, kApi);
  }
  out.end_object();
  out.key("LastDrain");
  encode(out, node.last_drain, kApi);
  out.member("CreateIndex", node.create_index);
  out.member("ModifyIndex", node.modify_index);
}

}  // namespace

void write_node(JsonWriter& out, const Node& node) {
  out.begin_object();
  write_node_common(out, node);
  write_node_resources(out, node);
  out.member("HTTPAddr", node.http_addr);
  out.member("TLSEnabled", false);
  out.key("Attributes");
  encode(out, node.attributes, kApi);
  out.key("Meta");
  encode(out, node.meta, kApi);
  out.key("Links").null();
  out.key("Resources").begin_object();
  out.member("CPU", node.cpu_mhz).member("MemoryMB", node.memory_mb).member("DiskMB", node.disk_mb);
  out.key("Networks").null();
  out.end_object();
  out.key("Reserved").begin_object();
  out.member("CPU", node.reserved_cpu_mhz);
  out.member("MemoryMB", node.reserved_memory_mb);
  out.member("DiskMB", node.reserved_disk_mb);
  out.end_object();
  out.key("DrainStrategy");
  if (node.drain) {
    out.begin_object();
    encode_members(out, *node.drain);
    out.end_object();
  } else {
    out.null();
  }
  out.member("StatusUpdatedAt", node.status_updated_at_s);
  out.key("Events");
  encode(out, node.events, kApi);
  out.key("HostVolumes");
  encode(out, node.host_volumes, kApi);
  out.key("HostNetworks").null();
  out.key("CSIControllerPlugins").null();
  out.key("CSINodePlugins").null();
  out.key("ReservedPorts");
  encode(out, node.reserved_ports, kApi);
  out.key("QuarantinedPorts");
  encode(out, node.quarantined_ports, kApi);
  out.end_object();
}

void write_node_stub(JsonWriter& out, const Node& node, NodeStubParts parts) {
  out.begin_object();
  write_node_common(out, node);
  if (parts.resources) write_node_resources(out, node);
  if (parts.os) {
    const auto name = node.attributes.find("os.name");
    out.key("Attributes").begin_object();
    out.member("os.name", name == node.attributes.end() ? "" : name->second);
    out.end_object();
  }
  out.member("Address", node.ip);
  const auto version = node.attributes.find("nomad.version");
  out.member("Version", version == node.attributes.end() ? "" : version->second);
  out.end_object();
}

Result<Node> decode_node(const Json& json) {
  Node node;
  std::vector<std::string> problems;
  DecodeContext context{.problems = &problems, .place = {}, .refuse_unsupported = false};
  decode(json, "Node", node, context);
  if (!problems.empty()) return fail(Code::kInvalid, "{}", problems.front());
  return node;
}

}  // namespace sluice::orchestrator
