#include "drivers/docker/node_config.h"

#include <string_view>
#include <utility>

#include "drivers/docker/block.h"

namespace sluice::drivers {
namespace {

void take_endpoint(Block& top, DockerNodeConfig& into) {
  std::string endpoint;
  top.text("endpoint", endpoint);
  if (endpoint.empty()) return;
  constexpr std::string_view kUnix = "unix://";
  if (endpoint.starts_with(kUnix)) endpoint.erase(0, kUnix.size());
  if (!endpoint.starts_with('/')) {
    return top.say(fmt::format("{} = \"{}\" must be a Unix socket: \"unix:///var/run/docker.sock\"",
                               top.path("endpoint"), endpoint));
  }
  into.socket = std::move(endpoint);
}

/// A path of the options ("docker.cleanup.image.delay") and the one in the plugin's block.
constexpr std::pair<std::string_view, std::string_view> kOptions[] = {
    {"docker.endpoint", "endpoint"},
    {"docker.auth.config", "auth.config"},
    {"docker.auth.helper", "auth.helper"},
    {"docker.cleanup.image", "gc.image"},
    {"docker.cleanup.image.delay", "gc.image_delay"},
    {"docker.cleanup.container", "gc.container"},
    {"docker.volumes.enabled", "volumes.enabled"},
    {"docker.privileged.enabled", "allow_privileged"},
};
constexpr std::string_view kCapsOption = "docker.caps.whitelist";

Json comma_list(std::string_view text) {
  Json list = Json::array();
  while (!text.empty()) {
    const size_t comma = text.find(',');
    std::string_view item = text.substr(0, comma);
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    if (!item.empty()) list.push(item);
  }
  return list;
}

}  // namespace

Result<void> read_docker_plugin(const Json& config, DockerNodeConfig& into) {
  std::optional<Error> error;
  Block top(config, "plugin docker: config", error);
  take_endpoint(top, into);
  top.block("auth", [&](Block& auth) {
    auth.text("config", into.auth_file);
    auth.text("helper", into.auth_helper);
  });
  top.block("gc", [&](Block& gc) {
    gc.flag("image", into.remove_images);
    gc.duration("image_delay", into.image_delay_ms);
    bool container = true;
    gc.flag("container", container);
    // The next start of the task needs its name.
    if (!container)
      gc.say("plugin docker: gc.container = false: containers that ended do not stay");
  });
  top.block("volumes",
            [&](Block& volumes) { volumes.flag("enabled", into.policy.allow_host_volumes); });
  top.flag("allow_privileged", into.policy.allow_privileged);
  top.list("allow_caps", into.policy.allow_caps);
  top.flag("allow_devices", into.policy.allow_host_devices);
  top.refuse_unknown();
  if (error) return std::unexpected(std::move(*error));
  return {};
}

Result<void> read_docker_options(const std::map<std::string, std::string>& options,
                                 DockerNodeConfig& into) {
  Json config = Json::object();
  for (const auto& [name, value] : options) {
    if (!name.starts_with("docker.")) continue;
    if (name == kCapsOption) {
      config.set("allow_caps", comma_list(value));
      continue;
    }
    const auto* known =
        std::ranges::find(kOptions, name, [](const auto& pair) { return pair.first; });
    if (known == std::end(kOptions)) {
      return fail(Code::kInvalid, "client options: unknown option \"{}\"", name);
    }
    const std::string_view path = known->second;
    const size_t dot = path.find('.');
    if (dot == std::string_view::npos) {
      config.set(path, value);
      continue;
    }
    Json* inner = config.find(path.substr(0, dot));
    if (inner == nullptr) {
      config.set(path.substr(0, dot), Json::object());
      inner = config.find(path.substr(0, dot));
    }
    inner->set(path.substr(dot + 1), value);
  }
  return read_docker_plugin(config, into);
}

}  // namespace sluice::drivers
