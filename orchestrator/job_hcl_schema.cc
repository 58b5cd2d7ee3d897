// long: one table of names, which a reader searches; cut up it would only be harder to search.
#include "orchestrator/job_hcl_schema.h"

#include <set>

namespace sluice::orchestrator {

namespace {

using hcl::ArgumentSchema;
using hcl::ArgumentType;
using hcl::BlockSchema;
using hcl::BlockUse;
using hcl::BodySchema;
using hcl::DecodedBody;
using hcl::one_of;
using enum hcl::ArgumentType;
using enum hcl::BlockUse;

// ---- words that some arguments are one of ----

constexpr std::string_view kOperators[] = {"=",
                                           "==",
                                           "is",
                                           "!=",
                                           "not",
                                           ">",
                                           ">=",
                                           "<",
                                           "<=",
                                           "regexp",
                                           "version",
                                           "semver",
                                           "set_contains",
                                           "set_contains_all",
                                           "set_contains_any",
                                           "distinct_hosts",
                                           "distinct_property",
                                           "is_set",
                                           "is_not_set"};
constexpr std::string_view kHealthChecks[] = {"checks", "task_states", "manual"};
constexpr std::string_view kRestartModes[] = {"fail", "delay"};
constexpr std::string_view kDelayFunctions[] = {"constant", "exponential", "fibonacci"};
constexpr std::string_view kChangeModes[] = {"noop", "restart", "signal", "script"};
constexpr std::string_view kAddressModes[] = {"auto", "alloc", "driver", "host"};
constexpr std::string_view kCheckTypes[] = {"http", "tcp", "script", "grpc"};
constexpr std::string_view kCheckStates[] = {"passing", "warning", "critical"};
constexpr std::string_view kOnUpdates[] = {"require_healthy", "ignore_warnings", "ignore"};
constexpr std::string_view kProviders[] = {"consul", "nomad"};
constexpr std::string_view kHooks[] = {"prestart", "poststart", "poststop"};
constexpr std::string_view kArtifactModes[] = {"any", "file", "dir"};
constexpr std::string_view kPropagationModes[] = {"private", "host-to-task", "bidirectional"};
constexpr std::string_view kVolumeTypes[] = {"host", "csi"};
constexpr std::string_view kReconciles[] = {"keep_original", "keep_replacement", "best_score",
                                            "longest_running"};
constexpr std::string_view kPayloads[] = {"optional", "required", "forbidden"};
constexpr std::string_view kJobTypes[] = {"service", "batch", "system", "sysbatch"};

// ---- what every level shares ----

// A constraint's operator may be given as an argument of that name, with the right side as its
// value.
constexpr std::string_view kShortOperators[] = {
    "version",          "semver", "regexp",     "set_contains",   "set_contains_all",
    "set_contains_any", "is_set", "is_not_set", "distinct_hosts", "distinct_property"};

Result<void> finish_comparison(DecodedBody& decoded) {
  for (std::string_view name : kShortOperators) {
    const Json* value = decoded.json.find(name);
    if (!value) continue;
    Json taken = *value;
    decoded.json.erase(name);
    bool on = taken.is_bool() ? taken.as_bool() : !taken.as_string().empty();
    if (!on) continue;
    bool left_side = name == "distinct_property" || name == "is_set" || name == "is_not_set";
    if (taken.is_string() && left_side) {
      decoded.json.set("LTarget", std::move(taken));
    } else if (taken.is_string()) {
      decoded.json.set("RTarget", std::move(taken));
    }
    decoded.json.set("Operand", name);
  }
  if (decoded.json.get_string("Operand").empty()) decoded.json.set("Operand", "=");
  return {};
}

constexpr ArgumentSchema kConstraintArguments[] = {
    {"attribute", "LTarget"},
    {"value", "RTarget"},
    one_of("operator", "Operand", kOperators),
    {"version", "version"},
    {"semver", "semver"},
    {"regexp", "regexp"},
    {"set_contains", "set_contains"},
    {"set_contains_all", "set_contains_all"},
    {"set_contains_any", "set_contains_any"},
    {"is_set", "is_set"},
    {"is_not_set", "is_not_set"},
    {"distinct_hosts", "distinct_hosts", kBool},
    {"distinct_property", "distinct_property"},
};
constexpr BodySchema kConstraint = {kConstraintArguments, {}, finish_comparison};

constexpr ArgumentSchema kAffinityArguments[] = {
    {"attribute", "LTarget"},
    {"value", "RTarget"},
    one_of("operator", "Operand", kOperators),
    {"weight", "Weight", kWhole, -100, 100},
    {"version", "version"},
    {"semver", "semver"},
    {"regexp", "regexp"},
    {"set_contains", "set_contains"},
    {"set_contains_all", "set_contains_all"},
    {"set_contains_any", "set_contains_any"},
};
constexpr BodySchema kAffinity = {kAffinityArguments, {}, finish_comparison};

constexpr ArgumentSchema kTargetArguments[] = {{"percent", "Percent", kWhole, 0, 100}};
constexpr BodySchema kTarget = {kTargetArguments, {}};
constexpr ArgumentSchema kSpreadArguments[] = {{"attribute", "Attribute"},
                                               {"weight", "Weight", kWhole, -100, 100}};
constexpr BlockSchema kSpreadBlocks[] = {
    {"target", "SpreadTarget", kRepeated, &kTarget, "Value"},
};
constexpr BodySchema kSpread = {kSpreadArguments, kSpreadBlocks};

constexpr ArgumentSchema kUpdateArguments[] = {
    {"stagger", "Stagger", kDuration},
    {"max_parallel", "MaxParallel", kWhole, 0},
    one_of("health_check", "HealthCheck", kHealthChecks),
    {"min_healthy_time", "MinHealthyTime", kDuration},
    {"healthy_deadline", "HealthyDeadline", kDuration},
    {"progress_deadline", "ProgressDeadline", kDuration},
    {"canary", "Canary", kWhole, 0},
    {"auto_revert", "AutoRevert", kBool},
    {"auto_promote", "AutoPromote", kBool},
};
constexpr BodySchema kUpdate = {kUpdateArguments, {}};

constexpr ArgumentSchema kMigrateArguments[] = {
    {"max_parallel", "MaxParallel", kWhole, 0},
    one_of("health_check", "HealthCheck", kHealthChecks),
    {"min_healthy_time", "MinHealthyTime", kDuration},
    {"healthy_deadline", "HealthyDeadline", kDuration},
};
constexpr BodySchema kMigrate = {kMigrateArguments, {}};

constexpr ArgumentSchema kRestartArguments[] = {
    {"attempts", "Attempts", kWhole, 0},
    {"interval", "Interval", kDuration},
    {"delay", "Delay", kDuration},
    one_of("mode", "Mode", kRestartModes),
    {"render_templates", "RenderTemplates", kBool},
};
constexpr BodySchema kRestart = {kRestartArguments, {}};

constexpr ArgumentSchema kRescheduleArguments[] = {
    {"attempts", "Attempts", kWhole, 0},
    {"interval", "Interval", kDuration},
    {"delay", "Delay", kDuration},
    one_of("delay_function", "DelayFunction", kDelayFunctions),
    {"max_delay", "MaxDelay", kDuration},
    {"unlimited", "Unlimited", kBool},
};
constexpr BodySchema kReschedule = {kRescheduleArguments, {}};

Result<void> finish_vault(DecodedBody& decoded) {
  if (!decoded.json.find("Env")) decoded.json.set("Env", true);
  if (!decoded.json.find("ChangeMode")) decoded.json.set("ChangeMode", "restart");
  return {};
}

constexpr ArgumentSchema kVaultArguments[] = {
    {"policies", "Policies", kStrings},
    {"role", "Role"},
    {"namespace", "Namespace"},
    {"cluster", "Cluster"},
    {"env", "Env", kBool},
    {"disable_file", "DisableFile", kBool},
    one_of("change_mode", "ChangeMode", kChangeModes),
    {"change_signal", "ChangeSignal"},
    {"allow_token_expiration", "AllowTokenExpiration", kBool},
};
constexpr BodySchema kVault = {kVaultArguments, {}, finish_vault};

constexpr ArgumentSchema kConsulArguments[] = {
    {"namespace", "Namespace"}, {"cluster", "Cluster"}, {"partition", "Partition"}};
constexpr BodySchema kConsul = {kConsulArguments, {}};

// ---- networks ----

constexpr int64_t kMaxPort = 65535;

constexpr ArgumentSchema kPortArguments[] = {
    {"static", "Value", kWhole, 0, kMaxPort},
    {"to", "To", kWhole, -1, kMaxPort},
    {"host_network", "HostNetwork"},
    {"ignore_collision", "IgnoreCollision", kBool},
};
constexpr BodySchema kPort = {kPortArguments, {}};
constexpr ArgumentSchema kDnsArguments[] = {
    {"servers", "Servers", kStrings},
    {"searches", "Searches", kStrings},
    {"options", "Options", kStrings},
};
constexpr BodySchema kDns = {kDnsArguments, {}};
constexpr ArgumentSchema kCniArguments[] = {{"args", "Args", kStringMap}};
constexpr BodySchema kCni = {kCniArguments, {}};

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
    {"mode", "Mode"}, {"device", "Device"},     {"cidr", "CIDR"},
    {"ip", "IP"},     {"hostname", "Hostname"}, {"mbits", "MBits", kWhole, 0},
};
constexpr BlockSchema kNetworkBlocks[] = {
    {"port", "ports", kRepeated, &kPort, "Label"},
    {"dns", "DNS", kOnce, &kDns},
    {"cni", "CNI", kOnce, &kCni},
};
constexpr BodySchema kNetwork = {kNetworkArguments, kNetworkBlocks, finish_network};

constexpr ArgumentSchema kDeviceArguments[] = {{"count", "Count", kWhole, 0}};
constexpr BlockSchema kDeviceBlocks[] = {
    {"constraint", "Constraints", kRepeated, &kConstraint},
    {"affinity", "Affinities", kRepeated, &kAffinity},
};
constexpr BodySchema kDevice = {kDeviceArguments, kDeviceBlocks};
constexpr ArgumentSchema kNumaArguments[] = {{"affinity", "Affinity"},
                                             {"devices", "Devices", kStrings}};
constexpr BodySchema kNuma = {kNumaArguments, {}};

constexpr ArgumentSchema kResourcesArguments[] = {
    {"cpu", "CPU", kWhole, 0},           {"cores", "Cores", kWhole, 0},
    {"memory", "MemoryMB", kWhole, 0},   {"memory_max", "MemoryMaxMB", kWhole, 0},
    {"disk", "DiskMB", kWhole, 0},       {"iops", "IOPS", kWhole, 0},
    {"secrets", "SecretsMB", kWhole, 0},
};
constexpr BlockSchema kResourcesBlocks[] = {
    {"network", "Networks", kRepeated, &kNetwork},
    {"device", "Devices", kRepeated, &kDevice, "Name"},
    {"numa", "NUMA", kOnce, &kNuma},
};
constexpr BodySchema kResources = {kResourcesArguments, kResourcesBlocks};

// ---- services ----

constexpr ArgumentSchema kCheckRestartArguments[] = {
    {"limit", "Limit", kWhole, 0},
    {"grace", "Grace", kDuration},
    {"ignore_warnings", "IgnoreWarnings", kBool},
};
constexpr BodySchema kCheckRestart = {kCheckRestartArguments, {}};

constexpr ArgumentSchema kCheckArguments[] = {
    {"name", "Name"},
    one_of("type", "Type", kCheckTypes),
    {"command", "Command"},
    {"args", "Args", kStrings},
    {"path", "Path"},
    {"protocol", "Protocol"},
    {"port", "PortLabel"},
    {"expose", "Expose", kBool},
    one_of("address_mode", "AddressMode", kAddressModes),
    {"advertise", "Advertise"},
    {"interval", "Interval", kDuration},
    {"timeout", "Timeout", kDuration},
    one_of("initial_status", "InitialStatus", kCheckStates),
    {"notes", "Notes"},
    {"tls_server_name", "TLSServerName"},
    {"tls_skip_verify", "TLSSkipVerify", kBool},
    {"header", "Header", kStringListMap},
    {"method", "Method"},
    {"body", "Body"},
    {"grpc_service", "GRPCService"},
    {"grpc_use_tls", "GRPCUseTLS", kBool},
    {"task", "TaskName"},
    {"success_before_passing", "SuccessBeforePassing", kWhole, 0},
    {"failures_before_critical", "FailuresBeforeCritical", kWhole, 0},
    {"failures_before_warning", "FailuresBeforeWarning", kWhole, 0},
    {"deregister_critical_service_after", "DeregisterCriticalServiceAfter", kDuration},
    one_of("on_update", "OnUpdate", kOnUpdates),
};
constexpr BlockSchema kCheckBlocks[] = {
    {"check_restart", "CheckRestart", kOnce, &kCheckRestart},
};
constexpr BodySchema kCheck = {kCheckArguments, kCheckBlocks};

constexpr ArgumentSchema kWeightsArguments[] = {{"passing", "Passing", kWhole, 0},
                                                {"warning", "Warning", kWhole, 0}};
constexpr BodySchema kWeights = {kWeightsArguments, {}};

constexpr ArgumentSchema kServiceArguments[] = {
    {"name", "Name"},
    {"tags", "Tags", kStrings},
    {"canary_tags", "CanaryTags", kStrings},
    {"enable_tag_override", "EnableTagOverride", kBool},
    {"port", "PortLabel"},
    one_of("address_mode", "AddressMode", kAddressModes),
    {"address", "Address"},
    {"meta", "Meta", kStringMap},
    {"canary_meta", "CanaryMeta", kStringMap},
    {"tagged_addresses", "TaggedAddresses", kStringMap},
    {"task", "TaskName"},
    one_of("on_update", "OnUpdate", kOnUpdates),
    one_of("provider", "Provider", kProviders),
    {"cluster", "Cluster"},
    {"kind", "Kind"},
};
constexpr BlockSchema kServiceBlocks[] = {
    {"check", "Checks", kRepeated, &kCheck},
    {"check_restart", "CheckRestart", kOnce, &kCheckRestart},
    {"weights", "Weights", kOnce, &kWeights},
    {"connect", "Connect", kRefused},
    {"identity", "Identity", kRefused},
};
constexpr BodySchema kService = {kServiceArguments, kServiceBlocks};

// ---- tasks ----

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
    {"chown", "Chown", kBool},
};
constexpr BodySchema kArtifact = {kArtifactArguments, {}};

constexpr ArgumentSchema kWaitArguments[] = {{"min", "Min", kDuration}, {"max", "Max", kDuration}};
constexpr BodySchema kWait = {kWaitArguments, {}};
constexpr ArgumentSchema kChangeScriptArguments[] = {
    {"command", "Command"},
    {"args", "Args", kStrings},
    {"timeout", "Timeout", kDuration},
    {"fail_on_error", "FailOnError", kBool},
};
constexpr BodySchema kChangeScript = {kChangeScriptArguments, {}};

constexpr ArgumentSchema kTemplateArguments[] = {
    {"source", "SourcePath"},
    {"destination", "DestPath"},
    {"data", "EmbeddedTmpl"},
    one_of("change_mode", "ChangeMode", kChangeModes),
    {"change_signal", "ChangeSignal"},
    {"splay", "Splay", kDuration},
    {"perms", "Perms"},
    {"uid", "Uid", kWhole},
    {"gid", "Gid", kWhole},
    {"left_delimiter", "LeftDelim"},
    {"right_delimiter", "RightDelim"},
    {"env", "Envvars", kBool},
    {"vault_grace", "VaultGrace", kDuration},
    {"error_on_missing_key", "ErrMissingKey", kBool},
    {"once", "Once", kBool},
};
constexpr BlockSchema kTemplateBlocks[] = {
    {"change_script", "ChangeScript", kOnce, &kChangeScript},
    {"wait", "Wait", kOnce, &kWait},
};
constexpr BodySchema kTemplate = {kTemplateArguments, kTemplateBlocks};

constexpr ArgumentSchema kVolumeMountArguments[] = {
    {"volume", "Volume"},
    {"destination", "Destination"},
    {"read_only", "ReadOnly", kBool},
    one_of("propagation_mode", "PropagationMode", kPropagationModes),
    {"selinux_label", "SELinuxLabel"},
};
constexpr BodySchema kVolumeMount = {kVolumeMountArguments, {}};

constexpr ArgumentSchema kDispatchPayloadArguments[] = {{"file", "File"}};
constexpr BodySchema kDispatchPayload = {kDispatchPayloadArguments, {}};

constexpr ArgumentSchema kScalingArguments[] = {
    {"type", "Type"},
    {"min", "Min", kWhole, 0},
    {"max", "Max", kWhole, 0},
    {"enabled", "Enabled", kBool},
};
constexpr BlockSchema kScalingBlocks[] = {{"policy", "Policy", kFreeForm}};
constexpr BodySchema kTaskScaling = {kScalingArguments, kScalingBlocks};

constexpr std::string_view kGroupScalingType = "horizontal";

Result<void> finish_group_scaling(DecodedBody& decoded) {
  if (!decoded.json.find("Max")) {
    return hcl::fail_at(decoded.body.end, "scaling: expected max = ... in it");
  }
  if (decoded.json.get_string("Type", kGroupScalingType) != kGroupScalingType) {
    return hcl::fail_at(decoded.place, "scaling: the type of a group's is \"{}\"",
                        kGroupScalingType);
  }
  decoded.json.set("Type", kGroupScalingType);
  return {};
}
constexpr BodySchema kGroupScaling = {kScalingArguments, kScalingBlocks, finish_group_scaling};

Result<void> finish_task(DecodedBody& decoded) {
  Json* policies = decoded.json.find("ScalingPolicies");
  if (!policies) return {};
  for (Json& policy : policies->as_array()) {
    std::string_view label = policy.get_string("label");
    if (label != "cpu" && label != "mem") {
      return hcl::fail_at(decoded.place, "scaling \"{}\": a task's is \"cpu\" or \"mem\"", label);
    }
    std::string type = fmt::format("vertical_{}", label);
    policy.erase("label");
    policy.set("Type", std::move(type));
  }
  return {};
}

constexpr ArgumentSchema kTaskArguments[] = {
    {"driver", "Driver"},
    {"user", "User"},
    {"env", "Env", kStringMap},
    {"meta", "Meta", kStringMap},
    {"kill_timeout", "KillTimeout", kDuration},
    {"kill_signal", "KillSignal"},
    {"shutdown_delay", "ShutdownDelay", kDuration},
    {"leader", "Leader", kBool},
    {"kind", "Kind"},
};
constexpr BlockSchema kTaskBlocks[] = {
    {"config", "Config", kFreeForm},
    {"constraint", "Constraints", kRepeated, &kConstraint},
    {"affinity", "Affinities", kRepeated, &kAffinity},
    {"lifecycle", "Lifecycle", kOnce, &kLifecycle},
    {"service", "Services", kRepeated, &kService},
    {"resources", "Resources", kOnce, &kResources},
    {"restart", "RestartPolicy", kOnce, &kRestart},
    {"logs", "LogConfig", kOnce, &kLogs},
    {"artifact", "Artifacts", kRepeated, &kArtifact},
    {"template", "Templates", kRepeated, &kTemplate},
    {"volume_mount", "VolumeMounts", kRepeated, &kVolumeMount},
    {"dispatch_payload", "DispatchPayload", kOnce, &kDispatchPayload},
    {"scaling", "ScalingPolicies", kRepeated, &kTaskScaling, "label"},
    {"vault", "Vault", kOnce, &kVault},
    {"consul", "Consul", kOnce, &kConsul},
    {"csi_plugin", "CSIPluginConfig", kRefused},
    {"identity", "Identities", kRefused},
    {"action", "Actions", kRefused},
    {"secret", "Secrets", kRefused},
    {"schedule", "Schedule", kRefused},
};
constexpr BodySchema kTask = {kTaskArguments, kTaskBlocks, finish_task};

// ---- groups ----

constexpr ArgumentSchema kMountOptionsArguments[] = {{"fs_type", "FSType"},
                                                     {"mount_flags", "MountFlags", kStrings}};
constexpr BodySchema kMountOptions = {kMountOptionsArguments, {}};
constexpr ArgumentSchema kVolumeArguments[] = {
    one_of("type", "Type", kVolumeTypes), {"source", "Source"},
    {"read_only", "ReadOnly", kBool},     {"sticky", "Sticky", kBool},
    {"access_mode", "AccessMode"},        {"attachment_mode", "AttachmentMode"},
    {"per_alloc", "PerAlloc", kBool},
};
constexpr BlockSchema kVolumeBlocks[] = {
    {"mount_options", "MountOptions", kOnce, &kMountOptions},
};
constexpr BodySchema kVolume = {kVolumeArguments, kVolumeBlocks};

constexpr ArgumentSchema kEphemeralDiskArguments[] = {
    {"sticky", "Sticky", kBool},
    {"migrate", "Migrate", kBool},
    {"size", "SizeMB", kWhole, 0},
};
constexpr BodySchema kEphemeralDisk = {kEphemeralDiskArguments, {}};

constexpr ArgumentSchema kDisconnectArguments[] = {
    {"lost_after", "LostAfter", kDuration},
    {"stop_on_client_after", "StopOnClientAfter", kDuration},
    {"replace", "Replace", kBool},
    one_of("reconcile", "Reconcile", kReconciles),
};
constexpr BodySchema kDisconnect = {kDisconnectArguments, {}};

// A group's vault block is that of its tasks without one.
Result<void> finish_group(DecodedBody& decoded) {
  const Json* vault = decoded.json.find("vault");
  if (!vault) return {};
  Json taken = *vault;
  decoded.json.erase("vault");
  if (Json* tasks = decoded.json.find("Tasks")) {
    for (Json& task : tasks->as_array()) {
      if (!task.find("Vault")) task.set("Vault", taken);
    }
  }
  return {};
}

constexpr ArgumentSchema kGroupArguments[] = {
    {"count", "Count", kWhole, 0},
    {"meta", "Meta", kStringMap},
    {"shutdown_delay", "ShutdownDelay", kDuration},
    {"stop_after_client_disconnect", "StopAfterClientDisconnect", kDuration},
    {"max_client_disconnect", "MaxClientDisconnect", kDuration},
    {"max_run_duration", "MaxRunDuration", kDuration},
    {"prevent_reschedule_on_lost", "PreventRescheduleOnLost", kBool},
};
constexpr BlockSchema kGroupBlocks[] = {
    {"constraint", "Constraints", kRepeated, &kConstraint},
    {"affinity", "Affinities", kRepeated, &kAffinity},
    {"task", "Tasks", kRepeated, &kTask, "Name"},
    {"spread", "Spreads", kRepeated, &kSpread},
    {"volume", "Volumes", kByLabel, &kVolume, "Name"},
    {"restart", "RestartPolicy", kOnce, &kRestart},
    {"reschedule", "ReschedulePolicy", kOnce, &kReschedule},
    {"ephemeral_disk", "EphemeralDisk", kOnce, &kEphemeralDisk},
    {"update", "Update", kOnce, &kUpdate},
    {"migrate", "Migrate", kOnce, &kMigrate},
    {"network", "Networks", kRepeated, &kNetwork},
    {"service", "Services", kRepeated, &kService},
    {"scaling", "Scaling", kOnce, &kGroupScaling},
    {"disconnect", "Disconnect", kOnce, &kDisconnect},
    {"consul", "Consul", kOnce, &kConsul},
    {"vault", "vault", kOnce, &kVault},
};
constexpr BodySchema kGroup = {kGroupArguments, kGroupBlocks, finish_group};

// ---- the job ----

Result<void> finish_periodic(DecodedBody& decoded) {
  bool spec = decoded.json.find("Spec") || decoded.json.find("Specs");
  if (spec) decoded.json.set("SpecType", "cron");
  return {};
}

constexpr ArgumentSchema kPeriodicArguments[] = {
    {"enabled", "Enabled", kBool}, {"cron", "Spec"},
    {"crons", "Specs", kStrings},  {"prohibit_overlap", "ProhibitOverlap", kBool},
    {"time_zone", "TimeZone"},
};
constexpr BodySchema kPeriodic = {kPeriodicArguments, {}, finish_periodic};

constexpr ArgumentSchema kParameterizedArguments[] = {
    one_of("payload", "Payload", kPayloads),
    {"meta_required", "MetaRequired", kStrings},
    {"meta_optional", "MetaOptional", kStrings},
};
constexpr BodySchema kParameterized = {kParameterizedArguments, {}};

constexpr ArgumentSchema kUiLinkArguments[] = {{"label", "Label"}, {"url", "URL"}};
constexpr BodySchema kUiLink = {kUiLinkArguments, {}};
constexpr ArgumentSchema kUiArguments[] = {{"description", "Description"}};
constexpr BlockSchema kUiBlocks[] = {{"link", "Links", kRepeated, &kUiLink}};
constexpr BodySchema kUi = {kUiArguments, kUiBlocks};

// A task right in the job is a group of its own name; a job's vault block is that of all its tasks
// without one.
Result<void> finish_job(DecodedBody& decoded) {
  Json groups = Json::array();
  if (const Json* tasks = decoded.json.find("tasks")) {
    for (const Json& task : tasks->as_array()) {
      groups.push(
          Json::object({{"Name", task.get_string("Name")}, {"Tasks", Json::array({task})}}));
    }
    decoded.json.erase("tasks");
  }
  if (const Json* more = decoded.json.find("TaskGroups")) {
    for (const Json& group : more->as_array()) groups.push(group);
  }
  if (const Json* vault = decoded.json.find("vault")) {
    Json taken = *vault;
    decoded.json.erase("vault");
    for (Json& group : groups.as_array()) {
      Json* tasks = group.find("Tasks");
      if (!tasks) continue;
      for (Json& task : tasks->as_array()) {
        if (!task.find("Vault")) task.set("Vault", taken);
      }
    }
  }
  if (groups.size() > 0) decoded.json.set("TaskGroups", std::move(groups));
  return {};
}

constexpr ArgumentSchema kJobArguments[] = {
    {"region", "Region"},
    {"namespace", "Namespace"},
    {"id", "ID"},
    {"name", "Name"},
    one_of("type", "Type", kJobTypes),
    {"priority", "Priority", kWhole, 1, 100},
    {"all_at_once", "AllAtOnce", kBool},
    {"datacenters", "Datacenters", kStrings},
    {"node_pool", "NodePool"},
    {"meta", "Meta", kStringMap},
    {"consul_token", "ConsulToken"},
    {"vault_token", "VaultToken"},
};
constexpr BlockSchema kJobBlocks[] = {
    {"constraint", "Constraints", kRepeated, &kConstraint},
    {"affinity", "Affinities", kRepeated, &kAffinity},
    {"group", "TaskGroups", kRepeated, &kGroup, "Name"},
    {"task", "tasks", kRepeated, &kTask, "Name"},
    {"update", "Update", kOnce, &kUpdate},
    {"spread", "Spreads", kRepeated, &kSpread},
    {"periodic", "Periodic", kOnce, &kPeriodic},
    {"parameterized", "ParameterizedJob", kOnce, &kParameterized},
    {"reschedule", "Reschedule", kOnce, &kReschedule},
    {"migrate", "Migrate", kOnce, &kMigrate},
    {"vault", "vault", kOnce, &kVault},
    {"ui", "UI", kOnce, &kUi},
    {"multiregion", "Multiregion", kRefused},
};

}  // namespace

const BodySchema kJobSchema = {kJobArguments, kJobBlocks, finish_job};

}  // namespace sluice::orchestrator
