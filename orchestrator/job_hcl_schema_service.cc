// `service` of a task or a group (orchestrator/job_service.h).
#include "orchestrator/job_hcl_schema.h"

namespace sluice::orchestrator {

using hcl::ArgumentSchema;
using hcl::BlockSchema;
using hcl::BodySchema;
using hcl::not_ours;
using hcl::one_of;
using enum hcl::ArgumentType;
using enum hcl::BlockUse;

namespace {

constexpr std::string_view kAddressModes[] = {"auto", "alloc", "driver", "host"};
constexpr std::string_view kCheckTypes[] = {"http", "tcp", "script", "grpc"};
constexpr std::string_view kCheckStates[] = {"passing", "warning", "critical"};
constexpr std::string_view kOnUpdates[] = {"require_healthy", "ignore_warnings", "ignore"};
constexpr std::string_view kProviders[] = {"consul", "nomad"};

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
    not_ours("expose", "Expose", kBool),
    one_of("address_mode", "AddressMode", kAddressModes),
    not_ours("advertise", "Advertise"),
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
    not_ours("enable_tag_override", "EnableTagOverride", kBool),
    {"port", "PortLabel"},
    one_of("address_mode", "AddressMode", kAddressModes),
    {"address", "Address"},
    {"meta", "Meta", kStringMap},
    {"canary_meta", "CanaryMeta", kStringMap},
    not_ours("tagged_addresses", "TaggedAddresses", kStringMap),
    {"task", "TaskName"},
    one_of("on_update", "OnUpdate", kOnUpdates),
    one_of("provider", "Provider", kProviders),
    {"cluster", "Cluster"},
    not_ours("kind", "Kind"),
};
constexpr BlockSchema kServiceBlocks[] = {
    {"check", "Checks", kRepeated, &kCheck},
    {"check_restart", "CheckRestart", kOnce, &kCheckRestart},
    {"weights", "Weights", kOnce, &kWeights},
    {"connect", "Connect", kRefused},
    {"identity", "Identity", kRefused},
};

}  // namespace

constinit const BodySchema kServiceSchema = {kServiceArguments, kServiceBlocks};

}  // namespace sluice::orchestrator
