// Credentials: finds what to say to a registry, reading Docker's config file and asking credential
// helpers anew at each pull, because passwords change and tokens end.
//
// Owner: the image store. Thread: the control loop; what blocks (files, helpers) runs on the pool.
// A helper has helper_quiet_ms between two things that it says, and kHelperBytes in all.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/executor.h"
#include "core/result.h"
#include "core/task.h"
#include "drivers/docker/registry_auth.h"

namespace sluice::drivers {

struct CredentialsOptions {
  std::string config_file;         // Docker's config.json; empty: none
  bool config_file_named = false;  // by the operator: then it must be there
  std::string helper;              // asked where neither the task nor the file knows the registry
  int64_t helper_quiet_ms = 10'000;
};

class Credentials {
 public:
  Credentials(Executor& executor, CredentialsOptions options)
      : executor_(executor), options_(std::move(options)) {}

  /// nullopt: none are known, the registry is asked without. An error names the file or the helper.
  Task<Result<std::optional<RegistryAuth>>> find(const DockerAuth& of_task, const ImageRef& ref);

 private:
  Executor& executor_;
  CredentialsOptions options_;
};

/// Runs `docker-credential-NAME get`: what it says, or nullopt where it knows no such registry.
/// Blocks.
Result<std::optional<std::string>> ask_credential_helper(const std::string& name,
                                                         const std::string& registry,
                                                         int64_t quiet_ms);

}  // namespace sluice::drivers
