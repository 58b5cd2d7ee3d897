#include "orchestrator/node/task_env.h"

#include <fmt/core.h>

#include <algorithm>

#include "core/ascii.h"

namespace sluice::orchestrator {

namespace {

/// A label as the name of an environment variable: everything but letters, digits and _ becomes _.
std::string variable_name(std::string_view label) {
  std::string name(label);
  for (char& c : name) {
    if (!ascii::is_alphanumeric(c)) c = '_';
  }
  return name;
}

/// The name in `${env["NAME"]}`, else the text itself.
std::string_view strip_env(std::string_view name) {
  constexpr std::string_view kOpen = "env[\"";
  constexpr std::string_view kClose = "\"]";
  // Both together: `env["]` begins and ends so, and is neither.
  if (name.size() >= kOpen.size() + kClose.size() && name.starts_with(kOpen) &&
      name.ends_with(kClose)) {
    name.remove_prefix(kOpen.size());
    name.remove_suffix(kClose.size());
  }
  return name;
}

}  // namespace

uint16_t port_inside(const TaskConfig& task, const AssignedPort& port) {
  if (port.to != 0) return port.to;
  const Json* map = task.config.find("port_map");
  if (map != nullptr && map->is_array()) {
    for (const Json& entry : map->as_array()) {
      const int64_t mapped = entry.get_int(port.label);
      if (mapped > 0 && mapped < 65536) return static_cast<uint16_t>(mapped);
    }
  } else if (map != nullptr) {
    const int64_t mapped = map->get_int(port.label);
    if (mapped > 0 && mapped < 65536) return static_cast<uint16_t>(mapped);
  }
  return port.value;
}

TaskEnv::TaskEnv(const Node& node, const Allocation& alloc, const TaskConfig& task,
                 const TaskFolders& folders, std::string_view region) {
  node_values_ = {{"node.unique.id", node.id},          {"node.unique.name", node.name},
                  {"node.datacenter", node.datacenter}, {"node.class", node.node_class},
                  {"node.pool", node.node_pool},        {"node.region", std::string(region)}};
  for (const auto& [key, value] : node.attributes) node_values_.emplace("attr." + key, value);
  for (const auto& [key, value] : node.meta) node_values_.emplace("meta." + key, value);
  add_identity(node, alloc, task, folders, region);
  add_ports(alloc, task);
  add_meta(alloc, task);
  std::map<std::string, std::string> own;
  for (const auto& [key, value] : task.env) own[expand(key)] = expand(value);
  for (auto& [key, value] : own) variables_[key] = std::move(value);
}

void TaskEnv::add(const std::map<std::string, std::string>& variables) {
  for (const auto& [key, value] : variables) variables_[key] = value;
}

void TaskEnv::add_identity(const Node& node, const Allocation& alloc, const TaskConfig& task,
                           const TaskFolders& folders, std::string_view region) {
  const Job& job = *alloc.job;
  auto& v = variables_;
  v["NOMAD_ALLOC_DIR"] = folders.alloc;
  v["NOMAD_TASK_DIR"] = folders.local;
  v["NOMAD_SECRETS_DIR"] = folders.secrets;
  v["NOMAD_ALLOC_ID"] = alloc.id;
  v["NOMAD_SHORT_ALLOC_ID"] = alloc.id.substr(0, 8);
  v["NOMAD_ALLOC_NAME"] = alloc.name;
  v["NOMAD_ALLOC_INDEX"] = fmt::format("{}", std::max<int64_t>(alloc.name_index(), 0));
  v["NOMAD_TASK_NAME"] = task.name;
  v["NOMAD_GROUP_NAME"] = alloc.group;
  v["NOMAD_JOB_ID"] = job.id;
  v["NOMAD_JOB_NAME"] = job.name;
  if (!job.parent_id.empty()) v["NOMAD_JOB_PARENT_ID"] = job.parent_id;
  v["NOMAD_DC"] = node.datacenter;
  v["NOMAD_REGION"] = region;
  v["NOMAD_NAMESPACE"] = job.namespace_;
  if (task.resources) {
    v["NOMAD_CPU_LIMIT"] = fmt::format("{}", alloc.task_cpu_mhz(task));
    if (const AssignedCores* own = alloc.cores_of(task.name)) {
      v["NOMAD_CPU_CORES"] = format_cpu_list(own->cores);
    }
    v["NOMAD_MEMORY_LIMIT"] = fmt::format("{}", task.resources->memory_mb);
    if (task.resources->memory_max_mb > 0) {
      v["NOMAD_MEMORY_MAX_LIMIT"] = fmt::format("{}", task.resources->memory_max_mb);
    }
  }
  const char* path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  v["PATH"] = path;
}

void TaskEnv::add_ports(const Allocation& alloc, const TaskConfig& task) {
  for (const AssignedPort& port : alloc.ports) {
    const std::string label = variable_name(port.label);
    const std::string address = port.host_ip.find(':') == std::string::npos
                                    ? fmt::format("{}:{}", port.host_ip, port.value)
                                    : fmt::format("[{}]:{}", port.host_ip, port.value);
    if (port.task.empty() || port.task == task.name) {
      variables_["NOMAD_IP_" + label] = port.host_ip;
      variables_["NOMAD_ADDR_" + label] = address;
      variables_["NOMAD_HOST_PORT_" + label] = fmt::format("{}", port.value);
      variables_["NOMAD_PORT_" + label] = fmt::format("{}", port_inside(task, port));
      variables_["NOMAD_HOST_IP_" + label] = port.host_ip;
      variables_["NOMAD_HOST_ADDR_" + label] = address;
    }
    if (!port.task.empty()) {
      const std::string scoped = variable_name(port.task) + "_" + label;
      variables_["NOMAD_IP_" + scoped] = port.host_ip;
      variables_["NOMAD_ADDR_" + scoped] = address;
      variables_["NOMAD_PORT_" + scoped] = fmt::format("{}", port.value);
    }
  }
}

void TaskEnv::add_meta(const Allocation& alloc, const TaskConfig& task) {
  std::map<std::string, std::string> merged = alloc.job->meta;
  for (const auto& [key, value] : alloc.task_group().meta) merged[key] = value;
  for (const auto& [key, value] : task.meta) merged[key] = value;
  for (const auto& [key, value] : merged) {
    variables_["NOMAD_META_" + variable_name(key)] = value;
    variables_["NOMAD_META_" + ascii::upper(variable_name(key))] = value;
  }
}

std::string TaskEnv::expand(std::string_view text) const {
  std::string out;
  for (;;) {
    const size_t open = text.find("${");
    const size_t close = open == std::string_view::npos ? open : text.find('}', open);
    if (close == std::string_view::npos) return out.append(text);
    out.append(text.substr(0, open));
    std::string_view name = text.substr(open + 2, close - open - 2);
    while (name.starts_with(' ')) name.remove_prefix(1);
    while (name.ends_with(' ')) name.remove_suffix(1);
    const std::string key(strip_env(name));
    if (const auto value = node_values_.find(key); value != node_values_.end()) {
      out += value->second;
    } else if (const auto variable = variables_.find(key); variable != variables_.end()) {
      out += variable->second;
    } else {
      out.append(text.substr(open, close + 1 - open));
    }
    text.remove_prefix(close + 1);
  }
}

Json TaskEnv::expand_json(const Json& value) const {
  if (value.is_string()) return Json(expand(value.as_string()));
  if (value.is_array()) {
    Json::Array items;
    for (const Json& item : value.as_array()) items.push_back(expand_json(item));
    return Json(std::move(items));
  }
  if (value.is_object()) {
    Json object = Json::object();
    for (const JsonMember& member : value.as_object()) {
      object.set(expand(member.key), expand_json(member.value));
    }
    return object;
  }
  return value;
}

}  // namespace sluice::orchestrator
