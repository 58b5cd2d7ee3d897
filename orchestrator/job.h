// long: the job language as one table of structs, in the order of the reference.
// Job: what the user asks for, in the shape of Nomad's API (reference: its JSON names and
// defaults).
//
// A Job is a value until it is registered; from then on it is shared as shared_ptr<const Job> by
// the job's version record and by every allocation made from it, and never changes.
//
// Life of a job file: HCL -> JSON (CLI) -> decode_job -> canonicalize -> validate -> Server.
// kUnset and empty optionals are gone after canonicalize() wherever a default exists.
// Durations are nanoseconds (`_ns`), as on the wire.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "core/result.h"
#include "orchestrator/fields.h"

namespace sluice::orchestrator {

using StringMap = std::map<std::string, std::string>;
using StringList = std::vector<std::string>;

inline constexpr int64_t kSecondNs = 1'000'000'000;
inline constexpr int64_t kMinuteNs = 60 * kSecondNs;
inline constexpr int64_t kHourNs = 60 * kMinuteNs;

inline constexpr std::string_view kTypeService = "service";
inline constexpr std::string_view kTypeBatch = "batch";
inline constexpr std::string_view kTypeSystem = "system";
inline constexpr std::string_view kTypeSysBatch = "sysbatch";

struct Constraint {
  static constexpr const char* kDiffName = "Constraint";
  std::string l_target;
  std::string r_target;
  std::string operand = "=";

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("LTarget", s.l_target);
    v("Operand", s.operand);
    v("RTarget", s.r_target);
  }
  bool operator==(const Constraint&) const = default;
};

struct Affinity {
  static constexpr const char* kDiffName = "Affinity";
  std::string l_target;
  std::string r_target;
  std::string operand = "=";
  int64_t weight = 50;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("LTarget", s.l_target);
    v("Operand", s.operand);
    v("RTarget", s.r_target);
    v("Weight", s.weight);
  }
  bool operator==(const Affinity&) const = default;
};

struct SpreadTarget {
  static constexpr const char* kDiffName = "SpreadTarget";
  std::string value;
  int64_t percent = 0;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("Percent", s.percent);
    v("Value", s.value);
  }
  bool operator==(const SpreadTarget&) const = default;
};

struct Spread {
  static constexpr const char* kDiffName = "Spread";
  std::string attribute;
  int64_t weight = 50;
  std::vector<SpreadTarget> targets;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("Attribute", s.attribute);
    v("Weight", s.weight);
    v("SpreadTarget", s.targets);
  }
  bool operator==(const Spread&) const = default;
};

struct RestartPolicy {
  static constexpr const char* kDiffName = "RestartPolicy";
  int64_t attempts = kUnset;
  int64_t interval_ns = kUnset;
  int64_t delay_ns = kUnset;
  std::string mode;  // "fail" or "delay"
  bool render_templates = false;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("Attempts", s.attempts);
    v("Delay", s.delay_ns);
    v("Interval", s.interval_ns);
    v("Mode", s.mode);
    v("RenderTemplates", s.render_templates);
  }
  bool operator==(const RestartPolicy&) const = default;
};

struct ReschedulePolicy {
  static constexpr const char* kDiffName = "ReschedulePolicy";
  int64_t attempts = kUnset;
  int64_t interval_ns = kUnset;
  int64_t delay_ns = kUnset;
  std::string delay_function;  // "constant", "exponential", "fibonacci"
  int64_t max_delay_ns = kUnset;
  std::optional<bool> unlimited;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("Attempts", s.attempts);
    v("Delay", s.delay_ns);
    v("DelayFunction", s.delay_function);
    v("Interval", s.interval_ns);
    v("MaxDelay", s.max_delay_ns);
    v("Unlimited", s.unlimited);
  }
  bool operator==(const ReschedulePolicy&) const = default;
};

/// `update` of a job or a group; canonicalize() merges the job's into each group's.
struct UpdateStrategy {
  static constexpr const char* kDiffName = "Update";
  int64_t stagger_ns = kUnset;
  int64_t max_parallel = kUnset;
  std::string health_check;  // "checks", "task_states", "manual"
  int64_t min_healthy_time_ns = kUnset;
  int64_t healthy_deadline_ns = kUnset;
  int64_t progress_deadline_ns = kUnset;
  int64_t canary = kUnset;
  std::optional<bool> auto_revert;
  std::optional<bool> auto_promote;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("AutoPromote", s.auto_promote);
    v("AutoRevert", s.auto_revert);
    v("Canary", s.canary);
    v("HealthCheck", s.health_check);
    v("HealthyDeadline", s.healthy_deadline_ns);
    v("MaxParallel", s.max_parallel);
    v("MinHealthyTime", s.min_healthy_time_ns);
    v("ProgressDeadline", s.progress_deadline_ns);
    v("Stagger", s.stagger_ns);
  }
  bool operator==(const UpdateStrategy&) const = default;
};

struct MigrateStrategy {
  static constexpr const char* kDiffName = "MigrateStrategy";
  int64_t max_parallel = 1;
  std::string health_check = "checks";
  int64_t min_healthy_time_ns = 10 * kSecondNs;
  int64_t healthy_deadline_ns = 5 * kMinuteNs;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("HealthCheck", s.health_check);
    v("HealthyDeadline", s.healthy_deadline_ns);
    v("MaxParallel", s.max_parallel);
    v("MinHealthyTime", s.min_healthy_time_ns);
  }
  bool operator==(const MigrateStrategy&) const = default;
};

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

struct CheckRestart {
  static constexpr const char* kDiffName = "CheckRestart";
  int64_t limit = 0;
  int64_t grace_ns = kSecondNs;
  bool ignore_warnings = false;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("Grace", s.grace_ns);
    v("IgnoreWarnings", s.ignore_warnings);
    v("Limit", s.limit);
  }
  bool operator==(const CheckRestart&) const = default;
};

struct Check {
  static constexpr const char* kDiffName = "Check";
  std::string name;
  std::string type;  // "http", "tcp", "script", "grpc"
  std::string command;
  StringList args;
  std::string path;
  std::string protocol;
  std::string port_label;
  std::string address_mode;
  int64_t interval_ns = 0;
  int64_t timeout_ns = 0;
  std::string initial_status;
  std::string notes;
  bool tls_skip_verify = false;
  std::string tls_server_name;
  std::string method;
  std::string body;
  std::map<std::string, StringList> header;
  std::optional<CheckRestart> check_restart;
  std::string grpc_service;
  bool grpc_use_tls = false;
  std::string task;
  int64_t success_before_passing = 0;
  int64_t failures_before_critical = 0;
  int64_t failures_before_warning = 0;
  std::string on_update;
  int64_t deregister_critical_service_after_ns = 0;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("AddressMode", s.address_mode);
    v("Args", s.args);
    v("Body", s.body);
    v("CheckRestart", s.check_restart);
    v("Command", s.command);
    v("DeregisterCriticalServiceAfter", s.deregister_critical_service_after_ns);
    v("FailuresBeforeCritical", s.failures_before_critical);
    v("FailuresBeforeWarning", s.failures_before_warning);
    v("GRPCService", s.grpc_service);
    v("GRPCUseTLS", s.grpc_use_tls);
    v("Header", s.header);
    v("InitialStatus", s.initial_status);
    v("Interval", s.interval_ns);
    v("Method", s.method);
    v("Name", s.name);
    v("Notes", s.notes);
    v("OnUpdate", s.on_update);
    v("Path", s.path);
    v("PortLabel", s.port_label);
    v("Protocol", s.protocol);
    v("SuccessBeforePassing", s.success_before_passing);
    v("TLSServerName", s.tls_server_name);
    v("TLSSkipVerify", s.tls_skip_verify);
    v("TaskName", s.task);
    v("Timeout", s.timeout_ns);
    v("Type", s.type);
    v.unsupported("Advertise");
    v.unsupported("Expose");
  }
  bool operator==(const Check&) const = default;
};

struct Weights {
  static constexpr const char* kDiffName = "Weights";
  int64_t passing = 1;
  int64_t warning = 1;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("Passing", s.passing);
    v("Warning", s.warning);
  }
  bool operator==(const Weights&) const = default;
};

struct Service {
  static constexpr const char* kDiffName = "Service";
  std::string name;
  std::string port_label;
  std::string address_mode;
  std::string address;
  StringList tags;
  StringList canary_tags;
  StringMap meta;
  StringMap canary_meta;
  StringMap tagged_addresses;
  bool enable_tag_override = false;
  std::vector<Check> checks;
  std::optional<CheckRestart> check_restart;
  std::string task;
  std::string on_update;
  std::string provider;  // "", "consul", "nomad": whichever the agent's catalog is
  std::string cluster;   // of Consul; there is one
  std::optional<Weights> weights;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("Address", s.address);
    v("AddressMode", s.address_mode);
    v("CanaryMeta", s.canary_meta);
    v("CanaryTags", s.canary_tags);
    v("CheckRestart", s.check_restart);
    v("Checks", s.checks);
    v("Cluster", s.cluster);
    v("EnableTagOverride", s.enable_tag_override);
    v("Meta", s.meta);
    v("Name", s.name);
    v("OnUpdate", s.on_update);
    v("PortLabel", s.port_label);
    v("Provider", s.provider);
    v("TaggedAddresses", s.tagged_addresses);
    v("Tags", s.tags);
    v("TaskName", s.task);
    v("Weights", s.weights);
    v.unsupported("Connect");
    v.unsupported("Identity");
    v.unsupported("Kind");
  }
  bool operator==(const Service&) const = default;
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

struct Volume {
  static constexpr const char* kDiffName = "Volume";
  std::string name;
  std::string type = "host";
  std::string source;
  bool read_only = false;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("Name", s.name);
    v("ReadOnly", s.read_only);
    v("Source", s.source);
    v("Type", s.type);
    v.unsupported("AccessMode");
    v.unsupported("AttachmentMode");
    v.unsupported("MountOptions");
    v.unsupported("PerAlloc");
    v.unsupported("Sticky");
  }
  bool operator==(const Volume&) const = default;
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

struct EphemeralDisk {
  static constexpr const char* kDiffName = "EphemeralDisk";
  bool sticky = false;
  int64_t size_mb = 300;
  bool migrate = false;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("Migrate", s.migrate);
    v("SizeMB", s.size_mb);
    v("Sticky", s.sticky);
  }
  bool operator==(const EphemeralDisk&) const = default;
};

struct Scaling {
  static constexpr const char* kDiffName = "Scaling";
  std::string type = "horizontal";
  int64_t min = kUnset;
  int64_t max = kUnset;
  bool enabled = true;
  Json policy;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("Enabled", s.enabled);
    v("Max", s.max);
    v("Min", s.min);
    v("Policy", s.policy);
    v("Type", s.type);
  }
  bool operator==(const Scaling&) const = default;
};

/// Tasks that run together on one node; `count` instances of it.
struct TaskGroup {
  static constexpr const char* kDiffName = "TaskGroup";
  std::string name;
  int64_t count = kUnset;
  std::vector<TaskConfig> tasks;
  std::vector<Constraint> constraints;
  std::vector<Affinity> affinities;
  std::vector<Spread> spreads;
  std::map<std::string, Volume> volumes;
  std::optional<RestartPolicy> restart;
  std::optional<ReschedulePolicy> reschedule;
  std::optional<EphemeralDisk> ephemeral_disk;
  std::optional<UpdateStrategy> update;
  std::optional<MigrateStrategy> migrate;
  std::vector<Network> networks;
  std::vector<Service> services;
  StringMap meta;
  int64_t shutdown_delay_ns = 0;
  std::optional<Scaling> scaling;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("Affinities", s.affinities);
    v("Constraints", s.constraints);
    v("Count", s.count);
    v("EphemeralDisk", s.ephemeral_disk);
    v("Meta", s.meta);
    v("Migrate", s.migrate);
    v("Name", s.name);
    v("Networks", s.networks);
    v("ReschedulePolicy", s.reschedule);
    v("RestartPolicy", s.restart);
    v("Scaling", s.scaling);
    v("Services", s.services);
    v("ShutdownDelay", s.shutdown_delay_ns);
    v("Spreads", s.spreads);
    v("Tasks", s.tasks);
    v("Update", s.update);
    v("Volumes", s.volumes);
    v.unsupported("Consul");
    v.unsupported("Disconnect");
    v.unsupported("MaxClientDisconnect");
    v.unsupported("MaxRunDuration");
    v.unsupported("StopAfterClientDisconnect");
    v.unsupported("PreventRescheduleOnLost");
  }
  const TaskConfig* task(std::string_view task_name) const;
  bool operator==(const TaskGroup&) const = default;
};

struct Periodic {
  static constexpr const char* kDiffName = "Periodic";
  bool enabled = true;
  std::string spec;
  StringList specs;
  std::string spec_type = "cron";
  bool prohibit_overlap = false;
  std::string time_zone = "UTC";

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("Enabled", s.enabled);
    v("ProhibitOverlap", s.prohibit_overlap);
    v("Spec", s.spec);
    v("SpecType", s.spec_type);
    v("Specs", s.specs);
    v("TimeZone", s.time_zone);
  }
  bool operator==(const Periodic&) const = default;
};

struct Parameterized {
  static constexpr const char* kDiffName = "ParameterizedJob";
  std::string payload = "optional";  // "required", "forbidden"
  StringList meta_required;
  StringList meta_optional;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("MetaOptional", s.meta_optional);
    v("MetaRequired", s.meta_required);
    v("Payload", s.payload);
  }
  bool operator==(const Parameterized&) const = default;
};

struct Job {
  static constexpr const char* kDiffName = "Job";
  std::string id;
  std::string name;
  std::string region;
  std::string namespace_;
  std::string type;
  int64_t priority = kUnset;
  bool all_at_once = false;
  StringList datacenters;
  std::string node_pool;
  std::vector<Constraint> constraints;
  std::vector<Affinity> affinities;
  std::vector<Spread> spreads;
  std::vector<TaskGroup> groups;
  std::optional<UpdateStrategy> update;
  std::optional<ReschedulePolicy> reschedule;
  std::optional<MigrateStrategy> migrate;
  std::optional<Periodic> periodic;
  std::optional<Parameterized> parameterized;
  StringMap meta;
  bool dispatched = false;
  std::optional<std::string> payload;  // of a dispatched child, base64
  std::string parent_id;
  /// A ConsulToken came with it; it is not kept (a secret), and nothing here asks for it.
  bool consul_token_given = false;

  // The server's own.
  int64_t periodic_launch_ns = 0;  // of a periodic job: its last launch
  bool stop = false;
  bool stable = false;
  int64_t version = 0;
  int64_t submit_time_ns = 0;
  uint64_t create_index = 0;
  uint64_t modify_index = 0;      // any change of the record
  uint64_t job_modify_index = 0;  // a change of what the user said; what -check-index compares

  template <class V, class S>
  static void fields(V& v, S& s) {
    v.meta("ID", s.id);
    v("Affinities", s.affinities);
    v("AllAtOnce", s.all_at_once);
    v("Constraints", s.constraints);
    v("Datacenters", s.datacenters);
    v("Dispatched", s.dispatched);
    v("Meta", s.meta);
    v("Name", s.name);
    v("Namespace", s.namespace_);
    v("NodePool", s.node_pool);
    v("ParameterizedJob", s.parameterized);
    v("ParentID", s.parent_id);
    v.meta("Payload", s.payload);
    v("Periodic", s.periodic);
    v("Priority", s.priority);
    v("Region", s.region);
    v("Spreads", s.spreads);
    v("TaskGroups", s.groups);
    v("Type", s.type);
    // canonicalize() has merged these into the groups, where they are compared.
    v.meta("Update", s.update);
    v.meta("Reschedule", s.reschedule);
    v.meta("Migrate", s.migrate);
    v.meta("Stop", s.stop);
    v.meta("Stable", s.stable);
    v.meta("Version", s.version);
    v.meta("SubmitTime", s.submit_time_ns);
    v.meta("CreateIndex", s.create_index);
    v.meta("ModifyIndex", s.modify_index);
    v.meta("JobModifyIndex", s.job_modify_index);
    v.meta("PeriodicLaunch", s.periodic_launch_ns);
    v.unsupported("Multiregion");
    v.unsupported("UI");
    v.unsupported("VaultToken");
  }

  bool is_system() const { return type == kTypeSystem || type == kTypeSysBatch; }
  bool is_batch() const { return type == kTypeBatch || type == kTypeSysBatch; }
  /// A periodic or parameterized parent: it makes children and has no allocations of its own.
  bool is_template() const { return periodic.has_value() || (parameterized && !dispatched); }
  const TaskGroup* group(std::string_view group_name) const;
};

using JobPtr = std::shared_ptr<const Job>;

/// Everything that is wrong with the input, each message naming its place
/// (`group "web" task "srv": driver is missing`). Empty: fine.
using Problems = std::vector<std::string>;

/// From Nomad's API form: the job object itself, without the `{"Job": ...}` around it. null is
/// unset, unknown keys are passed over, a wrong type or a feature known and not supported is
/// refused by name.
Result<Job> decode_job(const Json& json);
void write_job(JsonWriter& out, const Job& job);

/// Fills every default; idempotent. Accepts anything that decode_job gives.
void canonicalize(Job& job);
/// Of a canonical job. `drivers`: the names the cluster can run; empty: any.
Problems validate(const Job& job, const StringList& drivers = {});
/// What is allowed and still worth saying (mbits not enforced, ...).
Problems warnings(const Job& job);

/// Whether the user said the same thing: everything but the server's own fields.
bool same_spec(const Job& a, const Job& b);

}  // namespace sluice::orchestrator
