// DockerSession: a command in a running container, over one connection that Docker gives up HTTP
// for: its input goes one way, its output comes the other way, in frames where it has no terminal.
//
// Owner: whoever asked for it. Thread: the executor's. Outlived by the driver. Docker has no call
// that ends such a command: one that does not end with its input runs on in the container.
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "drivers/docker/api.h"
#include "orchestrator/driver.h"

namespace sluice::drivers {

class DockerSession final : public orchestrator::ExecSession {
 public:
  static Task<Result<std::unique_ptr<orchestrator::ExecSession>>> open(
      Executor& executor, DockerApi& api, std::string container_id,
      orchestrator::ExecRequest request);

  DockerSession(Executor& executor, DockerApi& api, std::string id, bool terminal,
                std::unique_ptr<Stream> stream, std::string early_bytes);

  Task<Result<std::optional<Piece>>> read() override;
  Task<Result<void>> write(std::string_view input) override;
  Result<void> end_input() override;
  Task<Result<void>> resize(uint16_t rows, uint16_t columns) override;
  Task<Result<int64_t>> wait() override;

 private:
  Result<void> take_frames();

  Executor& executor_;
  DockerApi& api_;
  const std::string id_;  // of the command, not of the container
  const bool terminal_;
  std::unique_ptr<Stream> stream_;
  std::string unread_;
  std::deque<Piece> pieces_;
  bool ended_ = false;
};

}  // namespace sluice::drivers
