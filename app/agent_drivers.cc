#include "app/agent_drivers.h"

#include <cstdlib>
#include <utility>

#include "drivers/docker/driver.h"
#include "drivers/exec/exec.h"
#include "drivers/exec/raw_exec.h"

namespace sluice {

namespace {

/// Docker's own: $DOCKER_CONFIG/config.json, else ~/.docker/config.json.
std::string docker_config_file() {
  if (const char* folder = std::getenv("DOCKER_CONFIG")) {
    return std::string(folder) + "/config.json";
  }
  const char* home = std::getenv("HOME");
  return home != nullptr ? std::string(home) + "/.docker/config.json" : "";
}

}  // namespace

orchestrator::DriverMap make_drivers(const ControlPlaneBase& on, bool exec_enabled,
                                     const std::string& cluster_id, const std::string& node_id,
                                     std::unique_ptr<drivers::exec::SupervisorClient>& supervisor) {
  orchestrator::DriverMap made;
  const bool named = !on.config.docker.auth_file.empty();
  drivers::CredentialsOptions credentials{
      .config_file = named ? on.config.docker.auth_file : docker_config_file(),
      .config_file_named = named,
      .helper = on.config.docker.auth_helper};
  drivers::ImageGcOptions image_gc{.delay_ms = on.config.docker.image_delay_ms};
  if (on.config.docker.remove_images)
    image_gc.file = ControlPlane::client_folder(on.folder) + "/docker-images.json";
  made.emplace("docker",
               std::make_unique<drivers::DockerDriver>(
                   on.env, on.log,
                   drivers::DockerOptions{.socket = {.path = on.config.docker.socket},
                                          .owner = {.cluster_id = cluster_id, .node_id = node_id},
                                          .policy = on.config.docker.policy,
                                          .credentials = std::move(credentials),
                                          .image_gc = std::move(image_gc),
                                          // With the server on this machine there is no other node
                                          // that could have Docker.
                                          .expected = on.config.server_enabled}));
  if (!exec_enabled) {
    on.log.info("driver exec: {}", kNoExec);
  }
  if (!on.config.raw_exec_enabled && !exec_enabled) return made;
  supervisor = std::make_unique<drivers::exec::SupervisorClient>(on.env, on.log,
                                                                 on.folder.path() + "/supervisor");
  if (exec_enabled) {
    made.emplace("exec", std::make_unique<drivers::exec::ExecDriver>(on.env, *supervisor,
                                                                     cluster_id, node_id));
  }
  if (on.config.raw_exec_enabled) {
    made.emplace("raw_exec", std::make_unique<drivers::exec::RawExecDriver>(on.env, *supervisor,
                                                                            cluster_id, node_id));
  }
  return made;
}

}  // namespace sluice
