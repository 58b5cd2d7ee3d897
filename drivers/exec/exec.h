// ExecDriver: tasks as processes with limits and surroundings of their own.
//
// Owner: the node. Thread: the control loop. As raw_exec, through the same supervisor, and besides:
// a control group with the memory limit and the cpu share of `resources`, pid and IPC namespaces,
// the task's folder as `/` with the machine's programs bound into it read-only, few capabilities,
// and the user nobody unless the task names one. What the machine does not allow (without root:
// namespaces and root; without writable control groups: limits) is left out and said in the task's
// events.
//
// Configuration: command, args, pid_mode and ipc_mode ("private" or "host"), cap_add, cap_drop.
#pragma once

#include "drivers/exec/raw_exec.h"

namespace sluice::drivers::exec {

class ExecDriver final : public RawExecDriver {
 public:
  ExecDriver(Env& env, SupervisorClient& supervisor, std::string cluster_id, std::string node_id);

  std::string_view name() const override { return "exec"; }
  Task<orchestrator::DriverHealth> fingerprint() override;
  Result<void> validate(const Json& config) const override;
  /// kUnsupported: a command beside the task would see what the task may not.
  Task<Result<std::unique_ptr<orchestrator::ExecSession>>> exec(
      const orchestrator::TaskHandle& handle, const orchestrator::TaskSpec& spec,
      orchestrator::ExecRequest request) override;

 protected:
  orchestrator::TaskSpec adapt(const orchestrator::TaskSpec& spec) const override;
  void surround(const orchestrator::TaskSpec& spec, Message& request) const override;
  std::string lacks() const override;

 private:
  bool isolates_;  // root and namespaces
};

}  // namespace sluice::drivers::exec
