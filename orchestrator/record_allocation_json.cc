// Nomad's API shapes of an allocation and of its placement's metric.
//
// Where Nomad says a thing twice (old and new fields), so do we: its command line reads either, and
// crashes without some of them.
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
    out.key("Cpu").begin_object().member("CpuShares", alloc.task_cpu_mhz(task));
    const AssignedCores* cores = alloc.cores_of(task.name);
    out.key("ReservedCores");
    encode(out, cores ? cores->cores : CpuList(), kApi);
    out.end_object();
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
    out.member("CPU", alloc.task_cpu_mhz(task));
    out.member("Cores", task.resources->cores);
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
  out.member("NoShutdownDelay", alloc.no_shutdown_delay);
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

void write_allocation_stub(JsonWriter& out, const Allocation& alloc, bool with_resources) {
  out.begin_object();
  write_alloc_common(out, alloc);
  out.member("JobType", alloc.job->type);
  out.member("JobVersion", alloc.job->version);
  out.member("DeploymentID", alloc.deployment_id);
  out.key("PreemptedAllocations").null();
  if (with_resources) write_allocated_resources(out, alloc, alloc.task_group());
  out.end_object();
}

}  // namespace sluice::orchestrator
