// What the owner of a node says of Docker: the agent's plugin "docker" { config { ... } }, or the
// older options of the client block ("docker.volumes.enabled"). Unknown keys are refused by name.
//
// Values. Pure; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/json.h"
#include "core/result.h"
#include "drivers/docker/create.h"

namespace sluice::drivers {

struct DockerNodeConfig {
  std::string socket = "/var/run/docker.sock";
  std::string auth_file;    // Docker's config.json; "": the user's own, where there is one
  std::string auth_helper;  // "NAME" of docker-credential-NAME
  DockerPolicy policy;
  bool remove_images = true;  // those that we pulled, once no container has needed them so long:
  int64_t image_delay_ms = 3 * 60 * 1000;
};

/// Reads the block over what `into` holds already: of several files the last one wins.
Result<void> read_docker_plugin(const Json& config, DockerNodeConfig& into);

/// Reads the options of the client block whose names begin with "docker.".
Result<void> read_docker_options(const std::map<std::string, std::string>& options,
                                 DockerNodeConfig& into);

}  // namespace sluice::drivers
