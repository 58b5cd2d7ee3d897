// A task of a job: one process or container, with what it takes and what is made ready for it
// (orchestrator/job.h).
//
// Values without behaviour; whose they are, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/json.h"
#include "orchestrator/fields.h"
#include "orchestrator/job_policies.h"
#include "orchestrator/job_service.h"

namespace sluice::orchestrator {

struct Port {
  static constexpr const char* kDiffName = "Port";
  std::string label;
  int64_t value = 0;  // static port; 0 in a dynamic one
  int64_t to = 0;  // inside the task; 0: the driver's port_map decides, -1: the same as the host's
  std::string host_network;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("Label", s.label);
    v("To", s.to);
    v("Value", s.value);
    v("HostNetwork", s.host_network);
    v.unsupported("IgnoreCollision");
  }
  bool operator==(const Port&) const = default;
};

struct Network {
  static constexpr const char* kDiffName = "Network";
  std::string mode;  // "" (host), "host", "none", "bridge"
  std::string device;
  std::string cidr;
  std::string ip;
  int64_t mbits = 0;  // accepted (2019 files), not enforced
  std::string hostname;
  std::vector<Port> reserved_ports;
  std::vector<Port> dynamic_ports;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("Mode", s.mode);
    v("Device", s.device);
    v("CIDR", s.cidr);
    v("IP", s.ip);
    v("MBits", s.mbits);
    v("Hostname", s.hostname);
    v("ReservedPorts", s.reserved_ports);
    v("DynamicPorts", s.dynamic_ports);
    v.unsupported("DNS");
    v.unsupported("CNI");
  }
  bool operator==(const Network&) const = default;
};

struct Resources {
  static constexpr const char* kDiffName = "Resources";
  int64_t cpu_mhz = kUnset;
  int64_t cores = 0;
  int64_t memory_mb = kUnset;
  int64_t memory_max_mb = 0;
  int64_t disk_mb = 0;
  std::vector<Network> networks;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("CPU", s.cpu_mhz);
    v("Cores", s.cores);
    v("DiskMB", s.disk_mb);
    v("MemoryMB", s.memory_mb);
    v("MemoryMaxMB", s.memory_max_mb);
    v("Networks", s.networks);
    v.unsupported("Devices");
    v.unsupported("IOPS");
    v.unsupported("NUMA");
    v.unsupported("SecretsMB");
  }
  bool operator==(const Resources&) const = default;
};

struct LogConfig {
  static constexpr const char* kDiffName = "LogConfig";
  int64_t max_files = 10;
  int64_t max_file_size_mb = 10;
  bool disabled = false;
  std::optional<bool> enabled;  // an older name of the opposite; canonicalize() takes it in

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("Disabled", s.disabled);
    v("Enabled", s.enabled);
    v("MaxFileSizeMB", s.max_file_size_mb);
    v("MaxFiles", s.max_files);
  }
  bool operator==(const LogConfig&) const = default;
};

struct Artifact {
  static constexpr const char* kDiffName = "Artifact";
  std::string source;
  StringMap options;
  StringMap headers;
  std::string mode = "any";
  bool insecure = false;
  std::string destination = "local/";

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("GetterHeaders", s.headers);
    v("GetterInsecure", s.insecure);
    v("GetterMode", s.mode);
    v("GetterOptions", s.options);
    v("GetterSource", s.source);
    v("RelativeDest", s.destination);
    v.unsupported("Chown");
  }
  bool operator==(const Artifact&) const = default;
};

struct Template {
  static constexpr const char* kDiffName = "Template";
  std::string source_path;
  std::string dest_path;
  std::string data;
  std::string change_mode = "restart";
  std::string change_signal;
  int64_t splay_ns = 5 * kSecondNs;
  std::string perms = "0644";
  std::string left_delim = "{{";
  std::string right_delim = "}}";
  bool env = false;
  bool error_on_missing_key = false;
  bool once = false;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("ChangeMode", s.change_mode);
    v("ChangeSignal", s.change_signal);
    v("DestPath", s.dest_path);
    v("EmbeddedTmpl", s.data);
    v("Envvars", s.env);
    v("ErrMissingKey", s.error_on_missing_key);
    v("LeftDelim", s.left_delim);
    v("Once", s.once);
    v("Perms", s.perms);
    v("RightDelim", s.right_delim);
    v("SourcePath", s.source_path);
    v("Splay", s.splay_ns);
    v.unsupported("ChangeScript");
    v.unsupported("VaultGrace");
    v.unsupported("Wait");
    v.unsupported("Uid");
    v.unsupported("Gid");
  }
  bool operator==(const Template&) const = default;
};

struct VolumeMount {
  static constexpr const char* kDiffName = "VolumeMount";
  std::string volume;
  std::string destination;
  bool read_only = false;
  std::string propagation_mode = "private";

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("Destination", s.destination);
    v("PropagationMode", s.propagation_mode);
    v("ReadOnly", s.read_only);
    v("Volume", s.volume);
    v.unsupported("SELinuxLabel");
  }
  bool operator==(const VolumeMount&) const = default;
};

struct Lifecycle {
  static constexpr const char* kDiffName = "Lifecycle";
  std::string hook;  // "prestart", "poststart", "poststop"
  bool sidecar = false;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("Hook", s.hook);
    v("Sidecar", s.sidecar);
  }
  bool operator==(const Lifecycle&) const = default;
};

struct DispatchPayload {
  static constexpr const char* kDiffName = "DispatchPayload";
  std::string file;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("File", s.file);
  }
  bool operator==(const DispatchPayload&) const = default;
};

/// One process or container of a group.
struct TaskConfig {
  static constexpr const char* kDiffName = "Task";
  std::string name;
  std::string driver;
  std::string user;
  Json config;  // the driver's own block, an object
  StringMap env;
  StringMap meta;
  std::vector<Service> services;
  std::vector<Constraint> constraints;
  std::vector<Affinity> affinities;
  std::optional<Resources> resources;
  std::optional<RestartPolicy> restart;
  std::optional<LogConfig> log;
  std::vector<Artifact> artifacts;
  std::vector<Template> templates;
  std::vector<VolumeMount> volume_mounts;
  std::optional<Lifecycle> lifecycle;
  std::optional<DispatchPayload> dispatch_payload;
  int64_t kill_timeout_ns = 5 * kSecondNs;
  std::string kill_signal;
  int64_t shutdown_delay_ns = 0;
  bool leader = false;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("Affinities", s.affinities);
    v("Artifacts", s.artifacts);
    v("Config", s.config);
    v("Constraints", s.constraints);
    v("DispatchPayload", s.dispatch_payload);
    v("Driver", s.driver);
    v("Env", s.env);
    v("KillSignal", s.kill_signal);
    v("KillTimeout", s.kill_timeout_ns);
    v("Leader", s.leader);
    v("Lifecycle", s.lifecycle);
    v("LogConfig", s.log);
    v("Meta", s.meta);
    v("Name", s.name);
    v("Resources", s.resources);
    v("RestartPolicy", s.restart);
    v("Services", s.services);
    v("ShutdownDelay", s.shutdown_delay_ns);
    v("Templates", s.templates);
    v("User", s.user);
    v("VolumeMounts", s.volume_mounts);
    v.unsupported("Vault");
    v.unsupported("Consul");
    v.unsupported("CSIPluginConfig");
    v.unsupported("ScalingPolicies");
    v.unsupported("Secrets");
    v.unsupported("Identities");
    v.unsupported("Identity");
    v.unsupported("Actions");
    v.unsupported("Schedule");
    v.unsupported("Kind");
  }
  bool operator==(const TaskConfig&) const = default;
};

}  // namespace sluice::orchestrator
