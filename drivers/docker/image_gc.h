// ImageGc: takes away the images that we pulled, once no container has needed them for a while. An
// image that was there before, built or pulled by somebody else, is not ours to take.
//
// Owner: the driver. Thread: the control loop. What was pulled, and since when it is not needed, is
// in one small file, written before it is acted on: a restart of the agent neither forgets an image
// nor begins to count anew. Docker itself refuses to remove what a container uses.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "core/env.h"
#include "core/log.h"
#include "core/scope.h"
#include "drivers/docker/api.h"

namespace sluice::drivers {

struct ImageGcOptions {
  std::string file;  // "": nothing is kept and nothing taken away
  int64_t delay_ms = 3 * 60 * 1000;
  int64_t look_every_ms = 60'000;  // or each delay, where that is shorter
  size_t max_images = 10'000;      // in the file; what is above stays in Docker
};

class ImageGc {
 public:
  ImageGc(Env env, Log& log, DockerApi& api, ImageGcOptions options);

  /// While one lives, its image is needed: from the look for it until its container is there.
  class Need {
   public:
    Need(ImageGc& gc, std::string name);
    Need(const Need&) = delete;
    ~Need();

   private:
    ImageGc& gc_;
    std::string name_;
  };

  /// Ready when `name` is not just being taken away.
  Task<void> settled(const std::string& name);
  /// `name` is not there and is about to be pulled: from now on it is ours.
  void pulling(const std::string& name);
  /// A newer image has the name now: the old one has no name any more, and is ours if that was.
  void replaced(const std::string& name, const std::string& old_id);

 private:
  /// By name; since when nothing needs it (0: something does), by the wall's clock.
  using Pulled = std::map<std::string, int64_t>;

  Task<void> run();
  void load();
  void save();
  Task<void> look();
  Task<Result<std::set<std::string>>> used_ids();
  Task<Result<bool>> in_use(std::string name, const std::set<std::string>& used_ids);
  Task<void> take_away(std::string name);

  Env env_;
  Log& log_;
  DockerApi& api_;
  ImageGcOptions options_;
  Pulled pulled_;
  std::multiset<std::string> needed_;
  std::string going_;  // the image that is being taken away
  Event gone_;         // pulsed when that is over
  Scope scope_;
};

}  // namespace sluice::drivers
