// Who we are at a registry: from the task's own `auth`, from Docker's config file, or from the
// credential helper that either names.
//
// Values and pure functions; any thread. Passwords and tokens are never logged.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/json.h"
#include "core/result.h"
#include "drivers/docker/config.h"
#include "drivers/docker/image_ref.h"

namespace sluice::drivers {

struct RegistryAuth {
  std::string username;
  std::string password;
  std::string email;
  std::string server_address;
  std::string identity_token;  // in place of a password

  bool operator==(const RegistryAuth&) const = default;
};

/// The name under which config files and helpers know a registry: its host and port, for Docker Hub
/// "https://index.docker.io/v1/".
std::string registry_key(const ImageRef& ref);

/// What the task itself says; nullopt where it says nothing.
std::optional<RegistryAuth> task_auth(const DockerAuth& auth, const ImageRef& ref);

/// What a config file says of a registry: credentials, a helper to ask, or neither.
struct ConfigFileAuth {
  std::optional<RegistryAuth> auth;
  std::string helper;  // "ecr-login", for docker-credential-ecr-login
};
/// credHelpers comes before credsStore, which comes before auths.
Result<ConfigFileAuth> config_file_auth(const Json& file, const ImageRef& ref);

/// A helper's answer to `get`.
Result<RegistryAuth> helper_auth(std::string_view answer, const ImageRef& ref);

/// The value of X-Registry-Auth.
std::string registry_auth_header(const RegistryAuth& auth);

}  // namespace sluice::drivers
