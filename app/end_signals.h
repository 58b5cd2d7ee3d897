// EndSignals: SIGTERM and SIGINT as `sluice lb` and `sluice agent` take them: the first begins the
// end, in which requests finish; the next ends the process at once.
//
// Owner: the command, beside its loop. Thread: the control loop.
#pragma once

#include <functional>
#include <utility>

#include "core/log.h"
#include "core/loop.h"

namespace sluice {

class EndSignals {
 public:
  /// `begin_end` is called once at most, at the first signal.
  EndSignals(UvLoop& loop, Log& log, std::function<void()> begin_end)
      : loop_(loop), log_(log), begin_end_(std::move(begin_end)) {}
  EndSignals(const EndSignals&) = delete;

  void watch();
  /// The end is under way for another reason: a successor has taken over. A signal ends it at once.
  void end_has_begun() { ending_ = true; }
  [[nodiscard]] bool ending() const { return ending_; }
  /// A signal came while the end was under way, and the loop was stopped.
  [[nodiscard]] bool cut_short() const { return cut_short_; }

 private:
  void on_signal(const char* name);

  UvLoop& loop_;
  Log& log_;
  std::function<void()> begin_end_;
  bool ending_ = false;
  bool cut_short_ = false;
};

}  // namespace sluice
