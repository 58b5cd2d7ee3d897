// DockerDriver: tasks as containers, over the Engine API on its Unix socket.
//
// Owner: the node. Thread: the control loop. Outlives the calls made on it.
//
// What is ours is told by labels (container.h): cluster id and node id must match, everything else
// on the machine is foreign and never touched. One stream of Docker's events serves all runs;
// whoever waits for a container looks at it again when an event names it, when the stream was lost
// and is back, and every look_again_ms. dockerd may vanish and return at any time: a wait goes on
// when it is back.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/env.h"
#include "core/log.h"
#include "core/scope.h"
#include "drivers/docker/api.h"
#include "drivers/docker/container.h"
#include "drivers/docker/create.h"
#include "drivers/docker/image_gc.h"
#include "drivers/docker/image_store.h"
#include "drivers/docker/log_pump.h"
#include "orchestrator/driver.h"

namespace sluice::drivers {

struct DockerOptions {
  Address socket{.path = "/var/run/docker.sock"};
  DockerOwner owner;
  DockerPolicy policy;
  CredentialsOptions credentials;
  ImageGcOptions image_gc;
  bool expected = false;  // a node whose Docker was never seen has it all the same: tasks wait
  int64_t look_again_ms = 30'000;
  int64_t reconnect_min_ms = 100;
  int64_t reconnect_max_ms = 5'000;
  int64_t connect_wait_ms = 2'000;  // how long a call waits for the first connection
  int64_t log_stall_ms = 30'000;    // the end of a run waits for its output while more comes
};

class DockerDriver final : public orchestrator::TaskDriver {
 public:
  DockerDriver(Env env, Log& log, DockerOptions options);
  ~DockerDriver() override;

  std::string_view name() const override { return "docker"; }
  Task<orchestrator::DriverHealth> fingerprint() override;
  Result<void> validate(const Json& config) const override;
  Task<Result<orchestrator::TaskHandle>> start(const orchestrator::TaskSpec& spec,
                                               orchestrator::TaskEvents on_event) override;
  Task<Result<void>> recover(const orchestrator::TaskHandle& handle,
                             const orchestrator::TaskSpec& spec) override;
  Task<Result<orchestrator::TaskExit>> wait(const orchestrator::TaskHandle& handle) override;
  Task<Result<void>> stop(const orchestrator::TaskHandle& handle, const std::string& kill_signal,
                          int64_t kill_timeout_ms) override;
  Task<Result<void>> signal(const orchestrator::TaskHandle& handle,
                            const std::string& name) override;
  Task<Result<void>> remove(const orchestrator::TaskHandle& handle) override;
  Task<Result<std::vector<orchestrator::FoundTask>>> list() override;
  Task<Result<orchestrator::TaskStats>> stats(const orchestrator::TaskHandle& handle) override;
  Task<Result<void>> confine(const orchestrator::TaskHandle& handle, const Json& config,
                             const std::string& cpus) override;
  bool probes_health() const override { return true; }
  Task<Result<orchestrator::HealthReport>> health_change(const orchestrator::TaskHandle& handle,
                                                         orchestrator::TaskHealth seen) override;
  Task<Result<std::unique_ptr<orchestrator::ExecSession>>> exec(
      const orchestrator::TaskHandle& handle, const orchestrator::TaskSpec& spec,
      orchestrator::ExecRequest request) override;
  Task<Result<orchestrator::TaskNetwork>> network(const orchestrator::TaskHandle& handle) override;

 private:
  /// What the driver knows of one run while the agent lives.
  struct Run;
  /// Keeps a run's record while a call is at work on it.
  class Use;

  Task<bool> connected();
  Task<Result<ContainerState>> inspect(std::string id);
  Task<Result<std::optional<ContainerState>>> find(const orchestrator::TaskKey& key);
  Task<Result<std::string>> create(const orchestrator::TaskSpec& spec, const DockerConfig& config,
                                   const orchestrator::TaskEvents& on_event);
  Task<Result<void>> clear_name(std::string name, const orchestrator::TaskKey& key,
                                const orchestrator::TaskEvents& on_event);
  Task<Result<void>> start_container(const std::string& id, const std::string& name);
  Task<Result<void>> remove_container(std::string id);
  Task<Result<void>> kill(std::string id, std::string signal);
  Task<Result<bool>> ended_within(Run& run, int64_t limit_ms);
  Task<Result<void>> ended(Run& run);
  Task<void> await_logs(Run& run);
  Task<bool> ended_with_docker(Run& run, const ContainerState& state);
  Task<bool> of_an_earlier_dockerd(const ContainerState& state);
  Task<bool> start_again(Run& run);

  void take_up(Run& run, const orchestrator::TaskSpec& spec, bool tty);
  orchestrator::TaskHandle handle_of(const orchestrator::TaskSpec& spec,
                                     const ContainerState& state) const;

  Task<void> watch_events();
  Task<Result<void>> read_events(HttpExchange& events);
  void on_event(const Json& event);
  void look_at_all();
  Task<void> look_again();

  Env env_;
  Log& log_;
  DockerOptions options_;
  DockerApi api_;
  ImageGc image_gc_;
  ImageStore images_;
  std::map<orchestrator::TaskKey, std::unique_ptr<Run>> runs_;
  uint64_t connection_ = 0;  // grows at each connection to Docker
  int64_t connected_at_ns_ = 0;
  int64_t lost_at_ns_ = 0;  // when the last one was lost
  Event connected_;         // set while Docker's events are followed
  Event tried_;             // set once the first try is over
  Scope scope_;
};

}  // namespace sluice::drivers
