// The docker driver's record of one run, and how calls hold on to it. Of driver*.cc alone.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "drivers/docker/driver.h"

namespace sluice::drivers {

struct DockerDriver::Run {
  Run(Executor& executor, orchestrator::TaskKey run_key, std::string id)
      : key(std::move(run_key)), container_id(std::move(id)), changed(executor) {}

  orchestrator::TaskKey key;
  std::string container_id;
  Event changed;         // pulsed: look at the container again
  uint64_t changes = 0;  // how often; what was seen before the last one may be old
  bool stop_asked = false;
  bool oneshot = false;
  uint64_t seen_running = 0;     // the connection to Docker in which it was last seen running
  uint64_t kill_connection = 0;  // that in which somebody, not we, sent it a signal to end
  int64_t kill_at_ns = 0;        // when; 0: nobody did
  bool removed = false;          // the record goes with its last user
  size_t users = 0;
  std::unique_ptr<LogPump> logs;
  LogCopyOptions log_options;        // of `logs`
  const LogPump* stalled = nullptr;  // of which the end was not waited for
  std::string output_missing;        // why; "": all of it is written, as far as is known

  void look() {
    ++changes;
    changed.pulse();
  }
};

class DockerDriver::Use {
 public:
  Use(DockerDriver& driver, const orchestrator::TaskKey& key, const std::string& container_id)
      : runs_(driver.runs_) {
    std::unique_ptr<Run>& slot = runs_[key];
    if (!slot) slot = std::make_unique<Run>(driver.env_.executor, key, container_id);
    run_ = slot.get();
    ++run_->users;
  }
  Use(const Use&) = delete;
  ~Use() {
    if (--run_->users == 0 && run_->removed) runs_.erase(orchestrator::TaskKey(run_->key));
  }
  Run* operator->() const { return run_; }
  Run& operator*() const { return *run_; }

 private:
  std::map<orchestrator::TaskKey, std::unique_ptr<Run>>& runs_;
  Run* run_;
};

/// Where a handle's state keeps the container's id.
inline constexpr const char* kContainerId = "container_id";

inline std::string container_of(const orchestrator::TaskHandle& handle) {
  return std::string(handle.state.get_string(kContainerId));
}

/// An id as people know it.
inline std::string short_id(const std::string& id) {
  return id.substr(0, 12);
}

}  // namespace sluice::drivers
