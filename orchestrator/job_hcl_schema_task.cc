// `task` (orchestrator/job_task.h), and `network`, which a group has too.
#include <set>

#include "orchestrator/job_hcl_schema.h"

namespace sluice::orchestrator {

using hcl::ArgumentSchema;
using hcl::BlockSchema;
using hcl::BodySchema;
using hcl::DecodedBody;
using hcl::not_ours;
using hcl::one_of;
using enum hcl::ArgumentType;
using enum hcl::BlockUse;

namespace {

constexpr std::string_view kChangeModes[] = {"noop", "restart", "signal", "script"};
constexpr std::string_view kHooks[] = {"prestart", "poststart", "poststop"};
constexpr std::string_view kArtifactModes[] = {"any", "file", "dir"};
constexpr std::string_view kPropagationModes[] = {"private", "host-to-task", "bidirectional"};

// ---- networks and resources ----

constexpr int64_t kMaxPort = 65535;

constexpr ArgumentSchema kPortArguments[] = {
    {"static", "Value", kWhole, 0, kMaxPort},
    {"to", "To", kWhole, -1, kMaxPort},
    {"host_network", "HostNetwork"},
    not_ours("ignore_collision", "IgnoreCollision", kBool),
};
constexpr BodySchema kPort = {kPortArguments, {}};
// A port with a static number is reserved, the others are given out.
Result<void> finish_network(DecodedBody& decoded) {
  const Json* ports = decoded.json.find("ports");
  if (!ports) return {};
  Json reserved = Json::array();
  Json dynamic = Json::array();
  std::set<std::string_view> labels;
  for (const Json& port : ports->as_array()) {
    std::string_view label = port.get_string("Label");
    if (!labels.insert(label).second) {
      return hcl::fail_at(decoded.place, "the network has the port \"{}\" twice", label);
    }
    (port.get_int("Value") > 0 ? reserved : dynamic).push(port);
  }
  decoded.json.erase("ports");
  if (reserved.size() > 0) decoded.json.set("ReservedPorts", std::move(reserved));
  if (dynamic.size() > 0) decoded.json.set("DynamicPorts", std::move(dynamic));
  return {};
}

constexpr ArgumentSchema kNetworkArguments[] = {
    {"mode", "Mode"},     not_ours("device", "Device"),     not_ours("cidr", "CIDR"),
    not_ours("ip", "IP"), not_ours("hostname", "Hostname"), {"mbits", "MBits", kWhole, 0},
};
constexpr BlockSchema kNetworkBlocks[] = {
    {"port", "ports", kRepeated, &kPort, "Label"},
    {"dns", "DNS", kRefused},
    {"cni", "CNI", kRefused},
};

constexpr ArgumentSchema kResourcesArguments[] = {
    {"cpu", "CPU", kWhole, 0},
    {"cores", "Cores", kWhole, 0},
    {"memory", "MemoryMB", kWhole, 0},
    {"memory_max", "MemoryMaxMB", kWhole, 0},
    {"disk", "DiskMB", kWhole, 0},
    not_ours("iops", "IOPS", kWhole),
    not_ours("secrets", "SecretsMB", kWhole),
};
constexpr BlockSchema kResourcesBlocks[] = {
    {"network", "Networks", kRepeated, &kNetworkSchema},
    {"device", "Devices", kRefused},
    {"numa", "NUMA", kRefused},
};
constexpr BodySchema kResources = {kResourcesArguments, kResourcesBlocks};

// ---- what is made ready for a task ----

constexpr ArgumentSchema kLifecycleArguments[] = {one_of("hook", "Hook", kHooks),
                                                  {"sidecar", "Sidecar", kBool}};
constexpr BodySchema kLifecycle = {kLifecycleArguments, {}};

Result<void> finish_logs(DecodedBody& decoded) {
  // The older name of the same switch.
  const Json* enabled = decoded.json.find("Enabled");
  if (!enabled) return {};
  bool disabled = !enabled->as_bool();
  decoded.json.erase("Enabled");
  if (!decoded.json.find("Disabled")) decoded.json.set("Disabled", disabled);
  return {};
}

constexpr ArgumentSchema kLogsArguments[] = {
    {"max_files", "MaxFiles", kWhole, 0},
    {"max_file_size", "MaxFileSizeMB", kWhole, 0},
    {"disabled", "Disabled", kBool},
    {"enabled", "Enabled", kBool},
};
constexpr BodySchema kLogs = {kLogsArguments, {}, finish_logs};

constexpr ArgumentSchema kArtifactArguments[] = {
    {"source", "GetterSource"},
    {"destination", "RelativeDest"},
    one_of("mode", "GetterMode", kArtifactModes),
    {"insecure", "GetterInsecure", kBool},
    {"options", "GetterOptions", kStringMap},
    {"headers", "GetterHeaders", kStringMap},
    not_ours("chown", "Chown", kBool),
};
constexpr BodySchema kArtifact = {kArtifactArguments, {}};

constexpr ArgumentSchema kTemplateArguments[] = {
    {"source", "SourcePath"},
    {"destination", "DestPath"},
    {"data", "EmbeddedTmpl"},
    one_of("change_mode", "ChangeMode", kChangeModes),
    {"change_signal", "ChangeSignal"},
    {"splay", "Splay", kDuration},
    {"perms", "Perms"},
    not_ours("uid", "Uid", kWhole),
    not_ours("gid", "Gid", kWhole),
    {"left_delimiter", "LeftDelim"},
    {"right_delimiter", "RightDelim"},
    {"env", "Envvars", kBool},
    not_ours("vault_grace", "VaultGrace", kDuration),
    {"error_on_missing_key", "ErrMissingKey", kBool},
    {"once", "Once", kBool},
};
constexpr BlockSchema kTemplateBlocks[] = {
    {"change_script", "ChangeScript", kRefused},
    {"wait", "Wait", kRefused},
};
constexpr BodySchema kTemplate = {kTemplateArguments, kTemplateBlocks};

constexpr ArgumentSchema kVolumeMountArguments[] = {
    {"volume", "Volume"},
    {"destination", "Destination"},
    {"read_only", "ReadOnly", kBool},
    one_of("propagation_mode", "PropagationMode", kPropagationModes),
    not_ours("selinux_label", "SELinuxLabel"),
};
constexpr BodySchema kVolumeMount = {kVolumeMountArguments, {}};

constexpr ArgumentSchema kDispatchPayloadArguments[] = {{"file", "File"}};
constexpr BodySchema kDispatchPayload = {kDispatchPayloadArguments, {}};

// ---- the task ----

constexpr ArgumentSchema kTaskArguments[] = {
    {"driver", "Driver"},
    {"user", "User"},
    {"env", "Env", kStringMap},
    {"meta", "Meta", kStringMap},
    {"kill_timeout", "KillTimeout", kDuration},
    {"kill_signal", "KillSignal"},
    {"shutdown_delay", "ShutdownDelay", kDuration},
    {"leader", "Leader", kBool},
    not_ours("kind", "Kind"),
};
constexpr BlockSchema kTaskBlocks[] = {
    {"config", "Config", kFreeForm},
    {"constraint", "Constraints", kRepeated, &kConstraintSchema},
    {"affinity", "Affinities", kRepeated, &kAffinitySchema},
    {"lifecycle", "Lifecycle", kOnce, &kLifecycle},
    {"service", "Services", kRepeated, &kServiceSchema},
    {"resources", "Resources", kOnce, &kResources},
    {"restart", "RestartPolicy", kOnce, &kRestartSchema},
    {"logs", "LogConfig", kOnce, &kLogs},
    {"artifact", "Artifacts", kRepeated, &kArtifact},
    {"template", "Templates", kRepeated, &kTemplate},
    {"volume_mount", "VolumeMounts", kRepeated, &kVolumeMount},
    {"dispatch_payload", "DispatchPayload", kOnce, &kDispatchPayload},
    {"scaling", "ScalingPolicies", kRefused},
    {"vault", "Vault", kRefused},
    {"consul", "Consul", kRefused},
    {"csi_plugin", "CSIPluginConfig", kRefused},
    {"identity", "Identities", kRefused},
    {"action", "Actions", kRefused},
    {"secret", "Secrets", kRefused},
    {"schedule", "Schedule", kRefused},
};

}  // namespace

constinit const BodySchema kNetworkSchema = {kNetworkArguments, kNetworkBlocks, finish_network};
constinit const BodySchema kTaskSchema = {kTaskArguments, kTaskBlocks};

}  // namespace sluice::orchestrator
