#include "drivers/docker/config.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace sluice::drivers {
namespace {

std::optional<int64_t> parse_int(std::string_view text) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

std::optional<std::string> scalar_text(const Json& value) {
  switch (value.kind()) {
    case Json::Kind::kString: return value.as_string();
    case Json::Kind::kInt:
    case Json::Kind::kDouble: return to_json(value);
    case Json::Kind::kBool: return std::string(value.as_bool() ? "true" : "false");
    case Json::Kind::kNull:
    case Json::Kind::kArray:
    case Json::Kind::kObject: return std::nullopt;
  }
  std::unreachable();
}

std::string_view kind_name(const Json& value) {
  switch (value.kind()) {
    case Json::Kind::kNull: return "null";
    case Json::Kind::kBool: return "a boolean";
    case Json::Kind::kInt:
    case Json::Kind::kDouble: return "a number";
    case Json::Kind::kString: return "a string";
    case Json::Kind::kArray: return "a list";
    case Json::Kind::kObject: return "a map";
  }
  std::unreachable();
}

/// Reads the members of one block, remembering which names were asked for, so that the list of
/// known names and the check for unknown ones cannot drift apart. Keeps the first error.
class Block {
 public:
  /// `where` names the block in messages: "" at the top, "logging" inside.
  Block(const Json& value, std::string where, std::optional<Error>& error)
      : where_(std::move(where)), error_(error) {
    if (value.is_null()) return;
    if (value.is_object()) {
      merged_ = value;
      return;
    }
    if (!value.is_array()) {
      no_block(value);
      return;
    }
    for (const Json& part : value.as_array()) {
      if (!part.is_object()) {
        no_block(part);
        return;
      }
      for (const JsonMember& member : part.as_object()) merged_.set(member.key, member.value);
    }
  }

  void text(std::string_view key, std::string& into) {
    const Json* value = take(key);
    if (!value) return;
    if (auto scalar = scalar_text(*value)) {
      into = std::move(*scalar);
    } else {
      wrong(key, "a string", *value);
    }
  }
  void flag(std::string_view key, bool& into) {
    const Json* value = take(key);
    if (!value) return;
    if (value->is_bool()) {
      into = value->as_bool();
    } else if (value->is_string() && (value->as_string() == "true" || value->as_string() == "1")) {
      into = true;
    } else if (value->is_string() && (value->as_string() == "false" || value->as_string() == "0")) {
      into = false;
    } else {
      wrong(key, "true or false", *value);
    }
  }
  void flag(std::string_view key, std::optional<bool>& into) {
    if (!merged_.find(key)) {
      known_.emplace_back(key);
      return;
    }
    bool value = false;
    flag(key, value);
    into = value;
  }
  void number(std::string_view key, int64_t& into, int64_t low, int64_t high) {
    const Json* value = take(key);
    if (!value) return;
    auto found = whole(*value);
    if (!found) return wrong(key, "a whole number", *value);
    if (*found < low || *found > high) {
      return say(fmt::format("{} = {} is not between {} and {}", path(key), *found, low, high));
    }
    into = *found;
  }
  void duration(std::string_view key, int64_t& into_ms) {
    const Json* value = take(key);
    if (!value) return;
    std::optional<int64_t> found;
    if (value->is_string()) found = parse_duration_ms(value->as_string());
    if (!found || *found <= 0) return wrong(key, "a duration such as \"5m\"", *value);
    into_ms = *found;
  }
  void list(std::string_view key, std::vector<std::string>& into) {
    const Json* value = take(key);
    if (!value) return;
    if (!value->is_array()) return wrong(key, "a list of strings", *value);
    into.clear();
    for (const Json& item : value->as_array()) {
      auto scalar = scalar_text(item);
      if (!scalar) return wrong(key, "a list of strings", item);
      into.push_back(std::move(*scalar));
    }
  }
  void list(std::string_view key, std::optional<std::vector<std::string>>& into) {
    const Json* value = merged_.find(key);
    if (value && value->is_string()) {  // entrypoint = "/bin/sh"
      known_.emplace_back(key);
      into = {value->as_string()};
      return;
    }
    std::vector<std::string> items;
    list(key, items);
    if (value && !value->is_null()) into = std::move(items);
  }
  void map(std::string_view key, std::map<std::string, std::string>& into) {
    const Json* value = take(key);
    if (!value) return;
    Block block(*value, path(key), error_);
    for (const JsonMember& member : block.members()) {
      auto scalar = scalar_text(member.value);
      if (!scalar) return block.wrong(member.key, "a string", member.value);
      into[member.key] = std::move(*scalar);
    }
  }
  void numbers(std::string_view key, std::map<std::string, int64_t>& into, int64_t low,
               int64_t high) {
    const Json* value = take(key);
    if (!value) return;
    Block block(*value, path(key), error_);
    for (const JsonMember& member : block.members()) {
      block.number(member.key, into[member.key], low, high);
    }
  }
  /// `read(Block&)` for a block that may be there once.
  template <class F>
  void block(std::string_view key, F read) {
    const Json* value = take(key);
    static const Json kEmpty = Json::object();
    Block inner(value ? *value : kEmpty, path(key), error_);
    read(inner);
    inner.refuse_unknown();
  }
  /// `read(Block&)` for each of the blocks of that name.
  template <class F>
  void blocks(std::string_view key, F read) {
    const Json* value = take(key);
    if (!value) return;
    if (value->is_object()) {
      Block inner(*value, path(key), error_);
      read(inner);
      return inner.refuse_unknown();
    }
    if (!value->is_array()) return wrong(key, "a list of blocks", *value);
    size_t index = 0;
    for (const Json& item : value->as_array()) {
      Block inner(item, fmt::format("{}[{}]", path(key), index++), error_);
      read(inner);
      inner.refuse_unknown();
    }
  }
  void unsupported(std::string_view key, std::string_view why) {
    if (const Json* value = merged_.find(key); value && !value->is_null()) {
      say(fmt::format("option \"{}\" is not supported: {}", path(key), why), Code::kUnsupported);
    }
  }

  bool has(std::string_view key) const {
    const Json* value = merged_.find(key);
    return value && !value->is_null();
  }
  const Json::Object& members() const { return merged_.as_object(); }
  void say(std::string message, Code code = Code::kInvalid) {
    if (!error_) error_ = Error{code, std::move(message)};
  }
  std::string path(std::string_view key) const {
    return where_.empty() ? std::string(key) : fmt::format("{}.{}", where_, key);
  }

  void refuse_unknown() {
    for (const JsonMember& member : merged_.as_object()) {
      if (std::ranges::find(known_, member.key) != known_.end()) continue;
      std::ranges::sort(known_);
      std::string names;
      for (const std::string& name : known_) {
        if (!names.empty()) names += ", ";
        names += name;
      }
      return say(where_.empty() ? fmt::format("unknown option \"{}\"; the docker driver knows: {}",
                                              member.key, names)
                                : fmt::format("unknown option \"{}\" in {}; it knows: {}",
                                              member.key, where_, names));
    }
  }

 private:
  const Json* take(std::string_view key) {
    known_.emplace_back(key);
    const Json* value = merged_.find(key);
    return value && !value->is_null() ? value : nullptr;
  }
  static std::optional<int64_t> whole(const Json& value) {
    if (value.is_int()) return value.as_int();
    if (value.is_string()) return parse_int(value.as_string());
    if (value.is_number()) {
      double number = value.as_double();
      if (number == static_cast<double>(static_cast<int64_t>(number))) {
        return static_cast<int64_t>(number);
      }
    }
    return std::nullopt;
  }
  void wrong(std::string_view key, std::string_view wanted, const Json& got) {
    say(fmt::format("option \"{}\" must be {}, not {}", path(key), wanted, kind_name(got)));
  }
  void no_block(const Json& got) {
    say(fmt::format("{} must be a block, not {}", where_.empty() ? "config" : where_,
                    kind_name(got)));
  }

  std::string where_;
  Json merged_ = Json::object();
  std::vector<std::string> known_;
  std::optional<Error>& error_;
};

constexpr int64_t kNoLimit = INT64_MAX;

void read_mount(Block& block, DockerMount& mount) {
  block.text("type", mount.type);
  block.text("source", mount.source);
  block.text("target", mount.target);
  block.flag("readonly", mount.read_only);
  block.block("bind_options", [&](Block& bind) { bind.text("propagation", mount.propagation); });
  block.block("volume_options", [&](Block& volume) {
    volume.flag("no_copy", mount.no_copy);
    volume.map("labels", mount.volume_labels);
    volume.block("driver_config", [&](Block& driver) {
      driver.text("name", mount.volume_driver);
      driver.map("options", mount.volume_options);
    });
  });
  block.block("tmpfs_options", [&](Block& tmpfs) {
    tmpfs.number("size", mount.tmpfs_size_bytes, 0, kNoLimit);
    tmpfs.number("mode", mount.tmpfs_mode, 0, 07777);
  });
  if (mount.type != "bind" && mount.type != "volume" && mount.type != "tmpfs") {
    block.say(
        fmt::format("{} = \"{}\" must be bind, volume or tmpfs", block.path("type"), mount.type));
  }
  if (mount.target.empty()) block.say(fmt::format("{} is missing", block.path("target")));
  if (mount.type == "bind" && mount.source.empty()) {
    block.say(fmt::format("{} is missing", block.path("source")));
  }
}

void read_ulimits(const std::map<std::string, std::string>& texts, DockerConfig& config,
                  Block& top) {
  for (const auto& [name, text] : texts) {
    std::string_view view = text;
    size_t colon = view.find(':');
    auto soft = parse_int(view.substr(0, colon));
    auto hard = colon == std::string_view::npos ? soft : parse_int(view.substr(colon + 1));
    if (!soft || !hard) {
      return top.say(
          fmt::format("ulimit.{} = \"{}\" must be \"soft:hard\" or one number", name, text));
    }
    config.ulimits.push_back({name, *soft, *hard});
  }
}

void read_network(Block& top, DockerConfig& config) {
  top.numbers("port_map", config.port_map, 1, 65535);
  top.list("ports", config.ports);
  if (config.ports && !config.port_map.empty()) {
    top.say("port_map and ports cannot both be given");
  }
  top.text("network_mode", config.network_mode);
  top.list("network_aliases", config.network_aliases);
  top.text("ipv4_address", config.ipv4_address);
  top.text("ipv6_address", config.ipv6_address);
  top.text("mac_address", config.mac_address);
  top.text("hostname", config.hostname);
  top.list("dns_servers", config.dns_servers);
  top.list("dns_search_domains", config.dns_search_domains);
  top.list("dns_options", config.dns_options);
  top.list("extra_hosts", config.extra_hosts);
  for (const std::string& host : config.extra_hosts) {
    if (host.find(':') == std::string::npos) {
      top.say(fmt::format("extra_hosts: \"{}\" must be \"name:address\"", host));
    }
  }
}

void read_image(Block& top, DockerConfig& config) {
  top.text("image", config.image);
  if (config.image.empty()) top.say("option \"image\" is missing");
  top.text("command", config.command);
  top.list("args", config.args);
  top.list("entrypoint", config.entrypoint);
  top.block("auth", [&](Block& auth) {
    auth.text("username", config.auth.username);
    auth.text("password", config.auth.password);
    auth.text("email", config.auth.email);
    auth.text("server_address", config.auth.server_address);
  });
  top.flag("auth_soft_fail", config.auth_soft_fail);
  top.flag("force_pull", config.force_pull);
  top.duration("image_pull_timeout", config.image_pull_timeout_ms);
  top.block("logging", [&](Block& logging) {
    std::string old_name;
    logging.text("driver", old_name);
    logging.text("type", config.logging_type);
    if (config.logging_type.empty()) config.logging_type = old_name;
    logging.map("config", config.logging_config);
  });
  top.map("labels", config.labels);
  for (const auto& [name, value] : config.labels) {
    if (name.starts_with("sluice.")) {
      top.say(
          fmt::format("labels.{}: labels that start with \"sluice.\" are the agent's own", name));
    }
  }
}

void read_storage(Block& top, DockerConfig& config) {
  top.list("volumes", config.volumes);
  for (const std::string& volume : config.volumes) {
    if (volume.find(':') == std::string::npos) {
      top.say(fmt::format("volumes: \"{}\" must be \"source:target\" or \"source:target:options\"",
                          volume));
    }
  }
  top.text("volume_driver", config.volume_driver);
  for (std::string_view name : {"mount", "mounts"}) {
    top.blocks(name, [&](Block& block) { read_mount(block, config.mounts.emplace_back()); });
  }
  top.blocks("devices", [&](Block& block) {
    DockerDevice& device = config.devices.emplace_back();
    block.text("host_path", device.host_path);
    block.text("container_path", device.container_path);
    block.text("cgroup_permissions", device.permissions);
    if (device.host_path.empty()) block.say(fmt::format("{} is missing", block.path("host_path")));
  });
  top.map("storage_opt", config.storage_opt);
  top.flag("readonly_rootfs", config.readonly_rootfs);
}

void read_isolation(Block& top, DockerConfig& config) {
  top.flag("privileged", config.privileged);
  top.list("cap_add", config.cap_add);
  top.list("cap_drop", config.cap_drop);
  top.list("security_opt", config.security_opt);
  top.list("group_add", config.group_add);
  top.map("sysctl", config.sysctl);
  std::map<std::string, std::string> ulimits;
  top.map("ulimit", ulimits);
  read_ulimits(ulimits, config, top);
  top.text("work_dir", config.work_dir);
  top.text("ipc_mode", config.ipc_mode);
  top.text("pid_mode", config.pid_mode);
  top.text("uts_mode", config.uts_mode);
  top.text("userns_mode", config.userns_mode);
  top.text("cgroupns", config.cgroupns);
  top.text("runtime", config.runtime);
  top.flag("init", config.init);
  top.flag("interactive", config.interactive);
  top.flag("tty", config.tty);
  top.block("healthchecks",
            [&](Block& block) { block.flag("disable", config.healthcheck_disabled); });
  top.number("memory_hard_limit", config.memory_hard_limit_mb, 0, kNoLimit >> 20);
  top.number("shm_size", config.shm_size_bytes, 0, kNoLimit);
  top.number("pids_limit", config.pids_limit, 0, kNoLimit);
  top.number("oom_score_adj", config.oom_score_adj, 0, 1000);
  top.text("cpuset_cpus", config.cpuset_cpus);
  top.flag("cpu_hard_limit", config.cpu_hard_limit);
  top.number("cpu_cfs_period", config.cpu_cfs_period_us, 1000, 1'000'000);
}

}  // namespace

std::optional<int64_t> parse_duration_ms(std::string_view text) {
  static constexpr std::pair<std::string_view, int64_t> kUnits[] = {
      {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}};
  constexpr int64_t kMaxMs = int64_t{1000} * 24 * 3'600'000;
  if (text.empty()) return std::nullopt;
  int64_t total = 0;
  while (!text.empty()) {
    int64_t number = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || number < 0 || number > kMaxMs) return std::nullopt;
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    size_t length = std::min(text.find_first_of("0123456789"), text.size());
    auto unit = std::ranges::find(kUnits, text.substr(0, length),
                                  &std::pair<std::string_view, int64_t>::first);
    if (unit == std::end(kUnits)) return std::nullopt;
    if (number > (kMaxMs - total) / unit->second) return std::nullopt;
    total += number * unit->second;
    text.remove_prefix(length);
  }
  return total;
}

Result<DockerConfig> decode_docker_config(const Json& json) {
  DockerConfig config;
  std::optional<Error> error;
  Block top(json, "", error);
  read_image(top, config);
  read_network(top, config);
  read_storage(top, config);
  read_isolation(top, config);
  top.unsupported("load", "images come from a registry or are already there");
  top.unsupported("isolation", "it is of Docker on Windows");
  top.unsupported("advertise_ipv6_address", "services advertise the node's address");
  top.refuse_unknown();
  if (error) return std::unexpected(std::move(*error));
  return config;
}

}  // namespace sluice::drivers
