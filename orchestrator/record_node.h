// Node: a machine that tasks may run on, as it describes itself and as the server sees it
// (orchestrator/records.h).
//
// Owner: the control loop's State. In a snapshot it is shared and never changes; any thread may
// read it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/cpu_list.h"
#include "orchestrator/fields.h"
#include "orchestrator/job_policies.h"

namespace sluice::orchestrator {

enum class NodeStatus : uint8_t { kInit, kReady, kDown };
template <>
struct EnumNames<NodeStatus> {
  static constexpr std::string_view kNames[] = {"initializing", "ready", "down"};
};

enum class Eligibility : uint8_t { kEligible, kIneligible };
template <>
struct EnumNames<Eligibility> {
  static constexpr std::string_view kNames[] = {"eligible", "ineligible"};
};

/// A (address, port) that nothing scheduled may take. address "" or "0.0.0.0" means every address.
struct ReservedPort {
  std::string address;
  uint16_t port = 0;
  std::string reason;    // "proxy listener", "found busy by alloc 1a2b3c4d"
  int64_t until_ns = 0;  // quarantine ends then (wall clock); 0: for good

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("Address", s.address);
    v("Port", s.port);
    v("Reason", s.reason);
    v("Until", s.until_ns);
  }
  bool operator==(const ReservedPort&) const = default;
};

struct NodeDriver {
  bool detected = false;
  bool healthy = false;
  std::string description;
  StringMap attributes;
  TimeStamp update_time;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("Attributes", s.attributes);
    v("Detected", s.detected);
    v("HealthDescription", s.description);
    v("Healthy", s.healthy);
    v("UpdateTime", s.update_time);
  }
  bool operator==(const NodeDriver&) const = default;
};

struct DrainStrategy {
  int64_t deadline_ns = 0;  // -1: stop at once; 0: no limit
  bool ignore_system_jobs = false;
  TimeStamp force_deadline;
  TimeStamp started_at;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("Deadline", s.deadline_ns);
    v("ForceDeadline", s.force_deadline);
    v("IgnoreSystemJobs", s.ignore_system_jobs);
    v("StartedAt", s.started_at);
  }
  bool operator==(const DrainStrategy&) const = default;
};

/// The newest drain of a node, also once it is over.
enum class DrainStatus : uint8_t { kDraining, kComplete, kCanceled };
template <>
struct EnumNames<DrainStatus> {
  static constexpr std::string_view kNames[] = {"draining", "complete", "canceled"};
};

struct LastDrain {
  TimeStamp started_at;
  TimeStamp updated_at;
  DrainStatus status = DrainStatus::kDraining;
  std::string accessor_id;  // of the token that asked for it
  StringMap meta;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("AccessorID", s.accessor_id);
    v("Meta", s.meta);
    v("StartedAt", s.started_at);
    v("Status", s.status);
    v("UpdatedAt", s.updated_at);
  }
  bool operator==(const LastDrain&) const = default;
};

struct NodeEvent {
  std::string message;
  std::string subsystem;
  StringMap details;
  TimeStamp timestamp;
  uint64_t create_index = 0;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("CreateIndex", s.create_index);
    v("Details", s.details);
    v("Message", s.message);
    v("Subsystem", s.subsystem);
    v("Timestamp", s.timestamp);
  }
  bool operator==(const NodeEvent&) const = default;
};
inline constexpr size_t kMaxNodeEvents = 10;

struct NodeVolume {
  std::string path;
  bool read_only = false;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("Path", s.path);
    v("ReadOnly", s.read_only);
  }
  bool operator==(const NodeVolume&) const = default;
};

struct Node {
  // What the node says of itself at registration.
  std::string id;
  std::string name;
  std::string datacenter = "dc1";
  std::string node_class;
  std::string node_pool = "default";
  std::string http_addr;  // "": reached through the server
  StringMap
      attributes;  // "kernel.name", "cpu.arch", "driver.docker", "unique.network.ip-address", ...
  StringMap meta;
  std::map<std::string, NodeDriver> drivers;
  std::map<std::string, NodeVolume> host_volumes;
  std::string ip;  // where tasks on the host network are reached
  int64_t cpu_mhz = 0;
  int64_t cpu_cores = 0;
  CpuList cores;           // those that tasks may have for themselves
  CpuList reserved_cores;  // those on which no task runs
  int64_t memory_mb = 0;
  int64_t disk_mb = 0;
  int64_t reserved_cpu_mhz = 0;
  int64_t reserved_memory_mb = 0;
  int64_t reserved_disk_mb = 0;
  int64_t min_dynamic_port = 20000;
  int64_t max_dynamic_port = 32000;  // inclusive
  std::vector<ReservedPort>
      reserved_ports;  // the agent's own listeners, and what its configuration names

  // The server's.
  std::vector<ReservedPort> quarantined_ports;  // found busy by a start that failed
  NodeStatus status = NodeStatus::kInit;
  std::string status_description;
  int64_t status_updated_at_s = 0;
  Eligibility eligibility = Eligibility::kEligible;
  std::optional<DrainStrategy> drain;
  std::optional<LastDrain> last_drain;
  std::vector<NodeEvent> events;
  std::string computed_class;  // nodes of the same class are alike for feasibility
  uint64_t create_index = 0;
  uint64_t modify_index = 0;

  /// Flat, for the store and between server and node. The API's form is write_node.
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("ID", s.id);
    v("Name", s.name);
    v("Datacenter", s.datacenter);
    v("NodeClass", s.node_class);
    v("NodePool", s.node_pool);
    v("HTTPAddr", s.http_addr);
    v("Attributes", s.attributes);
    v("Meta", s.meta);
    v("Drivers", s.drivers);
    v("HostVolumes", s.host_volumes);
    v("IP", s.ip);
    v("CpuMHz", s.cpu_mhz);
    v("CpuCores", s.cpu_cores);
    v("Cores", s.cores);
    v("ReservedCores", s.reserved_cores);
    v("MemoryMB", s.memory_mb);
    v("DiskMB", s.disk_mb);
    v("ReservedCpuMHz", s.reserved_cpu_mhz);
    v("ReservedMemoryMB", s.reserved_memory_mb);
    v("ReservedDiskMB", s.reserved_disk_mb);
    v("MinDynamicPort", s.min_dynamic_port);
    v("MaxDynamicPort", s.max_dynamic_port);
    v("ReservedPorts", s.reserved_ports);
    v.meta("QuarantinedPorts", s.quarantined_ports);
    v.meta("Status", s.status);
    v.meta("StatusDescription", s.status_description);
    v.meta("StatusUpdatedAt", s.status_updated_at_s);
    v.meta("SchedulingEligibility", s.eligibility);
    v.meta("DrainStrategy", s.drain);
    v.meta("Events", s.events);
    v.meta("ComputedClass", s.computed_class);
    v.meta("CreateIndex", s.create_index);
    v.meta("ModifyIndex", s.modify_index);
    v.meta("LastDrain", s.last_drain);
  }
  /// What one core is worth, MHz; 0 where that is not known.
  int64_t core_mhz() const { return cpu_cores > 0 ? cpu_mhz / cpu_cores : 0; }
  /// New work may be placed here.
  bool accepts_work() const {
    return status == NodeStatus::kReady && eligibility == Eligibility::kEligible && !drain;
  }
};
using NodePtr = std::shared_ptr<const Node>;

}  // namespace sluice::orchestrator
