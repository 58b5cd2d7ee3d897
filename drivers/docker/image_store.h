// ImageStore: makes sure that an image is on the machine. Tasks that want the same image at the
// same time, with the same credentials, share one pull, and each hears its progress.
//
// Owner: the driver. Thread: the executor's. A pull goes on when a task that waits for it is
// cancelled, for the next one to find; it ends when nothing moves for the idle limit.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "core/executor.h"
#include "core/result.h"
#include "core/scope.h"
#include "drivers/docker/api.h"
#include "drivers/docker/config.h"
#include "drivers/docker/credentials.h"
#include "drivers/docker/image_gc.h"
#include "drivers/docker/image_ref.h"
#include "orchestrator/driver.h"

namespace sluice::drivers {

class ImageStore {
 public:
  ImageStore(Executor& executor, DockerApi& api, ImageGc& gc, CredentialsOptions credentials);
  ~ImageStore();

  /// The image's id ("sha256:..."). Pulls it where it is missing or `config.force_pull`.
  /// The caller holds an ImageGc::Need of it, until its container is there.
  /// kUnavailable: the registry or Docker does not answer now; kNotFound, kDenied: it said no.
  Task<Result<std::string>> ensure(const DockerConfig& config, orchestrator::TaskEvents on_event);

 private:
  struct Pull;
  Task<Result<std::string>> local_id(std::string name);
  Task<Result<std::string>> auth_header(const DockerConfig& config, const ImageRef& ref,
                                        const orchestrator::TaskEvents& on_event);
  Task<void> run_pull(Pull& pull, DockerCall call, int64_t idle_limit_ms);
  Task<Result<void>> read_progress(Pull& pull, HttpExchange& exchange, int64_t idle_limit_ms);

  Executor& executor_;
  DockerApi& api_;
  ImageGc& gc_;
  Credentials credentials_;
  std::map<std::string, std::unique_ptr<Pull>> pulls_;  // by image and credentials
  Scope scope_;
};

/// What the lines of a pull say, added up. Pure.
class PullProgress {
 public:
  /// One line of /images/create's answer. An error line is the pull's error.
  Result<void> line(const Json& line);
  /// "3 of 7 layers, 12.5 of 40.0 MB".
  std::string text() const;

 private:
  struct Layer {
    int64_t current = 0;
    int64_t total = 0;
    bool done = false;
  };
  std::map<std::string, Layer> layers_;
};

}  // namespace sluice::drivers
