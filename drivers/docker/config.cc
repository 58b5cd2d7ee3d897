#include "drivers/docker/config.h"

#include <utility>

#include "drivers/docker/block.h"

namespace sluice::drivers {
namespace {

constexpr int64_t kNoLimit = INT64_MAX;

void read_mount(Block& block, DockerMount& mount) {
  block.text("type", mount.type);
  block.text("source", mount.source);
  block.text("target", mount.target);
  block.flag("readonly", mount.read_only);
  block.block("bind_options", [&](Block& bind) { bind.text("propagation", mount.propagation); });
  block.block("volume_options", [&](Block& volume) {
    volume.flag("no_copy", mount.no_copy);
    volume.map("labels", mount.volume_labels);
    volume.block("driver_config", [&](Block& driver) {
      driver.text("name", mount.volume_driver);
      driver.map("options", mount.volume_options);
    });
  });
  block.block("tmpfs_options", [&](Block& tmpfs) {
    tmpfs.number("size", mount.tmpfs_size_bytes, 0, kNoLimit);
    tmpfs.number("mode", mount.tmpfs_mode, 0, 07777);
  });
  if (mount.type != "bind" && mount.type != "volume" && mount.type != "tmpfs") {
    block.say(
        fmt::format("{} = \"{}\" must be bind, volume or tmpfs", block.path("type"), mount.type));
  }
  if (mount.target.empty()) block.say(fmt::format("{} is missing", block.path("target")));
  if (mount.type == "bind" && mount.source.empty()) {
    block.say(fmt::format("{} is missing", block.path("source")));
  }
}

void read_ulimits(const std::map<std::string, std::string>& texts, DockerConfig& config,
                  Block& top) {
  for (const auto& [name, text] : texts) {
    std::string_view view = text;
    size_t colon = view.find(':');
    auto soft = parse_int(view.substr(0, colon));
    auto hard = colon == std::string_view::npos ? soft : parse_int(view.substr(colon + 1));
    if (!soft || !hard) {
      return top.say(
          fmt::format("ulimit.{} = \"{}\" must be \"soft:hard\" or one number", name, text));
    }
    config.ulimits.push_back({name, *soft, *hard});
  }
}

void read_network(Block& top, DockerConfig& config) {
  top.numbers("port_map", config.port_map, 1, 65535);
  top.list("ports", config.ports);
  if (config.ports && !config.port_map.empty()) {
    top.say("port_map and ports cannot both be given");
  }
  top.text("network_mode", config.network_mode);
  top.list("network_aliases", config.network_aliases);
  top.text("ipv4_address", config.ipv4_address);
  top.text("ipv6_address", config.ipv6_address);
  top.text("mac_address", config.mac_address);
  top.text("hostname", config.hostname);
  top.list("dns_servers", config.dns_servers);
  top.list("dns_search_domains", config.dns_search_domains);
  top.list("dns_options", config.dns_options);
  top.list("extra_hosts", config.extra_hosts);
  for (const std::string& host : config.extra_hosts) {
    if (host.find(':') == std::string::npos) {
      top.say(fmt::format("extra_hosts: \"{}\" must be \"name:address\"", host));
    }
  }
}

void read_image(Block& top, DockerConfig& config) {
  top.text("image", config.image);
  if (config.image.empty()) top.say("option \"image\" is missing");
  top.text("command", config.command);
  top.list("args", config.args);
  top.list("entrypoint", config.entrypoint);
  top.block("auth", [&](Block& auth) {
    auth.text("username", config.auth.username);
    auth.text("password", config.auth.password);
    auth.text("email", config.auth.email);
    auth.text("server_address", config.auth.server_address);
  });
  top.flag("auth_soft_fail", config.auth_soft_fail);
  top.flag("force_pull", config.force_pull);
  top.duration("image_pull_timeout", config.image_pull_timeout_ms);
  top.block("logging", [&](Block& logging) {
    std::string old_name;
    logging.text("driver", old_name);
    logging.text("type", config.logging_type);
    if (config.logging_type.empty()) config.logging_type = old_name;
    logging.map("config", config.logging_config);
  });
  top.map("labels", config.labels);
  for (const auto& [name, value] : config.labels) {
    if (name.starts_with("sluice.")) {
      top.say(
          fmt::format("labels.{}: labels that start with \"sluice.\" are the agent's own", name));
    }
  }
}

void read_storage(Block& top, DockerConfig& config) {
  top.list("volumes", config.volumes);
  for (const std::string& volume : config.volumes) {
    if (volume.find(':') == std::string::npos) {
      top.say(fmt::format("volumes: \"{}\" must be \"source:target\" or \"source:target:options\"",
                          volume));
    }
  }
  top.text("volume_driver", config.volume_driver);
  for (std::string_view name : {"mount", "mounts"}) {
    top.blocks(name, [&](Block& block) { read_mount(block, config.mounts.emplace_back()); });
  }
  top.blocks("devices", [&](Block& block) {
    DockerDevice& device = config.devices.emplace_back();
    block.text("host_path", device.host_path);
    block.text("container_path", device.container_path);
    block.text("cgroup_permissions", device.permissions);
    if (device.host_path.empty()) block.say(fmt::format("{} is missing", block.path("host_path")));
  });
  top.map("storage_opt", config.storage_opt);
  top.flag("readonly_rootfs", config.readonly_rootfs);
}

void read_isolation(Block& top, DockerConfig& config) {
  top.flag("privileged", config.privileged);
  top.list("cap_add", config.cap_add);
  top.list("cap_drop", config.cap_drop);
  top.list("security_opt", config.security_opt);
  top.list("group_add", config.group_add);
  top.map("sysctl", config.sysctl);
  std::map<std::string, std::string> ulimits;
  top.map("ulimit", ulimits);
  read_ulimits(ulimits, config, top);
  top.text("work_dir", config.work_dir);
  top.text("ipc_mode", config.ipc_mode);
  top.text("pid_mode", config.pid_mode);
  top.text("uts_mode", config.uts_mode);
  top.text("userns_mode", config.userns_mode);
  top.text("cgroupns", config.cgroupns);
  top.text("runtime", config.runtime);
  top.flag("init", config.init);
  top.flag("interactive", config.interactive);
  top.flag("tty", config.tty);
  top.block("healthchecks",
            [&](Block& block) { block.flag("disable", config.healthcheck_disabled); });
  top.number("memory_hard_limit", config.memory_hard_limit_mb, 0, kNoLimit >> 20);
  top.number("shm_size", config.shm_size_bytes, 0, kNoLimit);
  top.number("pids_limit", config.pids_limit, 0, kNoLimit);
  top.number("oom_score_adj", config.oom_score_adj, 0, 1000);
  top.text("cpuset_cpus", config.cpuset_cpus);
  top.flag("cpu_hard_limit", config.cpu_hard_limit);
  top.number("cpu_cfs_period", config.cpu_cfs_period_us, 1000, 1'000'000);
}

}  // namespace

Result<DockerConfig> decode_docker_config(const Json& json) {
  DockerConfig config;
  std::optional<Error> error;
  Block top(json, "", error);
  read_image(top, config);
  read_network(top, config);
  read_storage(top, config);
  read_isolation(top, config);
  top.unsupported("load", "images come from a registry or are already there");
  top.unsupported("isolation", "it is of Docker on Windows");
  top.unsupported("advertise_ipv6_address", "services advertise the node's address");
  top.refuse_unknown();
  if (error) return std::unexpected(std::move(*error));
  return config;
}

}  // namespace sluice::drivers
