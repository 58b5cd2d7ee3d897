// RawExecDriver: tasks as plain processes of the machine, through the supervisor.
//
// Owner: the node. Thread: the control loop. Configuration: `command` and `args`, as Nomad's
// raw_exec. The task gets the environment of its specification and nothing else, its task folder as
// working folder, a session of its own, and its output in PREFIX.stdout.N and PREFIX.stderr.N. When
// it has ended, what it left running is killed.
#pragma once

#include <map>
#include <string>

#include "drivers/exec/supervisor_client.h"
#include "orchestrator/driver.h"

namespace sluice::drivers::exec {

/// Refuses a `command` that is no string and any other key's value that is no list of strings.
Result<void> check_command(std::string_view driver, std::string_view key, const Json& value);

class RawExecDriver : public orchestrator::TaskDriver {
 public:
  RawExecDriver(Env& env, SupervisorClient& supervisor, std::string cluster_id, std::string node_id)
      : env_(env),
        supervisor_(supervisor),
        cluster_id_(std::move(cluster_id)),
        node_id_(std::move(node_id)) {}

  std::string_view name() const override { return "raw_exec"; }
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
                            const std::string& signal_name) override;
  Task<Result<void>> remove(const orchestrator::TaskHandle& handle) override;
  Task<Result<std::vector<orchestrator::FoundTask>>> list() override;
  Task<Result<orchestrator::TaskStats>> stats(const orchestrator::TaskHandle& handle) override;
  Task<Result<void>> confine(const orchestrator::TaskHandle& handle, const Json& config,
                             const std::string& cpus) override;
  Task<Result<std::unique_ptr<orchestrator::ExecSession>>> exec(
      const orchestrator::TaskHandle& handle, const orchestrator::TaskSpec& spec,
      orchestrator::ExecRequest request) override;
  Task<Result<orchestrator::TaskNetwork>> network(const orchestrator::TaskHandle& handle) override;

 protected:
  /// The specification as this driver's tasks see it, and the request's fields for what surrounds
  /// them. Overridden by ExecDriver.
  virtual orchestrator::TaskSpec adapt(const orchestrator::TaskSpec& spec) const { return spec; }
  virtual void surround(const orchestrator::TaskSpec& spec, Message& request) const;
  /// What this agent cannot give to any task; empty: nothing.
  virtual std::string lacks() const { return {}; }

  Env& env_;
  SupervisorClient& supervisor_;

 private:
  struct Usage {
    int64_t cpu_ms = 0;
    int64_t at_ms = 0;
  };

  std::string cluster_id_;
  std::string node_id_;
  std::map<orchestrator::TaskKey, Usage> usage_;  // of the last stats(), until remove()
};

}  // namespace sluice::drivers::exec
