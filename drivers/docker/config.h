// The docker driver's config block of a task, read into a struct.
//
// Accepts what job files of any age bring (block.h). An unknown key, at the top or inside a block,
// is refused by name together with the list of the known ones.
//
// Values. Pure; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/json.h"
#include "core/result.h"

namespace sluice::drivers {

struct DockerAuth {
  std::string username;
  std::string password;
  std::string email;
  std::string server_address;
};

struct DockerMount {
  std::string type = "volume";  // "bind", "volume", "tmpfs"
  std::string source;
  std::string target;
  bool read_only = false;
  std::string propagation;                            // bind
  bool no_copy = false;                               // volume
  std::map<std::string, std::string> volume_labels;   // volume
  std::string volume_driver;                          // volume
  std::map<std::string, std::string> volume_options;  // volume
  int64_t tmpfs_size_bytes = 0;                       // tmpfs
  int64_t tmpfs_mode = 0;                             // tmpfs
};

struct DockerDevice {
  std::string host_path;
  std::string container_path;  // empty: as on the host
  std::string permissions = "rwm";
};

struct DockerUlimit {
  std::string name;
  int64_t soft = 0;
  int64_t hard = 0;
};

struct DockerConfig {
  std::string image;
  std::string command;
  std::vector<std::string> args;
  std::optional<std::vector<std::string>> entrypoint;
  std::map<std::string, int64_t> port_map;        // port label -> port in the container
  std::optional<std::vector<std::string>> ports;  // labels to publish; unset: all of the task's
  std::string network_mode;
  std::vector<std::string> network_aliases;
  std::string ipv4_address, ipv6_address, mac_address, hostname;
  std::vector<std::string> dns_servers, dns_search_domains, dns_options, extra_hosts;

  DockerAuth auth;
  bool auth_soft_fail = false;
  bool force_pull = false;
  int64_t image_pull_timeout_ms = 5 * 60 * 1000;

  std::string logging_type;  // empty: the driver's default
  std::map<std::string, std::string> logging_config;
  std::map<std::string, std::string> labels;

  std::vector<std::string> volumes;  // "source:target[:options]"
  std::string volume_driver;
  std::vector<DockerMount> mounts;
  std::vector<DockerDevice> devices;
  std::map<std::string, std::string> storage_opt;
  bool readonly_rootfs = false;

  bool privileged = false;
  std::vector<std::string> cap_add, cap_drop, security_opt, group_add;
  std::map<std::string, std::string> sysctl;
  std::vector<DockerUlimit> ulimits;
  std::string work_dir, ipc_mode, pid_mode, uts_mode, userns_mode, cgroupns, runtime;
  std::optional<bool> init;
  bool interactive = false, tty = false;
  bool healthcheck_disabled = false;

  int64_t memory_hard_limit_mb = 0;
  int64_t shm_size_bytes = 0;
  int64_t pids_limit = 0;
  int64_t oom_score_adj = 0;
  std::string cpuset_cpus;
  bool cpu_hard_limit = false;
  int64_t cpu_cfs_period_us = 100'000;
};

/// kInvalid: `unknown option "imag"; the docker driver knows: args, auth, ...`.
Result<DockerConfig> decode_docker_config(const Json& config);

}  // namespace sluice::drivers
