// Job: what the user asks for, in the shape of Nomad's API (reference: its JSON names and
// defaults). Its groups, their tasks and what these hold have headers of their own.
//
// A Job is a value until it is registered; from then on it is shared as shared_ptr<const Job> by
// the job's version record and by every allocation made from it, and never changes.
//
// Life of a job file: HCL -> JSON (CLI) -> decode_job -> canonicalize -> validate -> Server.
// kUnset and empty optionals are gone after canonicalize() wherever a default exists.
// Durations are nanoseconds (`_ns`), as on the wire.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "core/result.h"
#include "orchestrator/fields.h"
#include "orchestrator/job_group.h"
#include "orchestrator/job_policies.h"

namespace sluice::orchestrator {

inline constexpr std::string_view kTypeService = "service";
inline constexpr std::string_view kTypeBatch = "batch";
inline constexpr std::string_view kTypeSystem = "system";
inline constexpr std::string_view kTypeSysBatch = "sysbatch";

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
  std::string idempotency_token;       // it is what this one was dispatched with
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
    v.meta("DispatchIdempotencyToken", s.idempotency_token);
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
