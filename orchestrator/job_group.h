// A group of a job: tasks that run together on one node, as often as `count` says
// (orchestrator/job.h).
//
// Values without behaviour; whose they are, any thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "orchestrator/fields.h"
#include "orchestrator/job_policies.h"
#include "orchestrator/job_service.h"
#include "orchestrator/job_task.h"

namespace sluice::orchestrator {

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

}  // namespace sluice::orchestrator
