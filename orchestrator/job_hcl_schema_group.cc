// `group` (orchestrator/job_group.h).
#include "orchestrator/job_hcl_schema.h"

namespace sluice::orchestrator {

using hcl::ArgumentSchema;
using hcl::BlockSchema;
using hcl::BodySchema;
using hcl::DecodedBody;
using hcl::one_of;
using enum hcl::ArgumentType;
using enum hcl::BlockUse;

namespace {

constexpr std::string_view kVolumeTypes[] = {"host", "csi"};
constexpr std::string_view kReconciles[] = {"keep_original", "keep_replacement", "best_score",
                                            "longest_running"};

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
    {"disconnect", "Disconnect", kOnce, &kDisconnect},
    {"consul", "Consul", kOnce, &kConsulSchema},
    {"vault", "vault", kOnce, &kVaultSchema},
};

}  // namespace

constinit const BodySchema kGroupSchema = {kGroupArguments, kGroupBlocks, finish_group};

}  // namespace sluice::orchestrator
