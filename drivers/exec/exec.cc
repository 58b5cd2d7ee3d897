#include "drivers/exec/exec.h"

#include <algorithm>
#include <array>

#include "drivers/exec/cgroup.h"
#include "drivers/exec/isolate.h"

namespace sluice::drivers::exec {
namespace {

using orchestrator::DriverHealth;
using orchestrator::TaskSpec;

constexpr int64_t kMegabyte = 1 << 20;
constexpr std::string_view kDefaultUser = "nobody";
constexpr std::string_view kKnownOptions = "command, args, pid_mode, ipc_mode, cap_add, cap_drop";
// What of the machine a task sees, as Nomad's chroot.
constexpr std::array<std::string_view, 8> kHostFolders = {
    "/bin", "/etc", "/lib", "/lib32", "/lib64", "/sbin", "/usr", "/run/resolvconf"};

void replace_all(std::string& text, const std::string& from, std::string_view to) {
  if (from.empty()) return;
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

Result<uint64_t> capabilities(const Json& config) {
  uint64_t set = default_capabilities();
  for (std::string_view key : {"cap_drop", "cap_add"}) {
    const Json* names = config.find(key);
    if (names == nullptr || !names->is_array()) continue;
    for (const Json& item : names->as_array()) {
      if (!item.is_string()) continue;  // check_command refuses it
      const std::string& name = item.as_string();
      uint64_t bits = ~uint64_t{0};
      if (name != "all" && name != "ALL") {
        int number = capability_number(name);
        if (number < 0) return fail(Code::kInvalid, "exec: {}: no such capability: {}", key, name);
        bits = uint64_t{1} << number;
      }
      set = key == "cap_add" ? set | bits : set & ~bits;
    }
  }
  return set;
}

bool is_private(const Json& config, std::string_view key) {
  return config.get_string(key, "private") != "host";
}

}  // namespace

ExecDriver::ExecDriver(Env& env, SupervisorClient& supervisor, std::string cluster_id,
                       std::string node_id)
    : RawExecDriver(env, supervisor, std::move(cluster_id), std::move(node_id)),
      isolates_(may_isolate()) {}

Task<DriverHealth> ExecDriver::fingerprint() {
  DriverHealth health = co_await RawExecDriver::fingerprint();
  health.attributes.clear();
  health.attributes["driver.exec"] = "1";
  std::vector<CgroupMount> mounts = find_cgroup_mounts();
  bool memory = std::ranges::any_of(mounts, [](const CgroupMount& at) { return at.memory; });
  bool unified = std::ranges::any_of(mounts, [](const CgroupMount& at) { return at.unified; });
  health.attributes["driver.exec.cgroup"] = mounts.empty() ? "none" : unified ? "v2" : "v1";
  health.attributes["driver.exec.chroot"] = isolates_ ? "1" : "0";
  if (health.healthy && !(isolates_ && memory)) {
    health.description = "Healthy, without";
    if (!isolates_) health.description += " namespaces and chroot (not root)";
    if (!isolates_ && !memory) health.description += " and";
    if (!memory) health.description += " memory limits (no cgroup controller)";
  }
  co_return health;
}

Result<void> ExecDriver::validate(const Json& config) const {
  if (!config.is_object()) return fail(Code::kInvalid, "exec: config is no block");
  for (const JsonMember& member : config.as_object()) {
    if (member.key == "pid_mode" || member.key == "ipc_mode") {
      if (member.value.is_null()) continue;
      std::string_view mode = config.get_string(member.key);
      if (mode == "private" || mode == "host") continue;
      return fail(Code::kInvalid, "exec: {} is neither \"private\" nor \"host\"", member.key);
    }
    if (member.key != "command" && member.key != "args" && member.key != "cap_add" &&
        member.key != "cap_drop") {
      return fail(Code::kInvalid, "exec: unknown option \"{}\" (known: {})", member.key,
                  kKnownOptions);
    }
    Result<void> checked = check_command("exec", member.key, member.value);
    if (!checked) return checked;
  }
  if (config.get_string("command").empty()) {
    return fail(Code::kInvalid, "exec: command is missing");
  }
  Result<uint64_t> set = capabilities(config);
  if (!set) return pass(set);
  return {};
}

Task<Result<std::unique_ptr<orchestrator::ExecSession>>> ExecDriver::exec(
    const orchestrator::TaskHandle&, const TaskSpec&, orchestrator::ExecRequest) {
  co_return fail(Code::kUnsupported, "exec: commands beside an isolated task are not supported");
}

TaskSpec ExecDriver::adapt(const TaskSpec& spec) const {
  TaskSpec inside = spec;
  if (!isolates_) return inside;
  if (inside.user.empty()) inside.user = kDefaultUser;
  // The node filled the machine's paths in; from inside, the folders have others.
  auto rename = [&](std::string& text) {
    replace_all(text, spec.task_folder + "/local", "/local");
    replace_all(text, spec.task_folder + "/secrets", "/secrets");
    replace_all(text, spec.alloc_folder, "/alloc");
  };
  for (auto& [key, value] : inside.env) rename(value);
  if (Json* command = inside.config.find("command")) {
    std::string text = command->as_string();
    rename(text);
    *command = Json(std::move(text));
  }
  if (Json* args = inside.config.find("args"); args != nullptr && args->is_array()) {
    for (Json& arg : args->as_array()) {
      std::string text = arg.as_string();
      rename(text);
      arg = Json(std::move(text));
    }
  }
  return inside;
}

std::string ExecDriver::lacks() const {
  return isolates_ ? "" : "namespaces and a root of its own (the agent is not root)";
}

void ExecDriver::surround(const TaskSpec& spec, Message& request) const {
  request.add("cgroup_owner",
              std::string_view(spec.cluster_id.substr(0, 8) + "-" + spec.node_id.substr(0, 8)));
  request.add("memory_bytes", spec.memory_mb * kMegabyte);
  request.add("memory_max_bytes", spec.memory_max_mb * kMegabyte);
  request.add("cpu_shares", spec.cpu_mhz);
  if (!isolates_) return;
  request.add("own_root", 1).add("own_processes", is_private(spec.config, "pid_mode") ? 1 : 0);
  request.add("own_ipc", is_private(spec.config, "ipc_mode") ? 1 : 0);
  request.add("alloc_folder", spec.alloc_folder);
  for (std::string_view folder : kHostFolders) request.add("host_folder", folder);
  for (std::string_view folder : {"local", "secrets"}) request.add("own_folder", folder);
  uint64_t dropped = ~capabilities(spec.config).value_or(0) & (~uint64_t{0} >> 1);
  request.add("drop_capabilities", static_cast<int64_t>(dropped));
}

}  // namespace sluice::drivers::exec
