// What all levels of a job file say alike (orchestrator/job_policies.h), and who scales what.
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

constexpr ArgumentSchema kTargetArguments[] = {{"percent", "Percent", kWhole, 0, 100}};
constexpr BodySchema kTarget = {kTargetArguments, {}};
constexpr ArgumentSchema kSpreadArguments[] = {{"attribute", "Attribute"},
                                               {"weight", "Weight", kWhole, -100, 100}};
constexpr BlockSchema kSpreadBlocks[] = {
    {"target", "SpreadTarget", kRepeated, &kTarget, "Value"},
};

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

constexpr ArgumentSchema kMigrateArguments[] = {
    {"max_parallel", "MaxParallel", kWhole, 0},
    one_of("health_check", "HealthCheck", kHealthChecks),
    {"min_healthy_time", "MinHealthyTime", kDuration},
    {"healthy_deadline", "HealthyDeadline", kDuration},
};

constexpr ArgumentSchema kRestartArguments[] = {
    {"attempts", "Attempts", kWhole, 0},
    {"interval", "Interval", kDuration},
    {"delay", "Delay", kDuration},
    one_of("mode", "Mode", kRestartModes),
    {"render_templates", "RenderTemplates", kBool},
};

constexpr ArgumentSchema kRescheduleArguments[] = {
    {"attempts", "Attempts", kWhole, 0},
    {"interval", "Interval", kDuration},
    {"delay", "Delay", kDuration},
    one_of("delay_function", "DelayFunction", kDelayFunctions),
    {"max_delay", "MaxDelay", kDuration},
    {"unlimited", "Unlimited", kBool},
};

constexpr ArgumentSchema kScalingArguments[] = {
    {"type", "Type"},
    {"min", "Min", kWhole, 0},
    {"max", "Max", kWhole, 0},
    {"enabled", "Enabled", kBool},
};
constexpr BlockSchema kScalingBlocks[] = {{"policy", "Policy", kFreeForm}};

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

}  // namespace

constinit const BodySchema kConstraintSchema = {kConstraintArguments, {}, finish_comparison};
constinit const BodySchema kAffinitySchema = {kAffinityArguments, {}, finish_comparison};
constinit const BodySchema kSpreadSchema = {kSpreadArguments, kSpreadBlocks};
constinit const BodySchema kUpdateSchema = {kUpdateArguments, {}};
constinit const BodySchema kMigrateSchema = {kMigrateArguments, {}};
constinit const BodySchema kRestartSchema = {kRestartArguments, {}};
constinit const BodySchema kRescheduleSchema = {kRescheduleArguments, {}};
constinit const BodySchema kGroupScalingSchema = {kScalingArguments, kScalingBlocks,
                                                  finish_group_scaling};

}  // namespace sluice::orchestrator
