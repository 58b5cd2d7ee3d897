#include "drivers/docker/create.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/ascii.h"
#include "core/json_strings.h"
#include "drivers/docker/container.h"

namespace sluice::drivers {
namespace {

using orchestrator::TaskKey;
using orchestrator::TaskPort;
using orchestrator::TaskSpec;

constexpr int64_t kMinCpuShares = 2;
constexpr int64_t kMinCpuQuotaUs = 1000;  // the kernel refuses less
constexpr int64_t kMinMemoryMb = 6;       // Docker refuses less
constexpr int64_t kMib = 1 << 20;
// Two seconds of what Docker writes at its fastest: see log_pump.h.
constexpr int64_t kMinDockerLogBytes = 64 * kMib;

void set_text(Json& into, std::string_view key, const std::string& value) {
  if (!value.empty()) into.set(key, value);
}
void set_list(Json& into, std::string_view key, const std::vector<std::string>& value) {
  if (!value.empty()) into.set(key, string_list(value));
}

bool shares_a_network(const std::string& mode) {
  return mode == "host" || mode == "none" || mode.starts_with("container:");
}

/// Publishes the task's ports, and tells the environment which numbers they have inside.
Result<void> add_ports(const TaskSpec& spec, const DockerConfig& config,
                       std::map<std::string, std::string>& env, Json& body, Json& host) {
  auto port_of = [&](const std::string& label) {
    return std::ranges::find(spec.ports, label, &TaskPort::label);
  };
  for (const auto& [label, number] : config.port_map) {
    if (port_of(label) == spec.ports.end()) {
      return fail(Code::kInvalid,
                  "port_map names the port \"{}\", which the task's network does not have", label);
    }
  }
  for (const std::string& label : config.ports.value_or(std::vector<std::string>{})) {
    if (port_of(label) == spec.ports.end()) {
      return fail(Code::kInvalid,
                  "ports names the port \"{}\", which the group's network does not have", label);
    }
  }
  if (shares_a_network(config.network_mode)) {
    if (!config.port_map.empty()) {
      return fail(Code::kInvalid, "port_map has no meaning with network_mode = \"{}\"",
                  config.network_mode);
    }
    return {};
  }
  Json exposed = Json::object();
  Json bindings = Json::object();
  for (const TaskPort& port : spec.ports) {
    if (config.ports && std::ranges::find(*config.ports, port.label) == config.ports->end()) {
      continue;
    }
    auto mapped = config.port_map.find(port.label);
    int64_t inside = mapped != config.port_map.end() ? mapped->second
                     : port.to != 0                  ? port.to
                                                     : port.host_port;
    env["NOMAD_PORT_" + port.label] = std::to_string(inside);
    for (std::string_view protocol : {"tcp", "udp"}) {
      std::string name = fmt::format("{}/{}", inside, protocol);
      exposed.set(name, Json::object());
      Json binding =
          Json::object({{"HostIp", port.host_ip}, {"HostPort", std::to_string(port.host_port)}});
      if (Json* list = bindings.find(name)) {
        list->push(std::move(binding));
      } else {
        bindings.set(name, Json::array({std::move(binding)}));
      }
    }
  }
  if (exposed.size() > 0) {
    body.set("ExposedPorts", std::move(exposed));
    host.set("PortBindings", std::move(bindings));
  }
  return {};
}

/// Resolves "." and ".." without touching the disk; nullopt where the path climbs above its start.
std::optional<std::string> inside_folder(const std::string& folder, std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    size_t slash = path.find('/');
    std::string_view part = path.substr(0, slash);
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      parts.push_back(part);
    } else if (parts.empty()) {
      return std::nullopt;
    } else {
      parts.pop_back();
    }
  }
  std::string result = folder;
  for (std::string_view part : parts) {
    result += '/';
    result += part;
  }
  return result;
}

/// The source of a bind: inside the task's folder where it is relative.
Result<std::string> bind_source(const TaskSpec& spec, const DockerPolicy& policy,
                                const std::string& source) {
  if (source.starts_with('/')) {
    if (policy.allow_host_volumes) return source;
    return fail(Code::kDenied,
                "{} is outside the task's folder: host volumes are off on this node (plugin "
                "\"docker\" {{ config {{ volumes {{ enabled = true }} }} }})",
                source);
  }
  auto path = inside_folder(spec.task_folder, source);
  if (!path) return fail(Code::kDenied, "{} climbs out of the task's folder", source);
  return *std::move(path);
}

/// A source of `volumes` names a volume where it has neither a slash nor a dot in front.
bool names_volume(std::string_view source) {
  return !source.empty() && source.front() != '.' && source.find('/') == std::string_view::npos;
}

Result<void> add_volumes(const TaskSpec& spec, const DockerConfig& config,
                         const DockerPolicy& policy, Json& host) {
  Json binds = Json::array();
  for (const std::string& volume : config.volumes) {
    size_t colon = volume.find(':');
    std::string source = volume.substr(0, colon);
    if (names_volume(source) && !config.volume_driver.empty()) {
      if (!policy.allow_host_volumes) {
        return fail(Code::kDenied,
                    "volume {}: host volumes are off on this node (plugin \"docker\" {{ config {{ "
                    "volumes {{ enabled = true }} }} }})",
                    source);
      }
      binds.push(volume);
      continue;
    }
    auto path = bind_source(spec, policy, source);
    if (!path) return pass(path, "volumes: \"{}\"", volume);
    binds.push(*path + volume.substr(colon));
  }
  if (binds.size() > 0) host.set("Binds", std::move(binds));
  set_text(host, "VolumeDriver", config.volume_driver);
  return {};
}

Json bind_mount(std::string source, std::string_view target) {
  return Json::object({{"Type", "bind"}, {"Source", std::move(source)}, {"Target", target}});
}

Result<void> add_mounts(const TaskSpec& spec, const DockerConfig& config,
                        const DockerPolicy& policy, Json& host) {
  Json mounts = Json::array();
  if (!spec.alloc_folder.empty()) mounts.push(bind_mount(spec.alloc_folder, "/alloc"));
  if (!spec.task_folder.empty()) {
    mounts.push(bind_mount(spec.task_folder + "/local", "/local"));
    mounts.push(bind_mount(spec.task_folder + "/secrets", "/secrets"));
  }
  // Volumes that the agent's configuration offers: allowed by that.
  for (const orchestrator::TaskMount& mount : spec.mounts) {
    Json item = bind_mount(mount.source, mount.destination);
    if (mount.read_only) item.set("ReadOnly", true);
    mounts.push(std::move(item));
  }
  for (const DockerMount& mount : config.mounts) {
    Json item = Json::object({{"Type", mount.type}, {"Target", mount.target}});
    if (mount.read_only) item.set("ReadOnly", true);
    if (mount.type == "bind") {
      auto source = bind_source(spec, policy, mount.source);
      if (!source) return pass(source, "mount {}", mount.target);
      item.set("Source", *std::move(source));
      if (!mount.propagation.empty()) {
        item.set("BindOptions", Json::object({{"Propagation", mount.propagation}}));
      }
    } else if (mount.type == "tmpfs") {
      item.set("TmpfsOptions",
               Json::object({{"SizeBytes", mount.tmpfs_size_bytes}, {"Mode", mount.tmpfs_mode}}));
    } else {
      set_text(item, "Source", mount.source);
      Json options = Json::object({{"NoCopy", mount.no_copy}});
      if (!mount.volume_labels.empty()) options.set("Labels", string_map(mount.volume_labels));
      if (!mount.volume_driver.empty()) {
        options.set("DriverConfig", Json::object({{"Name", mount.volume_driver},
                                                  {"Options", string_map(mount.volume_options)}}));
      }
      item.set("VolumeOptions", std::move(options));
    }
    mounts.push(std::move(item));
  }
  if (mounts.size() > 0) host.set("Mounts", std::move(mounts));
  return {};
}

Result<void> add_limits(const TaskSpec& spec, const DockerConfig& config, Json& host) {
  int64_t reserved_mb = spec.memory_mb;
  int64_t limit_mb = std::max({spec.memory_mb, spec.memory_max_mb, config.memory_hard_limit_mb});
  if (limit_mb < kMinMemoryMb) {
    return fail(Code::kInvalid, "memory = {} MB is less than the {} MB that Docker asks for",
                limit_mb, kMinMemoryMb);
  }
  host.set("Memory", limit_mb * kMib);
  // Memory and swap together: as much as memory alone, so no swap.
  host.set("MemorySwap", limit_mb * kMib);
  if (limit_mb > reserved_mb) host.set("MemoryReservation", reserved_mb * kMib);
  host.set("CpuShares", std::max(spec.cpu_mhz, kMinCpuShares));
  if (config.cpu_hard_limit) {
    if (spec.core_mhz <= 0) {
      return fail(Code::kUnsupported,
                  "cpu_hard_limit: the clock of this node's cores is not known");
    }
    const int64_t quota_us = spec.cpu_mhz * config.cpu_cfs_period_us / spec.core_mhz;
    host.set("CpuPeriod", config.cpu_cfs_period_us);
    host.set("CpuQuota", std::max(quota_us, kMinCpuQuotaUs));
  }
  if (spec.own_cpus && !config.cpuset_cpus.empty()) {
    return fail(Code::kInvalid,
                "cpuset_cpus = \"{}\": the task's cores ({}) are chosen by its resources",
                config.cpuset_cpus, spec.cpus);
  }
  set_text(host, "CpusetCpus", config.cpuset_cpus.empty() ? spec.cpus : config.cpuset_cpus);
  if (config.pids_limit > 0) host.set("PidsLimit", config.pids_limit);
  if (config.shm_size_bytes > 0) host.set("ShmSize", config.shm_size_bytes);
  if (config.oom_score_adj > 0) host.set("OomScoreAdj", config.oom_score_adj);
  if (config.ulimits.empty()) return {};
  Json ulimits = Json::array();
  for (const DockerUlimit& limit : config.ulimits) {
    ulimits.push(Json::object({{"Name", limit.name}, {"Soft", limit.soft}, {"Hard", limit.hard}}));
  }
  host.set("Ulimits", std::move(ulimits));
  return {};
}

/// "NET_ADMIN" and "CAP_NET_ADMIN" are one: "net_admin".
std::string capability(std::string_view name) {
  std::string lower = ascii::lower(name);
  if (lower.starts_with("cap_")) lower.erase(0, 4);
  return lower;
}

bool allowed_capability(const std::string& name, const DockerPolicy& policy) {
  static constexpr std::string_view kOfDocker[] = {
      "audit_write",      "chown",   "dac_override", "fowner", "fsetid",  "kill",   "mknod",
      "net_bind_service", "net_raw", "setfcap",      "setgid", "setpcap", "setuid", "sys_chroot"};
  const std::string wanted = capability(name);
  if (std::ranges::find(kOfDocker, wanted) != std::end(kOfDocker)) return true;
  return std::ranges::any_of(policy.allow_caps, [&](const std::string& allowed) {
    return capability(allowed) == "all" || capability(allowed) == wanted;
  });
}

Result<void> add_isolation(const DockerConfig& config, const DockerPolicy& policy, Json& host) {
  if (config.privileged && !policy.allow_privileged) {
    return fail(Code::kDenied,
                "privileged containers are off on this node (plugin \"docker\" {{ config {{ "
                "allow_privileged = true }} }})");
  }
  if (!config.devices.empty() && !policy.allow_host_devices) {
    return fail(Code::kDenied,
                "host devices are off on this node (plugin \"docker\" {{ config {{ allow_devices = "
                "true }} }})");
  }
  for (const std::string& name : config.cap_add) {
    if (allowed_capability(name, policy)) continue;
    return fail(Code::kDenied,
                "cap_add: {} is off on this node (plugin \"docker\" {{ config {{ allow_caps = "
                "[\"{}\"] }} }})",
                name, capability(name));
  }
  if (config.privileged) host.set("Privileged", true);
  set_list(host, "CapAdd", config.cap_add);
  set_list(host, "CapDrop", config.cap_drop);
  set_list(host, "SecurityOpt", config.security_opt);
  set_list(host, "GroupAdd", config.group_add);
  if (!config.sysctl.empty()) host.set("Sysctls", string_map(config.sysctl));
  if (!config.storage_opt.empty()) host.set("StorageOpt", string_map(config.storage_opt));
  if (config.readonly_rootfs) host.set("ReadonlyRootfs", true);
  set_text(host, "IpcMode", config.ipc_mode);
  set_text(host, "PidMode", config.pid_mode);
  set_text(host, "UTSMode", config.uts_mode);
  set_text(host, "UsernsMode", config.userns_mode);
  set_text(host, "CgroupnsMode", config.cgroupns);
  set_text(host, "Runtime", config.runtime);
  if (config.init) host.set("Init", *config.init);
  if (config.devices.empty()) return {};
  Json devices = Json::array();
  for (const DockerDevice& device : config.devices) {
    devices.push(
        Json::object({{"PathOnHost", device.host_path},
                      {"PathInContainer",
                       device.container_path.empty() ? device.host_path : device.container_path},
                      {"CgroupPermissions", device.permissions}}));
  }
  host.set("Devices", std::move(devices));
  return {};
}

void add_network(const DockerConfig& config, Json& body, Json& host) {
  set_text(body, "Hostname", config.hostname);
  set_text(body, "MacAddress", config.mac_address);
  set_text(host, "NetworkMode", config.network_mode);
  set_list(host, "Dns", config.dns_servers);
  set_list(host, "DnsSearch", config.dns_search_domains);
  set_list(host, "DnsOptions", config.dns_options);
  set_list(host, "ExtraHosts", config.extra_hosts);
  bool addressed = !config.ipv4_address.empty() || !config.ipv6_address.empty();
  if (config.network_aliases.empty() && !addressed) return;
  Json endpoint = Json::object();
  set_list(endpoint, "Aliases", config.network_aliases);
  if (addressed) {
    Json ipam = Json::object();
    set_text(ipam, "IPv4Address", config.ipv4_address);
    set_text(ipam, "IPv6Address", config.ipv6_address);
    endpoint.set("IPAMConfig", std::move(ipam));
  }
  Json endpoints = Json::object();
  endpoints.set(config.network_mode.empty() ? "bridge" : config.network_mode, std::move(endpoint));
  body.set("NetworkingConfig", Json::object({{"EndpointsConfig", std::move(endpoints)}}));
}

void add_logging(const TaskSpec& spec, const DockerConfig& config, Json& host) {
  Json logging = Json::object();
  std::map<std::string, std::string> options = config.logging_config;
  std::string type = config.logging_type;
  if (type.empty()) {
    // Docker's own copy is what an agent reads again that was away; unbounded, as Docker has it, it
    // would fill the disk of a node.
    type = "json-file";
    int64_t size = std::max(spec.log_max_file_bytes, kMinDockerLogBytes);
    options.try_emplace("max-size", std::to_string(size));
    options.try_emplace("max-file", "2");
  }
  logging.set("Type", type);
  logging.set("Config", string_map(options));
  host.set("LogConfig", std::move(logging));
}

}  // namespace

Result<Json> create_body(const TaskSpec& spec, const DockerConfig& config,
                         const DockerPolicy& policy) {
  Json body = Json::object({{"Image", config.image}});
  Json host = Json::object({{"RestartPolicy", Json::object({{"Name", "no"}})}});
  std::map<std::string, std::string> env = spec.env;
  if (!spec.alloc_folder.empty()) env["NOMAD_ALLOC_DIR"] = "/alloc";
  if (!spec.task_folder.empty()) {
    env["NOMAD_TASK_DIR"] = "/local";
    env["NOMAD_SECRETS_DIR"] = "/secrets";
  }
  std::array<Result<void>, 5> steps = {
      add_ports(spec, config, env, body, host), add_volumes(spec, config, policy, host),
      add_mounts(spec, config, policy, host), add_limits(spec, config, host),
      add_isolation(config, policy, host)};
  for (Result<void>& step : steps) {
    if (!step) return pass(step);
  }
  add_network(config, body, host);
  add_logging(spec, config, host);

  std::vector<std::string> command;
  if (!config.command.empty()) command.push_back(config.command);
  command.insert(command.end(), config.args.begin(), config.args.end());
  set_list(body, "Cmd", command);
  if (config.entrypoint) body.set("Entrypoint", string_list(*config.entrypoint));
  set_text(body, "User", spec.user);
  set_text(body, "WorkingDir", config.work_dir);
  if (config.tty) body.set("Tty", true);
  if (config.interactive) body.set("OpenStdin", true);
  if (config.healthcheck_disabled) {
    body.set("Healthcheck", Json::object({{"Test", Json::array({"NONE"})}}));
  }
  Json lines = Json::array();
  for (const auto& [name, value] : env) lines.push(name + "=" + value);
  body.set("Env", std::move(lines));

  Json labels = string_map(config.labels);
  labels.set(docker_label::kCluster, spec.cluster_id);
  labels.set(docker_label::kNode, spec.node_id);
  labels.set(docker_label::kAlloc, spec.key.alloc_id);
  labels.set(docker_label::kTask, spec.key.task);
  labels.set(docker_label::kRun, std::to_string(spec.key.run));
  labels.set(docker_label::kJob, spec.job_id);
  labels.set(docker_label::kGroup, spec.group);
  body.set("Labels", std::move(labels));
  body.set("HostConfig", std::move(host));
  return body;
}

}  // namespace sluice::drivers
