// long: one class with a check a block of the job language, read as a list.
// validate(): everything that is wrong with a canonical job, each message naming its place.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "orchestrator/constraint.h"
#include "orchestrator/job.h"

namespace sluice::orchestrator {

namespace {

constexpr int64_t kMinCheckNs = kSecondNs;
constexpr int64_t kMinMemoryMb = 10;
constexpr int64_t kMinDiskMb = 10;
constexpr int64_t kMaxPriority = 100;
constexpr size_t kMaxNameBytes = 128;

template <size_t N>
bool one_of(std::string_view value, const std::array<std::string_view, N>& known) {
  return std::find(known.begin(), known.end(), value) != known.end();
}

class Validator {
 public:
  Validator(const Job& job, const StringList& drivers) : job_(job), drivers_(drivers) {}
  Problems run();

 private:
  template <class... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    problems_.push_back(place_ + fmt::format(format, std::forward<Args>(args)...));
  }
  /// Messages name where they are; the place is restored when the guard goes.
  struct Inside {
    Inside(Validator& v, std::string where) : validator(v), before(v.place_.size()) {
      validator.place_ += where;
    }
    ~Inside() { validator.place_.resize(before); }
    Validator& validator;
    size_t before;
  };

  void check_job();
  void check_group(const TaskGroup& group);
  void check_group_blocks(const TaskGroup& group);
  void check_group_ports(const TaskGroup& group);
  void check_update(const UpdateStrategy& update);
  void check_task(const TaskGroup& group, const TaskConfig& task);
  void check_resources(const Resources& resources);
  void check_services(const TaskGroup& group, const TaskConfig* task,
                      const std::vector<Service>& services);
  void check_check(const TaskGroup& group, const TaskConfig* task, const Service& service,
                   const Check& check);
  void check_constraints(const std::vector<Constraint>& constraints);
  void check_affinities(const std::vector<Affinity>& affinities);
  void check_spreads(const std::vector<Spread>& spreads);
  void check_networks(const std::vector<Network>& networks, bool of_group);
  void check_restart(const RestartPolicy& policy);
  void check_name(std::string_view what, const std::string& name);
  [[nodiscard]] static bool has_port(const TaskGroup& group, const TaskConfig* task,
                                     std::string_view label);

  const Job& job_;
  const StringList& drivers_;
  std::string place_;
  Problems problems_;
};

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

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
    if (!one_of<3>(network.mode, {"", "host", "none"}) && !(of_group && network.mode == "bridge")) {
      add("network mode \"{}\" is not supported", network.mode);
    }
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

void Validator::check_resources(const Resources& resources) {
  const Inside inside(*this, "resources: ");
  if (resources.cores < 0) add("cores must not be below 0 ({})", resources.cores);
  if (resources.cores > 0) add("cores is not supported; use cpu");
  if (resources.cores == 0 && resources.cpu_mhz < 1) {
    add("cpu must be at least 1 MHz, not {}", resources.cpu_mhz);
  }
  if (resources.memory_mb < kMinMemoryMb) {
    add("memory must be at least {} MB, not {}", kMinMemoryMb, resources.memory_mb);
  }
  if (resources.memory_max_mb != 0 && resources.memory_max_mb < resources.memory_mb) {
    add("memory_max ({}) must not be less than memory ({})", resources.memory_max_mb,
        resources.memory_mb);
  }
  check_networks(resources.networks, false);
}

/// A path inside the task's or allocation's folder.
bool stays_inside(std::string_view path) {
  int depth = 0;
  for (size_t at = 0; at <= path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    const std::string_view part = path.substr(at, end - at);
    if (part == "..") {
      if (--depth < 0) return false;
    } else if (!part.empty() && part != ".") {
      ++depth;
    }
    at = end + 1;
  }
  return true;
}

void Validator::check_task(const TaskGroup& group, const TaskConfig& task) {
  const Inside inside(*this, fmt::format("task \"{}\": ", task.name));
  check_name("name", task.name);
  if (task.name.find('/') != std::string::npos || task.name == "." || task.name == ".." ||
      task.name == "alloc") {
    add("name \"{}\" cannot be a folder's name", task.name);
  }
  if (task.driver.empty()) {
    add("driver is missing");
  } else if (!drivers_.empty() &&
             std::find(drivers_.begin(), drivers_.end(), task.driver) == drivers_.end()) {
    std::string known;
    for (const std::string& driver : drivers_) known += (known.empty() ? "" : ", ") + driver;
    add("unknown driver \"{}\" (known: {})", task.driver, known);
  }
  if (task.kill_timeout_ns < 0) add("kill_timeout must not be below 0");
  if (task.shutdown_delay_ns < 0) add("shutdown_delay must not be below 0");
  check_resources(*task.resources);
  check_restart(*task.restart);
  check_constraints(task.constraints);
  if (job_.is_system() && !task.affinities.empty()) add("{} jobs may not have affinity", job_.type);
  check_affinities(task.affinities);
  for (const Constraint& constraint : task.constraints) {
    if (constraint.operand == "distinct_hosts" || constraint.operand == "distinct_property") {
      add("constraint: operator \"{}\" is only for jobs and groups", constraint.operand);
    }
  }
  if (task.log->max_files < 1)
    add("logs: max_files must be at least 1, not {}", task.log->max_files);
  if (task.log->max_file_size_mb < 1) {
    add("logs: max_file_size must be at least 1 MB, not {}", task.log->max_file_size_mb);
  }
  if (!task.log->disabled &&
      task.log->max_files * task.log->max_file_size_mb > group.ephemeral_disk->size_mb) {
    add("logs: {} files of {} MB do not fit in the ephemeral_disk of {} MB", task.log->max_files,
        task.log->max_file_size_mb, group.ephemeral_disk->size_mb);
  }
  if (task.lifecycle) {
    if (!one_of<3>(task.lifecycle->hook, {"prestart", "poststart", "poststop"})) {
      add("lifecycle: hook must be prestart, poststart or poststop, not \"{}\"",
          task.lifecycle->hook);
    }
    if (task.leader) add("a task with a lifecycle hook may not be the leader");
  }
  for (const Artifact& artifact : task.artifacts) {
    if (artifact.source.empty()) add("artifact: source is missing");
    if (!stays_inside(artifact.destination)) {
      add("artifact: destination \"{}\" leaves the task's folder", artifact.destination);
    }
    if (!one_of<3>(artifact.mode, {"any", "file", "dir"})) {
      add("artifact: mode must be any, file or dir, not \"{}\"", artifact.mode);
    }
  }
  for (const Template& item : task.templates) {
    const Inside in_template(*this, "template: ");
    if (item.source_path.empty() == item.data.empty()) add("give either source or data");
    if (item.dest_path.empty()) add("destination is missing");
    if (!stays_inside(item.dest_path)) {
      add("destination \"{}\" leaves the task's folder", item.dest_path);
    }
    if (!one_of<3>(item.change_mode, {"noop", "restart", "signal"})) {
      add("change_mode must be noop, restart or signal, not \"{}\"", item.change_mode);
    }
    if (item.change_mode == "signal" && item.change_signal.empty()) add("change_signal is missing");
    if (item.splay_ns < 0) add("splay must not be below 0");
  }
  for (const VolumeMount& mount : task.volume_mounts) {
    if (!group.volumes.contains(mount.volume)) {
      add("volume_mount: the group has no volume \"{}\"", mount.volume);
    }
    if (mount.destination.empty()) add("volume_mount: destination is missing");
  }
  if (task.dispatch_payload) {
    if (task.dispatch_payload->file.empty()) add("dispatch_payload: file is missing");
    if (!stays_inside(task.dispatch_payload->file)) {
      add("dispatch_payload: file \"{}\" leaves the task's folder", task.dispatch_payload->file);
    }
  }
  check_services(group, &task, task.services);
}

bool Validator::has_port(const TaskGroup& group, const TaskConfig* task, std::string_view label) {
  const auto in = [&](const std::vector<Network>& networks) {
    for (const Network& network : networks) {
      for (const auto* ports : {&network.reserved_ports, &network.dynamic_ports}) {
        for (const Port& port : *ports) {
          if (port.label == label) return true;
        }
      }
    }
    return false;
  };
  if (in(group.networks)) return true;
  if (task) return in(task->resources->networks);
  return std::any_of(group.tasks.begin(), group.tasks.end(),
                     [&](const TaskConfig& t) { return in(t.resources->networks); });
}

void Validator::check_services(const TaskGroup& group, const TaskConfig* task,
                               const std::vector<Service>& services) {
  std::set<std::pair<std::string_view, std::string_view>> seen;
  for (const Service& service : services) {
    const Inside inside(*this, fmt::format("service \"{}\": ", service.name));
    const bool dns_name = service.name.size() <= 63 && service.name.front() != '-' &&
                          service.name.back() != '-' &&
                          service.name.find_first_not_of(
                              "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                              "0123456789-") == std::string::npos;
    if (!dns_name && service.name.find("${") == std::string::npos) {
      add("name must be at most 63 letters, digits and dashes, and not start or end with a dash");
    }
    if (!seen.emplace(service.name, service.port_label).second) {
      add("given twice with port \"{}\"", service.port_label);
    }
    if (!service.port_label.empty() && !is_number(service.port_label) &&
        !has_port(group, task, service.port_label)) {
      add("there is no port \"{}\" in the task's or group's network", service.port_label);
    }
    if (!one_of<5>(service.address_mode, {"auto", "host", "driver", "alloc", ""})) {
      add("address_mode must be auto, host, driver or alloc, not \"{}\"", service.address_mode);
    }
    std::set<std::string_view> names;
    for (const Check& check : service.checks) {
      if (!names.insert(check.name).second) add("check \"{}\" is given twice", check.name);
      check_check(group, task, service, check);
    }
  }
}

void Validator::check_check(const TaskGroup& group, const TaskConfig* task, const Service& service,
                            const Check& check) {
  const Inside inside(*this, fmt::format("check \"{}\": ", check.name));
  if (!one_of<4>(check.type, {"http", "tcp", "script", "grpc"})) {
    add("type must be http, tcp, script or grpc, not \"{}\"", check.type);
    return;
  }
  if (check.interval_ns < kMinCheckNs) add("interval must be at least 1s");
  if (check.timeout_ns < kMinCheckNs) add("timeout must be at least 1s");
  if (check.type == "http") {
    if (check.path.empty()) add("path is missing");
    if (check.path.starts_with("http://") || check.path.starts_with("https://")) {
      add("path must be relative, not \"{}\"", check.path);
    }
    if (!one_of<3>(check.protocol, {"", "http", "https"})) {
      add("protocol must be http or https, not \"{}\"", check.protocol);
    }
  }
  if (check.type == "script" && check.command.empty()) add("command is missing");
  if (check.type != "script") {
    const std::string& port = check.port_label.empty() ? service.port_label : check.port_label;
    if (port.empty()) {
      add("needs a port, of its own or of the service");
    } else if (!is_number(port) && !has_port(group, task, port)) {
      add("there is no port \"{}\" in the task's or group's network", port);
    }
  }
  if (!one_of<4>(check.initial_status, {"", "passing", "warning", "critical"})) {
    add("initial_status must be passing, warning or critical, not \"{}\"", check.initial_status);
  }
  if (check.check_restart && check.check_restart->limit < 0) {
    add("check_restart: limit must not be below 0");
  }
  if (check.check_restart && check.check_restart->grace_ns < 0) {
    add("check_restart: grace must not be below 0");
  }
  if (check.success_before_passing < 0 || check.failures_before_critical < 0) {
    add("success_before_passing and failures_before_critical must not be below 0");
  }
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

}  // namespace

Problems validate(const Job& job, const StringList& drivers) {
  return Validator(job, drivers).run();
}

}  // namespace sluice::orchestrator
