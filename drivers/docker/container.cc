#include "drivers/docker/container.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace sluice::drivers {

using orchestrator::TaskKey;

namespace {

constexpr size_t kMaxProbeOutput = 500;

}  // namespace

std::string container_name(const TaskKey& key) {
  return key.task + "-" + key.alloc_id;
}

std::optional<TaskKey> key_of_labels(const Json& labels, const DockerOwner& owner) {
  if (labels.get_string(docker_label::kCluster) != owner.cluster_id ||
      labels.get_string(docker_label::kNode) != owner.node_id) {
    return std::nullopt;
  }
  TaskKey key;
  key.alloc_id = labels.get_string(docker_label::kAlloc);
  key.task = labels.get_string(docker_label::kTask);
  std::string_view run = labels.get_string(docker_label::kRun);
  auto [end, error] = std::from_chars(run.data(), run.data() + run.size(), key.run);
  if (error != std::errc() || end != run.data() + run.size()) return std::nullopt;
  if (key.alloc_id.empty() || key.task.empty()) return std::nullopt;
  return key;
}

std::string label_filters(const DockerOwner& owner, const TaskKey* key) {
  Json labels = Json::array();
  auto add = [&](std::string_view name, std::string_view value) {
    labels.push(fmt::format("{}={}", name, value));
  };
  add(docker_label::kCluster, owner.cluster_id);
  add(docker_label::kNode, owner.node_id);
  if (key) {
    add(docker_label::kAlloc, key->alloc_id);
    add(docker_label::kTask, key->task);
  }
  return to_json(Json::object({{"label", std::move(labels)}}));
}

namespace {

/// A network of the user's own is one in which others find it: its address there is advertised. The
/// default one ends at this machine.
orchestrator::TaskNetwork first_network(const Json& inspect) {
  const Json* settings = inspect.find("NetworkSettings");
  const Json* networks = settings ? settings->find("Networks") : nullptr;
  if (!networks || !networks->is_object()) return {};
  for (const JsonMember& network : networks->as_object()) {
    std::string_view address = network.value.get_string("IPAddress");
    if (address.empty()) address = network.value.get_string("GlobalIPv6Address");
    if (!address.empty()) {
      return {.address = std::string(address), .advertised = network.key != "bridge"};
    }
  }
  return {};
}

orchestrator::HealthReport parse_health(const Json& health) {
  using orchestrator::TaskHealth;
  orchestrator::HealthReport report;
  const std::string_view status = health.get_string("Status");
  if (status == "starting") report.health = TaskHealth::kStarting;
  if (status == "healthy") report.health = TaskHealth::kHealthy;
  if (status == "unhealthy") report.health = TaskHealth::kUnhealthy;
  const Json* log = health.find("Log");
  if (!log || !log->is_array() || log->as_array().empty()) return report;
  const Json& last = log->as_array().back();
  std::string_view output = last.get_string("Output");
  output = output.substr(0, kMaxProbeOutput);
  while (output.ends_with('\n') || output.ends_with(' ')) output.remove_suffix(1);
  report.output = output.empty() ? fmt::format("exit code {}", last.get_int("ExitCode")) : output;
  return report;
}

}  // namespace

Result<ContainerState> parse_inspect(const Json& body, const DockerOwner& owner) {
  const Json* state = body.find("State");
  if (!state || body.get_string("Id").empty()) {
    return fail(Code::kInternal, "inspect of a container answered without Id and State");
  }
  ContainerState result;
  result.id = body.get_string("Id");
  std::string_view name = body.get_string("Name");
  if (name.starts_with('/')) name.remove_prefix(1);
  result.name = name;
  result.image = body.get_string("Image");
  result.status = state->get_string("Status");
  result.running = state->get_bool("Running");
  result.oom_killed = state->get_bool("OOMKilled");
  result.exit_code = state->get_int("ExitCode");
  result.pid = state->get_int("Pid");
  result.error = state->get_string("Error");
  result.started_at_ns = parse_time_ns(state->get_string("StartedAt")).value_or(0);
  result.finished_at_ns = parse_time_ns(state->get_string("FinishedAt")).value_or(0);
  if (const Json* health = state->find("Health")) result.health = parse_health(*health);
  if (const Json* config = body.find("Config")) {
    result.tty = config->get_bool("Tty");
    if (const Json* labels = config->find("Labels")) result.key = key_of_labels(*labels, owner);
  }
  if (const Json* host = body.find("HostConfig")) {
    result.network_mode = host->get_string("NetworkMode");
    if (const Json* log = host->find("LogConfig")) result.log_driver = log->get_string("Type");
  }
  result.network = first_network(body);
  return result;
}

orchestrator::TaskStats parse_stats(const Json& body) {
  orchestrator::TaskStats stats;
  auto cpu = [&](std::string_view when, std::string_view what) {
    const Json* part = body.find(when);
    if (what == "system") return part ? part->get_double("system_cpu_usage") : 0;
    const Json* usage = part ? part->find("cpu_usage") : nullptr;
    return usage ? usage->get_double("total_usage") : 0;
  };
  double used = cpu("cpu_stats", "") - cpu("precpu_stats", "");
  double passed = cpu("cpu_stats", "system") - cpu("precpu_stats", "system");
  const Json* now = body.find("cpu_stats");
  double cores = now ? now->get_double("online_cpus", 1) : 1;
  if (used > 0 && passed > 0) stats.cpu_percent = used / passed * cores * 100;
  if (const Json* memory = body.find("memory_stats")) {
    int64_t usage = memory->get_int("usage");
    if (const Json* parts = memory->find("stats")) {
      // The page cache that can be dropped is not the task's need: inactive_file in cgroup v2 and,
      // with its own name, in v1.
      usage -= parts->get_int("total_inactive_file", parts->get_int("inactive_file"));
    }
    stats.memory_rss_bytes = static_cast<uint64_t>(std::max<int64_t>(usage, 0));
  }
  return stats;
}

namespace {

/// Days since 1970 of a date in the proleptic Gregorian calendar.
int64_t days_of(int64_t year, int64_t month, int64_t day) {
  year -= month <= 2;
  int64_t era = (year >= 0 ? year : year - 399) / 400;
  int64_t of_era = year - era * 400;
  int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

bool digits(std::string_view text, size_t at, size_t count, int64_t& into) {
  if (at + count > text.size()) return false;
  const char* begin = text.data() + at;
  auto [end, error] = std::from_chars(begin, begin + count, into);
  return error == std::errc() && end == begin + count && into >= 0;
}

}  // namespace

std::optional<int64_t> parse_time_ns(std::string_view text) {
  int64_t year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  if (!digits(text, 0, 4, year) || !digits(text, 5, 2, month) || !digits(text, 8, 2, day) ||
      !digits(text, 11, 2, hour) || !digits(text, 14, 2, minute) || !digits(text, 17, 2, second)) {
    return std::nullopt;
  }
  if (text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' || text[16] != ':') {
    return std::nullopt;
  }
  if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60) {
    return std::nullopt;
  }
  std::string_view rest = text.substr(19);
  int64_t nanos = 0;
  if (rest.starts_with('.')) {
    rest.remove_prefix(1);
    size_t count = std::min(rest.find_first_not_of("0123456789"), rest.size());
    if (count == 0 || count > 9 || !digits(rest, 0, count, nanos)) return std::nullopt;
    for (size_t i = count; i < 9; ++i) nanos *= 10;
    rest.remove_prefix(count);
  }
  int64_t offset_s = 0;
  if (rest != "Z") {
    int64_t hours = 0, minutes = 0;
    if (rest.size() != 6 || (rest[0] != '+' && rest[0] != '-') || rest[3] != ':' ||
        !digits(rest, 1, 2, hours) || !digits(rest, 4, 2, minutes)) {
      return std::nullopt;
    }
    offset_s = (hours * 3600 + minutes * 60) * (rest[0] == '-' ? -1 : 1);
  }
  if (year <= 1) return 0;
  if (year < 1970 || year > 2200) return std::nullopt;
  int64_t seconds =
      days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset_s;
  return seconds * 1'000'000'000 + nanos;
}

namespace {

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

bool contains_any(std::string_view text, std::initializer_list<std::string_view> parts) {
  return std::ranges::any_of(parts, [&](std::string_view part) { return contains(text, part); });
}

}  // namespace

Error docker_error(int status, std::string_view body, std::string_view doing) {
  std::string said;
  if (auto json = parse_json(body)) said = json->get_string("message");
  if (said.empty()) said = std::string(body.substr(0, 500));
  while (!said.empty() && (said.back() == '\n' || said.back() == ' ')) said.pop_back();
  if (said.empty()) said = fmt::format("HTTP status {}", status);
  Code code = Code::kInternal;
  if (status == 404) {
    code = Code::kNotFound;
  } else if (status == 409) {
    code = Code::kConflict;
  } else if (status == 401 || status == 403) {
    code = Code::kDenied;
  } else if (status >= 400 && status < 500) {
    code = Code::kInvalid;
  } else if (status == 503 || contains_any(said, {"daemon is shutting down", "connection refused",
                                                  "transport is closing", "context canceled"})) {
    code = Code::kUnavailable;
  } else if (contains_any(said, {"port is already allocated", "address already in use"})) {
    code = Code::kConflict;
  }
  return {code, fmt::format("{}: {}", doing, said)};
}

Code pull_error_code(std::string_view text) {
  if (contains_any(text, {"denied", "unauthorized", "authentication required",
                          "no basic auth credentials", "incorrect username or password"})) {
    return Code::kDenied;
  }
  if (contains_any(text, {"manifest unknown", "not found: manifest", "name unknown",
                          "does not exist", "no matching manifest", "manifest for "})) {
    return Code::kNotFound;
  }
  if (contains_any(text, {"invalid reference format", "unsupported schema"})) {
    return Code::kInvalid;
  }
  return Code::kUnavailable;
}

}  // namespace sluice::drivers
