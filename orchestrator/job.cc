#include "orchestrator/job.h"

#include <utility>

#include "orchestrator/fields_json.h"

namespace sluice::orchestrator {

const TaskConfig* TaskGroup::task(std::string_view task_name) const {
  for (const TaskConfig& task : tasks) {
    if (task.name == task_name) return &task;
  }
  return nullptr;
}

const TaskGroup* Job::group(std::string_view group_name) const {
  for (const TaskGroup& group : groups) {
    if (group.name == group_name) return &group;
  }
  return nullptr;
}

Result<Job> decode_job(const Json& json) {
  if (!json.is_object()) {
    return fail(Code::kInvalid, "a job must be a JSON object, not {}", json_kind_name(json));
  }
  Job job;
  Problems problems;
  DecodeContext context{.problems = &problems, .place = {}, .refuse_unsupported = true};
  decode(json, "Job", job, context);
  job.consul_token_given = !json.get_string("ConsulToken").empty();
  if (problems.empty()) return job;
  std::string text;
  for (const std::string& problem : problems) {
    if (!text.empty()) text += '\n';
    text += problem;
  }
  return fail(Code::kInvalid, "{}", text);
}

void write_job(JsonWriter& out, const Job& job) {
  encode(out, job, EncodeOptions{});
}

bool same_spec(const Job& a, const Job& b) {
  return a.id == b.id && same_said(a, b);
}

// --------------------------------------------------------------------------------------
// canonicalize

namespace {

void fill(int64_t& field, int64_t value) {
  if (field == kUnset) field = value;
}
void fill(std::string& field, std::string_view value) {
  if (field.empty()) field = value;
}
template <class T>
void fill(std::optional<T>& field, T value) {
  if (!field) field = std::move(value);
}

RestartPolicy default_restart(const Job& job) {
  if (job.is_batch()) return {3, 24 * kHourNs, 15 * kSecondNs, "fail", false};
  return {2, 30 * kMinuteNs, 15 * kSecondNs, "fail", false};
}

void merge(RestartPolicy& policy, const RestartPolicy& from) {
  fill(policy.attempts, from.attempts);
  fill(policy.interval_ns, from.interval_ns);
  fill(policy.delay_ns, from.delay_ns);
  fill(policy.mode, from.mode);
}

ReschedulePolicy default_reschedule(const Job& job) {
  if (job.type == kTypeService) {
    return {0, 0, 30 * kSecondNs, "exponential", kHourNs, true};
  }
  if (job.type == kTypeBatch) return {1, 24 * kHourNs, 5 * kSecondNs, "constant", 0, false};
  return {0, 0, 0, "constant", 0, false};
}

void merge(ReschedulePolicy& policy, const ReschedulePolicy& from) {
  // Who names a number of attempts means it.
  const bool limited = policy.attempts != kUnset && policy.attempts > 0;
  fill(policy.unlimited, limited ? false : from.unlimited.value_or(false));
  fill(policy.attempts, from.attempts);
  fill(policy.interval_ns, from.interval_ns);
  fill(policy.delay_ns, from.delay_ns);
  fill(policy.delay_function, from.delay_function);
  fill(policy.max_delay_ns, from.max_delay_ns);
}

UpdateStrategy default_update() {
  return {.stagger_ns = 30 * kSecondNs,
          .max_parallel = 1,
          .health_check = "checks",
          .min_healthy_time_ns = 10 * kSecondNs,
          .healthy_deadline_ns = 5 * kMinuteNs,
          .progress_deadline_ns = 10 * kMinuteNs,
          .canary = 0,
          .auto_revert = false,
          .auto_promote = false};
}

void merge(UpdateStrategy& update, const UpdateStrategy& from) {
  fill(update.stagger_ns, from.stagger_ns);
  fill(update.max_parallel, from.max_parallel);
  fill(update.health_check, from.health_check);
  fill(update.min_healthy_time_ns, from.min_healthy_time_ns);
  fill(update.healthy_deadline_ns, from.healthy_deadline_ns);
  fill(update.progress_deadline_ns, from.progress_deadline_ns);
  fill(update.canary, from.canary);
  if (from.auto_revert) fill(update.auto_revert, *from.auto_revert);
  if (from.auto_promote) fill(update.auto_promote, *from.auto_promote);
}

void replace_all(std::string& text, std::string_view what, std::string_view with) {
  for (size_t at = text.find(what); at != std::string::npos;
       at = text.find(what, at + with.size())) {
    text.replace(at, what.size(), with);
  }
}

void canonicalize_services(std::vector<Service>& services, const Job& job, const TaskGroup& group,
                           const std::string& task) {
  const std::string base =
      task.empty() ? job.name + "-" + group.name : job.name + "-" + group.name + "-" + task;
  for (Service& service : services) {
    fill(service.name, base);
    replace_all(service.name, "${JOB}", job.name);
    replace_all(service.name, "${TASKGROUP}", group.name);
    replace_all(service.name, "${TASK}", task);
    replace_all(service.name, "${BASE}", base);
    fill(service.address_mode, "auto");
    fill(service.on_update, "require_healthy");
    fill(service.provider, "consul");
    for (Check& check : service.checks) {
      fill(check.name, "service: \"" + service.name + "\" check");
      fill(check.on_update, service.on_update);
      // The service's check_restart holds for the checks that have none of their own.
      if (!check.check_restart) check.check_restart = service.check_restart;
    }
  }
}

void canonicalize_task(TaskConfig& task, const Job& job, const TaskGroup& group) {
  if (!task.resources) task.resources.emplace();
  fill(task.resources->cpu_mhz, task.resources->cores > 0 ? 0 : 100);
  fill(task.resources->memory_mb, 300);
  if (!task.restart) task.restart.emplace();
  merge(*task.restart, *group.restart);
  if (!task.log) task.log.emplace();
  if (const auto enabled = std::exchange(task.log->enabled, std::nullopt)) {
    task.log->disabled = task.log->disabled || !*enabled;
  }
  if (!task.config.is_object()) task.config = Json::object();
  canonicalize_services(task.services, job, group, task.name);
}

void canonicalize_group(TaskGroup& group, const Job& job) {
  if (group.count == kUnset) {
    group.count = group.scaling && group.scaling->min != kUnset ? group.scaling->min : 1;
  }
  if (group.scaling) {
    if (group.scaling->type.empty()) group.scaling->type = "horizontal";
    fill(group.scaling->min, group.count);
    if (group.scaling->max == kUnset) group.scaling->max = 0;
  }
  if (!group.restart) group.restart.emplace();
  merge(*group.restart, default_restart(job));
  if (!job.is_system()) {
    if (!group.reschedule) group.reschedule.emplace();
    if (job.reschedule) merge(*group.reschedule, *job.reschedule);
    merge(*group.reschedule, default_reschedule(job));
  }
  if (!group.ephemeral_disk) group.ephemeral_disk.emplace();
  if (job.update) {
    if (!group.update) group.update.emplace();
    merge(*group.update, *job.update);
  }
  if (group.update || job.type == kTypeService) {
    if (!group.update) group.update.emplace();
    merge(*group.update, default_update());
  }
  if (job.type == kTypeService && !group.migrate) {
    group.migrate = job.migrate ? *job.migrate : MigrateStrategy{};
  }
  for (auto& [name, volume] : group.volumes) fill(volume.name, name);
  canonicalize_services(group.services, job, group, "");
  for (TaskConfig& task : group.tasks) canonicalize_task(task, job, group);
}

}  // namespace

void canonicalize(Job& job) {
  fill(job.name, job.id);
  fill(job.region, "global");
  fill(job.namespace_, "default");
  fill(job.type, kTypeService);
  fill(job.node_pool, "default");
  fill(job.priority, 50);
  if (job.datacenters.empty()) job.datacenters = {"*"};
  for (TaskGroup& group : job.groups) canonicalize_group(group, job);
  if (job.periodic && job.periodic->specs.empty() && !job.periodic->spec.empty()) {
    job.periodic->specs = {job.periodic->spec};
  }
}

Problems warnings(const Job& job) {
  Problems out;
  if (job.consul_token_given) {
    out.push_back("ConsulToken is not checked: services are registered with the agent's own token");
  }
  for (const TaskGroup& group : job.groups) {
    if (group.update && group.update->max_parallel == 0 && job.type == kTypeService) {
      out.push_back(fmt::format(
          "group \"{}\": update max_parallel 0 turns deployments off for this group", group.name));
    }
    if (group.update && group.count > 1 && group.update->max_parallel > group.count) {
      out.push_back(fmt::format(
          "group \"{}\": Update max parallel count is greater than task group count ({} > {}). A "
          "destructive change would result in the simultaneous replacement of all allocations.",
          group.name, group.update->max_parallel, group.count));
    }
  }
  return out;
}

}  // namespace sluice::orchestrator
