// validate(): everything that is wrong with a canonical job, each message naming its place.
#include <map>
#include <set>

#include "orchestrator/constraint.h"
#include "orchestrator/scale_policy.h"
#include "orchestrator/validator.h"

namespace sluice::orchestrator {

namespace {

constexpr int64_t kMinDiskMb = 10;
constexpr int64_t kMaxPriority = 100;
constexpr size_t kMaxNameBytes = 128;

}  // namespace

void Validator::check_name(std::string_view what, const std::string& name) {
  if (name.empty()) {
    add("{} is missing", what);
  } else if (name.size() > kMaxNameBytes) {
    add("{} is longer than {} bytes", what, kMaxNameBytes);
  } else if (std::any_of(name.begin(), name.end(), [](char c) {
               return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
             })) {
    add("{} holds a control character", what);
  }
}

void Validator::check_job() {
  check_name("job ID", job_.id);
  if (job_.id.find(' ') != std::string::npos) add("job ID \"{}\" contains a space", job_.id);
  check_name("job name", job_.name);
  if (!one_of<4>(job_.type, {kTypeService, kTypeBatch, kTypeSystem, kTypeSysBatch})) {
    add("unknown job type \"{}\" (service, batch, system and sysbatch are known)", job_.type);
  }
  if (job_.priority < 1 || job_.priority > kMaxPriority) {
    add("priority must be between 1 and {}, not {}", kMaxPriority, job_.priority);
  }
  for (const std::string& dc : job_.datacenters) {
    if (dc.empty()) add("datacenters holds an empty name");
  }
  check_constraints(job_.constraints);
  if (job_.is_system() && !job_.affinities.empty()) {
    add("{} jobs may not have affinity", job_.type);
  }
  if (job_.is_system() && !job_.spreads.empty()) add("{} jobs may not have spread", job_.type);
  check_affinities(job_.affinities);
  check_spreads(job_.spreads);
  if (job_.periodic) {
    if (!job_.is_batch()) add("periodic is only for batch and sysbatch jobs, not {}", job_.type);
    if (job_.periodic->spec_type != "cron") {
      add("periodic: unknown specification type \"{}\"", job_.periodic->spec_type);
    }
    if (job_.periodic->specs.empty()) add("periodic: cron is missing");
    if (job_.parameterized) add("periodic and parameterized do not go together");
  }
  if (job_.parameterized && !job_.dispatched) {
    if (!job_.is_batch()) {
      add("parameterized is only for batch and sysbatch jobs, not {}", job_.type);
    }
    if (!one_of<3>(job_.parameterized->payload, {"optional", "required", "forbidden"})) {
      add("parameterized: payload must be optional, required or forbidden, not \"{}\"",
          job_.parameterized->payload);
    }
    for (const std::string& key : job_.parameterized->meta_required) {
      const auto& optional = job_.parameterized->meta_optional;
      if (std::find(optional.begin(), optional.end(), key) != optional.end()) {
        add("parameterized: meta \"{}\" is both required and optional", key);
      }
    }
  }
  if (job_.groups.empty()) add("the job has no group");
}

void Validator::check_update(const UpdateStrategy& update) {
  if (job_.is_batch()) {
    add("{} jobs may not have update", job_.type);
    return;
  }
  const Inside inside(*this, "update: ");
  if (job_.type == kTypeSystem) {
    // Its instances follow the nodes: what is left of an update is its pace.
    if (update.canary > 0) add("canary is not supported in system jobs");
    if (update.auto_revert.value_or(false)) add("auto_revert is not supported in system jobs");
  }
  if (!one_of<3>(update.health_check, {"checks", "task_states", "manual"})) {
    add("health_check must be checks, task_states or manual, not \"{}\"", update.health_check);
  }
  if (update.max_parallel < 0) add("max_parallel must not be below 0 ({})", update.max_parallel);
  if (update.canary < 0) add("canary must not be below 0 ({})", update.canary);
  if (update.canary == 0 && update.auto_promote.value_or(false)) {
    add("auto_promote needs canary above 0");
  }
  if (update.min_healthy_time_ns < 0) add("min_healthy_time must not be below 0");
  if (update.healthy_deadline_ns <= 0) add("healthy_deadline must be above 0");
  if (update.min_healthy_time_ns >= update.healthy_deadline_ns) {
    add("min_healthy_time must be less than healthy_deadline");
  }
  if (update.progress_deadline_ns < 0) add("progress_deadline must not be below 0");
  if (update.progress_deadline_ns != 0 &&
      update.healthy_deadline_ns >= update.progress_deadline_ns) {
    add("healthy_deadline must be less than progress_deadline");
  }
  if (update.stagger_ns <= 0) add("stagger must be above 0");
}

void Validator::check_restart(const RestartPolicy& policy) {
  const Inside inside(*this, "restart: ");
  if (policy.mode != "fail" && policy.mode != "delay") {
    add("mode must be fail or delay, not \"{}\"", policy.mode);
  }
  if (policy.attempts < 0) add("attempts must not be below 0 ({})", policy.attempts);
  if (policy.attempts == 0 && policy.mode == "delay") {
    add("mode delay needs attempts above 0: no attempts is no restart");
  }
  if (policy.interval_ns < 0) add("interval must not be below 0");
  if (policy.delay_ns < 0) add("delay must not be below 0");
  if (policy.attempts > 0 && policy.interval_ns < 5 * kSecondNs) {
    add("interval must be at least 5s");
  }
  if (policy.attempts > 0 && policy.delay_ns > policy.interval_ns / policy.attempts) {
    add("{} attempts with this delay do not fit in the interval", policy.attempts);
  }
}

void Validator::check_constraints(const std::vector<Constraint>& constraints) {
  for (const Constraint& constraint : constraints) {
    if (auto ok = check_constraint(constraint); !ok) add("constraint: {}", ok.error().message);
  }
}

void Validator::check_affinities(const std::vector<Affinity>& affinities) {
  for (const Affinity& affinity : affinities) {
    const Constraint same{affinity.l_target, affinity.r_target, affinity.operand};
    if (auto ok = check_constraint(same); !ok) add("affinity: {}", ok.error().message);
    if (affinity.operand == "distinct_hosts" || affinity.operand == "distinct_property") {
      add("affinity: operator \"{}\" is only for constraints", affinity.operand);
    }
    if (affinity.weight == 0 || affinity.weight < -100 || affinity.weight > 100) {
      add("affinity: weight must be within -100 and 100 and not 0, not {}", affinity.weight);
    }
  }
}

void Validator::check_spreads(const std::vector<Spread>& spreads) {
  for (const Spread& spread : spreads) {
    if (spread.attribute.empty()) add("spread: attribute is missing");
    if (spread.weight <= 0 || spread.weight > 100) {
      add("spread: weight must be above 0 and at most 100, not {}", spread.weight);
    }
    int64_t total = 0;
    std::set<std::string_view> seen;
    for (const SpreadTarget& target : spread.targets) {
      if (!seen.insert(target.value).second) {
        add("spread: target \"{}\" is given twice", target.value);
      }
      if (target.percent < 0 || target.percent > 100) {
        add("spread: target \"{}\": percent must be within 0 and 100, not {}", target.value,
            target.percent);
      }
      total += target.percent;
    }
    if (total > 100) add("spread: the targets' percents add up to {}, over 100", total);
  }
}

void Validator::check_networks(const std::vector<Network>& networks, bool of_group) {
  if (networks.size() > 1) add("only one network is supported, {} are given", networks.size());
  for (const Network& network : networks) {
    if (!one_of<2>(network.mode, {"", "host"}) && !(of_group && network.mode == "bridge")) {
      add("network mode \"{}\" is not supported", network.mode);
    }
    if (!network.device.empty()) add("network device is not supported");
    if (!network.cidr.empty()) add("network cidr is not supported");
    if (!network.ip.empty()) add("network ip is not supported");
    if (!network.hostname.empty()) add("network hostname is not supported");
    if (network.mbits < 0) add("network mbits must not be below 0 ({})", network.mbits);
    std::set<std::string_view> labels;
    for (const auto* ports : {&network.reserved_ports, &network.dynamic_ports}) {
      for (const Port& port : *ports) {
        if (port.label.empty()) add("a network port has no label");
        if (!labels.insert(port.label).second) {
          add("port label \"{}\" is given twice", port.label);
        }
        const bool fixed = ports == &network.reserved_ports;
        if (fixed && (port.value < 1 || port.value > 65535)) {
          add("port \"{}\": static must be between 1 and 65535, not {}", port.label, port.value);
        }
        if (port.to < -1 || port.to > 65535) {
          add("port \"{}\": to must be between -1 and 65535, not {}", port.label, port.to);
        }
        if (!port.host_network.empty() && port.host_network != "default") {
          add("port \"{}\": host_network \"{}\" is not supported", port.label, port.host_network);
        }
      }
    }
  }
}

void Validator::check_group_ports(const TaskGroup& group) {
  // One instance of the group is on one node, so a static port fits once in all its networks.
  std::map<int64_t, std::string> taken;
  const auto look = [&](const std::vector<Network>& networks, const std::string& whose) {
    for (const Network& network : networks) {
      for (const Port& port : network.reserved_ports) {
        const std::string by = fmt::format("port \"{}\" of {}", port.label, whose);
        const auto [at, fresh] = taken.try_emplace(port.value, by);
        if (!fresh)
          add("static port {} is taken twice, by {} and by {}", port.value, at->second, by);
      }
    }
  };
  look(group.networks, "the group's network");
  for (const TaskConfig& task : group.tasks) {
    look(task.resources->networks, fmt::format("task \"{}\"", task.name));
  }
}

void Validator::check_group_blocks(const TaskGroup& group) {
  if (group.ephemeral_disk->size_mb < kMinDiskMb) {
    add("ephemeral_disk: size must be at least {} MB, not {}", kMinDiskMb,
        group.ephemeral_disk->size_mb);
  }
  if (group.ephemeral_disk->sticky) add("ephemeral_disk: sticky is not supported");
  if (group.ephemeral_disk->migrate) add("ephemeral_disk: migrate is not supported");
  check_restart(*group.restart);
  if (group.reschedule) {
    const ReschedulePolicy& policy = *group.reschedule;
    const Inside inside(*this, "reschedule: ");
    if (job_.is_system()) add("not supported for {} jobs", job_.type);
    if (!one_of<3>(policy.delay_function, {"constant", "exponential", "fibonacci"})) {
      add("delay_function must be constant, exponential or fibonacci, not \"{}\"",
          policy.delay_function);
    }
    const bool wanted = policy.unlimited.value_or(false) || policy.attempts > 0;
    if (policy.attempts < 0) add("attempts must not be below 0 ({})", policy.attempts);
    if (wanted && policy.delay_ns < 5 * kSecondNs) add("delay must be at least 5s");
    if (wanted && policy.delay_function != "constant" && policy.max_delay_ns < policy.delay_ns) {
      add("max_delay must not be less than delay");
    }
    if (policy.attempts > 0 && !policy.unlimited.value_or(false) && policy.interval_ns <= 0) {
      add("interval must be above 0 where attempts are limited");
    }
  }
  if (group.update) check_update(*group.update);
  if (group.migrate) {
    const Inside inside(*this, "migrate: ");
    if (job_.type != kTypeService) add("only for service jobs, not {}", job_.type);
    if (group.migrate->max_parallel < 0) add("max_parallel must not be below 0");
    if (!one_of<2>(group.migrate->health_check, {"checks", "task_states"})) {
      add("health_check must be checks or task_states, not \"{}\"", group.migrate->health_check);
    }
    if (group.migrate->min_healthy_time_ns >= group.migrate->healthy_deadline_ns) {
      add("min_healthy_time must be less than healthy_deadline");
    }
  }
  for (const auto& [name, volume] : group.volumes) {
    if (volume.type != "host") {
      add("volume \"{}\": type \"{}\" is not supported (host is)", name, volume.type);
    }
    if (volume.source.empty()) add("volume \"{}\": source is missing", name);
  }
  if (group.scaling) {
    const Scaling& scaling = *group.scaling;
    if (scaling.type != "horizontal") {
      add("scaling: type must be horizontal, not \"{}\"", scaling.type);
    }
    if (job_.is_system()) add("scaling: not supported for {} jobs", job_.type);
    const Result<std::optional<ScalePolicy>> policy = parse_scale_policy(scaling.policy);
    if (!policy) add("scaling: policy: {}", policy.error().message);
    if (policy && *policy && scaling.max < 1) add("scaling: max must be at least 1");
    if (scaling.max > 0 && scaling.min > scaling.max) add("scaling: min is above max");
    if (scaling.max > 0 && group.count > scaling.max) add("scaling: count is above max");
    if (group.count < scaling.min) add("scaling: count is below min");
  }
}

void Validator::check_group(const TaskGroup& group) {
  const Inside inside(*this, fmt::format("group \"{}\": ", group.name));
  check_name("name", group.name);
  if (group.count < 0) add("count must not be below 0 ({})", group.count);
  if (job_.is_system() && group.count > 1) {
    add("count must be 0 or 1 in a {} job, not {}", job_.type, group.count);
  }
  if (group.tasks.empty()) add("the group has no task");
  for (const Network& network : group.networks) {
    // Docker's own bridge, one container each: two tasks would not share their addresses.
    if (network.mode != "bridge") continue;
    if (group.tasks.size() > 1) {
      add("network mode \"bridge\" is supported for a group of one task; this one has {}",
          group.tasks.size());
    } else if (!group.tasks.empty() && group.tasks.front().driver != "docker") {
      add("network mode \"bridge\" is supported for the driver docker, not for {}",
          group.tasks.front().driver);
    }
  }
  check_constraints(group.constraints);
  if (job_.is_system() && !group.affinities.empty()) {
    add("{} jobs may not have affinity", job_.type);
  }
  if (job_.is_system() && !group.spreads.empty()) add("{} jobs may not have spread", job_.type);
  check_affinities(group.affinities);
  check_spreads(group.spreads);
  check_networks(group.networks, true);
  check_group_ports(group);
  check_group_blocks(group);
  check_services(group, nullptr, group.services);

  std::set<std::string_view> names;
  int leaders = 0, main_tasks = 0;
  for (const TaskConfig& task : group.tasks) {
    if (!names.insert(task.name).second) add("task name \"{}\" is given twice", task.name);
    leaders += task.leader ? 1 : 0;
    main_tasks += task.lifecycle ? 0 : 1;
    check_task(group, task);
  }
  if (leaders > 1) add("only one task may be the leader, {} are", leaders);
  if (!group.tasks.empty() && main_tasks == 0) add("every task has a lifecycle hook; one must not");
}

Problems Validator::run() {
  check_job();
  std::set<std::string_view> names;
  for (const TaskGroup& group : job_.groups) {
    if (!names.insert(group.name).second) add("group name \"{}\" is given twice", group.name);
    check_group(group);
  }
  return std::move(problems_);
}

Problems validate(const Job& job, const StringList& drivers) {
  return Validator(job, drivers).run();
}

}  // namespace sluice::orchestrator
