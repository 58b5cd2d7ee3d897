// RetryBudget: how many requests may be sent once more. Every request earns a fifth of a retry, and
// time a few, so that what fails a little is helped and what fails altogether is not made worse by
// twice the load.
//
// Owner: Worker, one a reactor. Thread: the reactor's. Retries after a stale keep-alive connection
// are not counted: they are the first try at a live one.
#pragma once

#include <algorithm>
#include <cstdint>

namespace sluice::proxy {

class RetryBudget {
 public:
  static constexpr int64_t kEarned = 200;         // thousandths of a retry, by a request
  static constexpr int64_t kASecond = 50'000;     // thousandths, by time alone
  static constexpr int64_t kAtFirst = 1'000'000;  // what is there from the start, and time fills up
  static constexpr int64_t kMost = 10'000'000;

  void earn() { milli_ = std::min(milli_ + kEarned, kMost); }
  bool spend(int64_t now_ms) {
    if (milli_ < kAtFirst) {
      const int64_t since = std::min<int64_t>(now_ms - filled_ms_, 60'000);
      milli_ = std::min(milli_ + since * kASecond / 1000, kAtFirst);
    }
    filled_ms_ = now_ms;
    if (milli_ < 1000) return false;
    milli_ -= 1000;
    return true;
  }

 private:
  int64_t milli_ = kAtFirst;
  int64_t filled_ms_ = 0;
};

}  // namespace sluice::proxy
