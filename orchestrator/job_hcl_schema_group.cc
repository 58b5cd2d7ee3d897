// `group` (orchestrator/job_group.h).
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

constexpr std::string_view kVolumeTypes[] = {"host"};
constexpr ArgumentSchema kVolumeArguments[] = {
    one_of("type", "Type", kVolumeTypes),     {"source", "Source"},
    {"read_only", "ReadOnly", kBool},         not_ours("sticky", "Sticky", kBool),
    not_ours("access_mode", "AccessMode"),    not_ours("attachment_mode", "AttachmentMode"),
    not_ours("per_alloc", "PerAlloc", kBool),
};
constexpr BlockSchema kVolumeBlocks[] = {
    {"mount_options", "MountOptions", kRefused},
};
constexpr BodySchema kVolume = {kVolumeArguments, kVolumeBlocks};

constexpr ArgumentSchema kEphemeralDiskArguments[] = {
    not_ours("sticky", "Sticky", kBool),
    not_ours("migrate", "Migrate", kBool),
    {"size", "SizeMB", kWhole, 0},
};
constexpr BodySchema kEphemeralDisk = {kEphemeralDiskArguments, {}};

constexpr ArgumentSchema kGroupArguments[] = {
    {"count", "Count", kWhole, 0},
    {"meta", "Meta", kStringMap},
    {"shutdown_delay", "ShutdownDelay", kDuration},
    not_ours("stop_after_client_disconnect", "StopAfterClientDisconnect", kDuration),
    not_ours("max_client_disconnect", "MaxClientDisconnect", kDuration),
    not_ours("max_run_duration", "MaxRunDuration", kDuration),
    not_ours("prevent_reschedule_on_lost", "PreventRescheduleOnLost", kBool),
};
constexpr BlockSchema kGroupBlocks[] = {
    {"constraint", "Constraints", kRepeated, &kConstraintSchema},
    {"affinity", "Affinities", kRepeated, &kAffinitySchema},
    {"task", "Tasks", kRepeated, &kTaskSchema, "Name"},
    {"spread", "Spreads", kRepeated, &kSpreadSchema},
    {"volume", "Volumes", kByLabel, &kVolume, "Name"},
    {"restart", "RestartPolicy", kOnce, &kRestartSchema},
    {"reschedule", "ReschedulePolicy", kOnce, &kRescheduleSchema},
    {"ephemeral_disk", "EphemeralDisk", kOnce, &kEphemeralDisk},
    {"update", "Update", kOnce, &kUpdateSchema},
    {"migrate", "Migrate", kOnce, &kMigrateSchema},
    {"network", "Networks", kRepeated, &kNetworkSchema},
    {"service", "Services", kRepeated, &kServiceSchema},
    {"scaling", "Scaling", kOnce, &kGroupScalingSchema},
    {"disconnect", "Disconnect", kRefused},
    {"consul", "Consul", kRefused},
    {"vault", "vault", kRefused},
};

}  // namespace

constinit const BodySchema kGroupSchema = {kGroupArguments, kGroupBlocks};

}  // namespace sluice::orchestrator
