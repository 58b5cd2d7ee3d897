#include "drivers/exec/session.h"

#include <algorithm>
#include <array>

namespace sluice::drivers::exec {

ProcessSession::ProcessSession(Executor& executor, std::unique_ptr<Process> process)
    : process_(std::move(process)), arrived_(executor), taken_(executor), readers_(executor) {
  open_ = process_->errors() != nullptr ? 2 : 1;
  readers_.spawn(follow(process_->output(), false));
  if (Stream* errors = process_->errors()) readers_.spawn(follow(*errors, true));
}

Task<void> ProcessSession::follow(Stream& from, bool errors) {
  while (true) {
    std::array<char, kPieceBytes> buffer;
    Result<size_t> got = co_await from.read(buffer);
    // A terminal's end is an error.
    const size_t size = got ? *got : 0;
    pieces_.push_back({.errors = errors, .bytes = std::string(buffer.data(), size)});
    arrived_.pulse();
    if (size == 0) co_return;
    const auto mine = [&](const Piece& piece) { return piece.errors == errors; };
    while (std::any_of(pieces_.begin(), pieces_.end(), mine)) co_await taken_.wait();
  }
}

Task<Result<std::optional<orchestrator::ExecSession::Piece>>> ProcessSession::read() {
  while (pieces_.empty() && open_ > 0) co_await arrived_.wait();
  if (pieces_.empty()) co_return std::optional<Piece>();
  Piece piece = std::move(pieces_.front());
  pieces_.pop_front();
  taken_.pulse();
  if (piece.bytes.empty()) --open_;
  co_return std::optional(std::move(piece));
}

Task<Result<void>> ProcessSession::write(std::string_view input) {
  return process_->input().write(input);
}

Result<void> ProcessSession::end_input() {
  return process_->input().shutdown_write();
}

Task<Result<void>> ProcessSession::resize(uint16_t rows, uint16_t columns) {
  co_return process_->resize(rows, columns);
}

Task<Result<int64_t>> ProcessSession::wait() {
  const ProcessExit exit = co_await process_->wait();
  co_return exit.code;
}

}  // namespace sluice::drivers::exec
