// What may be wrong with a task.
#include "orchestrator/node/artifacts.h"
#include "orchestrator/node/task_files.h"
#include "orchestrator/node/template_inputs.h"
#include "orchestrator/validator.h"

namespace sluice::orchestrator {

namespace {

constexpr int64_t kMinMemoryMb = 10;

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

}  // namespace

void Validator::check_resources(const Resources& resources) {
  const Inside inside(*this, "resources: ");
  if (resources.cores < 0 || resources.cores > kMaxCpus) {
    add("cores must be between 0 and {}, not {}", kMaxCpus, resources.cores);
  }
  if (resources.cores > 0 && resources.cpu_mhz > 0) {
    add("a task has either cpu or cores, not both (cpu = {}, cores = {})", resources.cpu_mhz,
        resources.cores);
  }
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
    const bool is_off = task.driver == "raw_exec";
    add("{} driver \"{}\" (known: {}){}", is_off ? "the agent does not allow the" : "unknown",
        task.driver, known,
        is_off ? "; plugin \"raw_exec\" { config { enabled = true } } in its configuration does"
               : "");
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
  if (task.log->disabled) add("logs: disabled is not supported");
  if (task.log->max_files * task.log->max_file_size_mb > group.ephemeral_disk->size_mb) {
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
    if (artifact.source.empty()) {
      add("artifact: source is missing");
    } else if (artifact.source.find("${") == std::string::npos) {
      if (auto ok = parse_artifact(artifact.source, artifact.options); !ok) {
        add("{}", ok.error().message);
      }
    }
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
    if (!parse_mode(item.perms)) add("perms \"{}\" is no mode, such as 0644", item.perms);
    if (item.data.empty()) continue;
    auto parsed =
        text_template::Template::parse("data", item.data, known_template_functions(),
                                       {.left = item.left_delim, .right = item.right_delim});
    if (!parsed) add("{}", parsed.error().message);
  }
  for (const VolumeMount& mount : task.volume_mounts) {
    if (!group.volumes.contains(mount.volume)) {
      add("volume_mount: the group has no volume \"{}\"", mount.volume);
    }
    if (mount.destination.empty()) add("volume_mount: destination is missing");
    if (mount.propagation_mode != "private") {
      add("volume_mount: propagation_mode \"{}\" is not supported", mount.propagation_mode);
    }
    if (task.driver != "docker") {
      add("volume_mount: the driver {} mounts no volumes; docker does", task.driver);
    }
  }
  if (task.dispatch_payload) {
    if (task.dispatch_payload->file.empty()) add("dispatch_payload: file is missing");
    if (!stays_inside(task.dispatch_payload->file)) {
      add("dispatch_payload: file \"{}\" leaves the task's folder", task.dispatch_payload->file);
    }
  }
  check_services(group, &task, task.services);
}

}  // namespace sluice::orchestrator
