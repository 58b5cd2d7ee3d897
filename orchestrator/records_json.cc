// Nomad's API shapes of the records. Where Nomad says a thing twice (old and new fields), so do we:
// its command line reads either, and crashes without some of them.
#include <fmt/format.h>

#include "orchestrator/fields_json.h"
#include "orchestrator/records.h"

namespace sluice::orchestrator {

namespace {

constexpr EncodeOptions kApi{};

void write_port(JsonWriter& out, std::string_view label, int64_t value, int64_t to,
                std::string_view host_network) {
  out.begin_object();
  out.member("Label", label);
  out.member("Value", value);
  out.member("To", to);
  out.member("HostNetwork", host_network.empty() ? "default" : host_network);
  out.end_object();
}

void write_string_map(JsonWriter& out, std::string_view name, const StringMap& map) {
  out.key(name);
  encode(out, map, kApi);
}

void write_networks(JsonWriter& out, const Allocation& alloc, std::string_view task,
                    const std::vector<Network>& asked) {
  std::string_view ip;
  for (const AssignedPort& port : alloc.ports) {
    if (port.task == task) ip = port.host_ip;
  }
  out.begin_array();
  if (!asked.empty()) {
    const auto is_static = [&](const AssignedPort& port) {
      for (const Network& network : asked) {
        for (const Port& reserved : network.reserved_ports) {
          if (reserved.label == port.label) return true;
        }
      }
      return false;
    };
    out.begin_object();
    out.member("Mode", asked[0].mode.empty() ? std::string("host") : asked[0].mode);
    out.member("Device", asked[0].device);
    out.member("CIDR", asked[0].cidr);
    out.member("IP", ip);
    out.member("MBits", asked[0].mbits);
    for (const bool reserved : {true, false}) {
      out.key(reserved ? "ReservedPorts" : "DynamicPorts").begin_array();
      for (const AssignedPort& port : alloc.ports) {
        if (port.task == task && is_static(port) == reserved) {
          write_port(out, port.label, port.value, port.to, {});
        }
      }
      out.end_array();
    }
    out.end_object();
  }
  out.end_array();
}

void write_allocated_resources(JsonWriter& out, const Allocation& alloc, const TaskGroup& group) {
  out.key("AllocatedResources").begin_object();
  out.key("Tasks").begin_object();
  for (const TaskConfig& task : group.tasks) {
    out.key(task.name).begin_object();
    out.key("Cpu").begin_object().member("CpuShares", task.resources->cpu_mhz).end_object();
    out.key("Memory").begin_object();
    out.member("MemoryMB", task.resources->memory_mb);
    out.member("MemoryMaxMB", task.resources->memory_max_mb);
    out.end_object();
    out.key("Networks");
    write_networks(out, alloc, task.name, task.resources->networks);
    out.end_object();
  }
  out.end_object();
  out.key("Shared").begin_object();
  out.member("DiskMB", alloc.disk_mb);
  out.key("Networks");
  write_networks(out, alloc, "", group.networks);
  out.key("Ports").begin_array();
  for (const AssignedPort& port : alloc.ports) {
    if (!port.task.empty()) continue;
    out.begin_object();
    out.member("Label", port.label);
    out.member("Value", port.value);
    out.member("To", port.to);
    out.member("HostIP", port.host_ip);
    out.end_object();
  }
  out.end_array().end_object().end_object();
}

/// The form of Nomad before 0.9, which its command line still reads.
void write_old_resources(JsonWriter& out, const Allocation& alloc, const TaskGroup& group) {
  out.key("Resources").begin_object();
  out.member("CPU", alloc.cpu_mhz);
  out.member("MemoryMB", alloc.memory_mb);
  out.member("DiskMB", alloc.disk_mb);
  out.member("IOPS", 0);
  out.key("Networks");
  write_networks(out, alloc, "", group.networks);
  out.end_object();
  out.key("SharedResources").begin_object();
  out.member("CPU", 0).member("MemoryMB", 0).member("DiskMB", alloc.disk_mb);
  out.key("Networks");
  write_networks(out, alloc, "", group.networks);
  out.end_object();
  out.key("TaskResources").begin_object();
  for (const TaskConfig& task : group.tasks) {
    out.key(task.name).begin_object();
    out.member("CPU", task.resources->cpu_mhz);
    out.member("MemoryMB", task.resources->memory_mb);
    out.member("MemoryMaxMB", task.resources->memory_max_mb);
    out.member("DiskMB", 0).member("IOPS", 0);
    out.key("Networks");
    write_networks(out, alloc, task.name, task.resources->networks);
    out.end_object();
  }
  out.end_object();
}

void write_task_states(JsonWriter& out, const TaskStates& states) {
  out.key("TaskStates").begin_object();
  for (const auto& [name, state] : states) {
    out.key(name).begin_object();
    out.member("State", to_string(state.state));
    out.member("Failed", state.failed);
    out.member("Restarts", state.restarts);
    out.member("LastRestart", format_time(state.last_restart));
    out.member("StartedAt", format_time(state.started_at));
    out.member("FinishedAt", format_time(state.finished_at));
    out.key("Events").begin_array();
    for (const TaskEvent& event : state.events) {
      out.begin_object();
      encode_members(out, event);
      out.member("Message", event.message);
      const auto exit_code = event.details.find("exit_code");
      out.key("ExitCode");
      int64_t code = 0;
      if (exit_code != event.details.end())
        code = std::strtoll(exit_code->second.c_str(), nullptr, 10);
      out.value(code);
      out.end_object();
    }
    out.end_array().end_object();
  }
  out.end_object();
}

void write_alloc_common(JsonWriter& out, const Allocation& alloc) {
  out.member("ID", alloc.id);
  out.member("EvalID", alloc.eval_id);
  out.member("Name", alloc.name);
  out.member("Namespace", alloc.namespace_name());
  out.member("NodeID", alloc.node_id);
  out.member("NodeName", alloc.node_name);
  out.member("JobID", alloc.job_id());
  out.member("TaskGroup", alloc.group);
  out.member("DesiredStatus", to_string(alloc.desired_status));
  out.member("DesiredDescription", alloc.desired_description);
  out.key("DesiredTransition").begin_object();
  out.member("Migrate", alloc.migrate);
  out.member("Reschedule", false);
  out.member("ForceReschedule", alloc.force_reschedule);
  out.end_object();
  out.member("ClientStatus", to_string(alloc.client_status));
  out.member("ClientDescription", alloc.client_description);
  write_task_states(out, alloc.task_states);
  out.key("DeploymentStatus");
  encode(out, alloc.deployment_status, kApi);
  out.member("FollowupEvalID", alloc.followup_eval_id);
  out.member("NextAllocation", alloc.next_alloc);
  out.key("RescheduleTracker");
  if (alloc.reschedules.empty()) {
    out.null();
  } else {
    out.begin_object().key("Events");
    encode(out, alloc.reschedules, kApi);
    out.end_object();
  }
  out.member("PreemptedByAllocation", alloc.preempted_by);
  out.member("CreateIndex", alloc.create_index);
  out.member("ModifyIndex", alloc.modify_index);
  out.member("CreateTime", alloc.create_time_ns);
  out.member("ModifyTime", alloc.modify_time_ns);
}

}  // namespace

void write_alloc_metric(JsonWriter& out, const AllocMetric& metric) {
  out.begin_object();
  encode_members(out, metric);
  out.key("QuotaExhausted").null();
  out.key("Scores").null();
  out.end_object();
}

void write_allocation(JsonWriter& out, const Allocation& alloc) {
  const TaskGroup& group = alloc.task_group();
  out.begin_object();
  write_alloc_common(out, alloc);
  out.key("Job");
  write_job(out, *alloc.job);
  write_old_resources(out, alloc, group);
  write_allocated_resources(out, alloc, group);
  out.key("Metrics");
  if (alloc.metric) {
    write_alloc_metric(out, *alloc.metric);
  } else {
    write_alloc_metric(out, AllocMetric{});
  }
  out.member("DeploymentID", alloc.deployment_id);
  out.member("PreviousAllocation", alloc.previous_alloc);
  out.key("PreemptedAllocations").null();
  out.member("AllocModifyIndex", alloc.alloc_modify_index);
  out.end_object();
}

void write_allocation_stub(JsonWriter& out, const Allocation& alloc) {
  out.begin_object();
  write_alloc_common(out, alloc);
  out.member("JobType", alloc.job->type);
  out.member("JobVersion", alloc.job->version);
  out.member("DeploymentID", alloc.deployment_id);
  out.key("PreemptedAllocations").null();
  out.end_object();
}

void write_job(JsonWriter& out, const Job& job, std::string_view status,
               std::string_view status_description) {
  out.begin_object();
  encode_members(out, job);
  out.member("Status", status);
  out.member("StatusDescription", status_description);
  out.end_object();
}

void write_job_summary(JsonWriter& out, const Job& job, const JobSummary& summary,
                       const JobChildren& children) {
  out.begin_object();
  out.member("JobID", job.id);
  out.member("Namespace", job.namespace_);
  out.key("Summary").begin_object();
  for (const auto& [name, counts] : summary) {
    out.key(name);
    encode(out, counts, kApi);
  }
  out.end_object();
  out.key("Children");
  if (job.is_template()) {
    out.begin_object();
    out.member("Pending", children.pending).member("Running", children.running);
    out.member("Dead", children.dead);
    out.end_object();
  } else {
    out.null();
  }
  out.member("CreateIndex", job.create_index);
  out.member("ModifyIndex", job.modify_index);
  out.end_object();
}

void write_job_stub(JsonWriter& out, const Job& job, std::string_view status,
                    const JobSummary& summary, const JobChildren& children) {
  out.begin_object();
  out.member("ID", job.id);
  out.member("ParentID", job.parent_id);
  out.member("Name", job.name);
  out.member("Namespace", job.namespace_);
  out.key("Datacenters");
  encode(out, job.datacenters, kApi);
  out.member("NodePool", job.node_pool);
  write_string_map(out, "Meta", job.meta);
  out.member("Type", job.type);
  out.member("Priority", job.priority);
  out.member("Periodic", job.periodic.has_value());
  out.member("ParameterizedJob", job.parameterized.has_value());
  out.member("Stop", job.stop);
  out.member("Status", status);
  out.member("StatusDescription", "");
  out.key("JobSummary");
  write_job_summary(out, job, summary, children);
  out.member("CreateIndex", job.create_index);
  out.member("ModifyIndex", job.modify_index);
  out.member("JobModifyIndex", job.job_modify_index);
  out.member("SubmitTime", job.submit_time_ns);
  out.member("Version", job.version);
  out.end_object();
}

namespace {

std::string port_list(const std::vector<ReservedPort>& ports) {
  std::string text;
  for (const ReservedPort& port : ports) {
    if (!text.empty()) text += ',';
    text += fmt::to_string(port.port);
  }
  return text;
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
  out.key("NodeResources").begin_object();
  out.key("Cpu").begin_object();
  out.member("CpuShares", node.cpu_mhz);
  out.member("TotalCpuCores", node.cpu_cores);
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
  out.key("Cpu").begin_object().member("CpuShares", node.reserved_cpu_mhz).end_object();
  out.key("Memory").begin_object().member("MemoryMB", node.reserved_memory_mb).end_object();
  out.key("Disk").begin_object().member("DiskMB", node.reserved_disk_mb).end_object();
  out.key("Networks").begin_object();
  out.member("ReservedHostPorts", port_list(node.reserved_ports));
  out.end_object();
  out.end_object();
  out.key("LastDrain").null();
  out.member("CreateIndex", node.create_index);
  out.member("ModifyIndex", node.modify_index);
}

}  // namespace

void write_node(JsonWriter& out, const Node& node) {
  out.begin_object();
  write_node_common(out, node);
  out.member("HTTPAddr", node.http_addr);
  out.member("TLSEnabled", false);
  write_string_map(out, "Attributes", node.attributes);
  write_string_map(out, "Meta", node.meta);
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

void write_node_stub(JsonWriter& out, const Node& node) {
  out.begin_object();
  write_node_common(out, node);
  out.member("Address", node.ip);
  const auto version = node.attributes.find("nomad.version");
  out.member("Version", version == node.attributes.end() ? "" : version->second);
  out.end_object();
}

void write_evaluation(JsonWriter& out, const Evaluation& eval) {
  out.begin_object();
  encode_members(out, eval);
  out.member("Wait", 0);
  out.key("RelatedEvals").null();
  out.key("ClassEligibility").null();
  out.end_object();
}

void write_deployment(JsonWriter& out, const Deployment& deployment) {
  out.begin_object();
  encode_members(out, deployment);
  out.member("IsMultiregion", false);
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
