// What the driver knows of one container: its name and labels, its state out of GET
// /containers/ID/json, and Docker's errors with a code that says whether trying again may help.
//
// Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/json.h"
#include "core/result.h"
#include "orchestrator/driver.h"

namespace sluice::drivers {

/// Whose containers are ours: both labels must match.
struct DockerOwner {
  std::string cluster_id;
  std::string node_id;
};

namespace docker_label {
inline constexpr std::string_view kCluster = "sluice.cluster_id";
inline constexpr std::string_view kNode = "sluice.node_id";
inline constexpr std::string_view kAlloc = "sluice.alloc_id";
inline constexpr std::string_view kTask = "sluice.task";
inline constexpr std::string_view kRun = "sluice.run";
inline constexpr std::string_view kJob = "sluice.job_id";
inline constexpr std::string_view kGroup = "sluice.group";
}  // namespace docker_label

/// "<task>-<alloc id>".
std::string container_name(const orchestrator::TaskKey& key);

/// The key that the labels name, if they are ours.
std::optional<orchestrator::TaskKey> key_of_labels(const Json& labels, const DockerOwner& owner);

/// The value of the query parameter `filters` that finds our containers; of one task with `key`.
std::string label_filters(const DockerOwner& owner, const orchestrator::TaskKey* key = nullptr);

struct ContainerState {
  std::string id;
  std::string name;    // without the slash in front
  std::string image;   // "sha256:..."
  std::string status;  // created, running, paused, restarting, removing, exited, dead
  bool running = false;
  bool tty = false;
  bool oom_killed = false;
  int64_t exit_code = 0;
  int64_t started_at_ns = 0;   // 0: never
  int64_t finished_at_ns = 0;  // 0: never
  int64_t pid = 0;
  std::string error;
  orchestrator::HealthReport health;
  std::string network_mode;
  orchestrator::TaskNetwork network;  // its first with an address
  std::string log_driver;
  std::optional<orchestrator::TaskKey> key;  // where it is ours

  bool ended() const { return status == "exited" || status == "dead"; }
};

/// Reads the answer of GET /containers/ID/json.
Result<ContainerState> parse_inspect(const Json& body, const DockerOwner& owner);

/// Reads the answer of GET /containers/ID/stats. The share of cpu is of one core: 150 is one and a
/// half.
orchestrator::TaskStats parse_stats(const Json& body);

/// RFC 3339 with up to nine decimals and a zone, in nanoseconds since 1970. Docker's zero time,
/// year 1, is 0.
std::optional<int64_t> parse_time_ns(std::string_view text);

/// The error of an answer that is no success: what Docker says, with a code that tells whether
/// trying again may help. `doing` names the call for the operator: "create container web-1".
Error docker_error(int status, std::string_view body, std::string_view doing);

/// The code for a pull that failed with this text: kNotFound, kDenied, or kUnavailable for all that
/// a registry may get over.
Code pull_error_code(std::string_view text);

}  // namespace sluice::drivers
