// WaitQueue: exchanges of one reactor that wait for an endpoint at its connection limit, in the
// order in which they came. Each tries again when an exchange of its route ends here, and at least
// every kLookMs, because one may have ended on another reactor.
//
// Owner: Worker. Thread: the reactor's. Limits: RouteLimits bounds how many wait for a route, in
// the whole process; Timeouts::queue_ms how long.
#pragma once

#include <cstdint>

#include "core/reactor.h"
#include "proxy/aside.h"

namespace sluice::proxy {

class WaitQueue final : private Timer, private Resumable {
 public:
  static constexpr int64_t kLookMs = 50;
  static constexpr int kTriesATurn = 64;

  explicit WaitQueue(Reactor& reactor) : reactor_(reactor) {}
  ~WaitQueue();

  /// False: as many wait for the route as may.
  bool join(Aside& aside, const RouteLimits& limits, int64_t until_ms);
  /// It waits no more; of one that does not wait nothing.
  void leave(Aside& aside);
  /// An endpoint may have become free.
  void wake() {
    if (!waiting_.empty()) reactor_.resume_later(*this);
  }

 private:
  void on_timer() override;
  void on_resume() override;

  Reactor& reactor_;
  IntrusiveList<Aside, &Aside::wait_node> waiting_;
};

}  // namespace sluice::proxy
