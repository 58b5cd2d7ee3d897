#include "proxy/wait_queue.h"

#include <array>

#include "core/check.h"
#include "proxy/forward.h"

namespace sluice::proxy {

WaitQueue::~WaitQueue() {
  CHECK(waiting_.empty());
  reactor_.timers().remove(*this);
  reactor_.cancel_resume(*this);
}

bool WaitQueue::join(Aside& aside, const RouteLimits& limits, int64_t until_ms) {
  if (!limits.join_queue()) return false;
  if (waiting_.empty()) reactor_.timers().arm(*this, reactor_.now_ms() + kLookMs);
  aside.waits_for = Ref<RouteLimits>::share(const_cast<RouteLimits*>(&limits));
  aside.wait_until_ms = until_ms;
  waiting_.push_back(aside);
  return true;
}

void WaitQueue::leave(Aside& aside) {
  if (!aside.waits_for) return;
  aside.wait_node.unlink();
  aside.waits_for->leave_queue();
  aside.waits_for = {};
}

void WaitQueue::on_timer() {
  // Those whose time is up are answered, which lets nobody else out of the list.
  for (Aside* aside = waiting_.front(); aside != nullptr;) {
    Aside* next = waiting_.next(*aside);
    if (aside->wait_until_ms <= reactor_.now_ms()) aside->owner.on_wait_timeout();
    aside = next;
  }
  if (waiting_.empty()) return;
  reactor_.timers().arm(*this, reactor_.now_ms() + kLookMs);
  on_resume();
}

void WaitQueue::on_resume() {
  // Where the first of a route still finds nothing, those behind it would not either.
  std::array<const RouteLimits*, 8> full{};
  size_t full_count = 0;
  int tries = 0;
  for (Aside* aside = waiting_.front(); aside != nullptr && tries < kTriesATurn;) {
    Aside* next = waiting_.next(*aside);
    const RouteLimits* route = aside->waits_for.get();
    bool skip = false;
    for (size_t i = 0; i < full_count; ++i) skip = skip || full[i] == route;
    if (!skip) {
      ++tries;
      if (aside->owner.on_wait_over() && full_count < full.size()) full[full_count++] = route;
    }
    aside = next;
  }
}

}  // namespace sluice::proxy
