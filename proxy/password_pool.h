// PasswordPool: a thread that checks passwords, so that no reactor waits for bcrypt.
//
// Owner: AuthRegistry. Threads: submit() from any; a check's `done` runs on the pool's. Limit: as
// many checks wait as kQueue; whoever comes then is refused, so that a flood of guesses costs one
// thread and little memory.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace sluice::proxy {

class PasswordPool {
 public:
  static constexpr size_t kQueue = 256;

  struct Work {
    std::string password;
    std::string hash;
    std::move_only_function<void(bool good)> done;
  };

  PasswordPool() = default;
  /// What waits is dropped; what is under way ends first.
  ~PasswordPool();
  PasswordPool(const PasswordPool&) = delete;
  PasswordPool& operator=(const PasswordPool&) = delete;

  /// False: too many wait. The thread starts with the first.
  bool submit(Work work);

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable more_;
  std::deque<Work> queue_;  // guarded by mutex_
  bool closing_ = false;    // guarded by mutex_
  std::thread thread_;      // started under mutex_
};

}  // namespace sluice::proxy
