// `job` (orchestrator/job.h).
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

constexpr std::string_view kPayloads[] = {"optional", "required", "forbidden"};
constexpr std::string_view kJobTypes[] = {"service", "batch", "system", "sysbatch"};

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

// A task right in the job is a group of its own name.
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
    not_ours("vault_token", "VaultToken"),
};
constexpr BlockSchema kJobBlocks[] = {
    {"constraint", "Constraints", kRepeated, &kConstraintSchema},
    {"affinity", "Affinities", kRepeated, &kAffinitySchema},
    {"group", "TaskGroups", kRepeated, &kGroupSchema, "Name"},
    {"task", "tasks", kRepeated, &kTaskSchema, "Name"},
    {"update", "Update", kOnce, &kUpdateSchema},
    {"spread", "Spreads", kRepeated, &kSpreadSchema},
    {"periodic", "Periodic", kOnce, &kPeriodic},
    {"parameterized", "ParameterizedJob", kOnce, &kParameterized},
    {"reschedule", "Reschedule", kOnce, &kRescheduleSchema},
    {"migrate", "Migrate", kOnce, &kMigrateSchema},
    {"vault", "vault", kRefused},
    {"ui", "UI", kRefused},
    {"multiregion", "Multiregion", kRefused},
};

}  // namespace

constinit const BodySchema kJobSchema = {kJobArguments, kJobBlocks, finish_job};

}  // namespace sluice::orchestrator
