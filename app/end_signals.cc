#include "app/end_signals.h"

#include <csignal>
#include <utility>

namespace sluice {

void EndSignals::watch() {
  loop_.watch_signal(SIGTERM, [this] { on_signal("SIGTERM"); });
  loop_.watch_signal(SIGINT, [this] { on_signal("SIGINT"); });
}

void EndSignals::on_signal(const char* name) {
  if (std::exchange(ending_, true)) {
    log_.warn("{} again: ending at once", name);
    cut_short_ = true;
    loop_.stop();
    return;
  }
  log_.info("{}: stopping", name);
  begin_end_();
}

}  // namespace sluice
