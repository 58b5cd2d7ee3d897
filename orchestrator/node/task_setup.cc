#include "orchestrator/node/task_setup.h"

#include "core/base64.h"
#include "orchestrator/node/artifacts.h"
#include "orchestrator/node/task_files.h"

namespace sluice::orchestrator {

namespace {

constexpr uint32_t kPayloadMode = 0644;

}  // namespace

TaskSetup::TaskSetup(NodeContext& context, const Job& job, const TaskConfig& task,
                     TaskFolders folders, Hooks hooks)
    : context_(context),
      payload_(job.payload.value_or("")),
      task_(task),
      folders_(std::move(folders)),
      hooks_(std::move(hooks)),
      templates_(context, task_.templates, folders_,
                 {.event = [this](std::string text) { hooks_.event("Template", std::move(text)); },
                  .restart = hooks_.restart,
                  .signal = hooks_.signal}),
      scope_(context.env.executor) {}

Result<void> TaskSetup::write_payload() {
  if (!task_.dispatch_payload || payload_.empty()) return {};
  Result<std::string> bytes = base64_decode(payload_);
  if (!bytes) return pass(bytes, "payload");
  Result<TaskPath> place = task_path(folders_.local, folders_.local, task_.dispatch_payload->file);
  if (!place) return pass(place, "dispatch_payload");
  return write_inside(*place, *bytes, kPayloadMode);
}

Task<Result<void>> TaskSetup::prepare(const TaskEnv& environment, bool fetched) {
  if (!fetched) {
    if (Result<void> written = write_payload(); !written) co_return written;
    if (!task_.artifacts.empty()) {
      hooks_.event("Downloading Artifacts", "Client is downloading artifacts");
    }
    for (const Artifact& artifact : task_.artifacts) {
      Result<void> done =
          co_await with_timeout(context_.env.executor, kFetchTimeoutMs,
                                fetch_artifact(context_, artifact, folders_, environment));
      if (!done) co_return pass(done, "failed to download artifact \"{}\"", artifact.source);
    }
  }
  co_return co_await templates_.render_all(environment);
}

Task<void> TaskSetup::follow_templates(const TaskEnv& environment, bool taken_over) {
  if (taken_over) co_await templates_.take_over(environment);
  co_await templates_.watch(environment);
}

void TaskSetup::watch(const TaskEnv& environment, bool taken_over) {
  if (std::exchange(watching_, true)) return;
  scope_.spawn(follow_templates(environment, taken_over));
}

}  // namespace sluice::orchestrator
