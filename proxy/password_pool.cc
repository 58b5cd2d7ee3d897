#include "proxy/password_pool.h"

#include "core/password.h"

namespace sluice::proxy {

PasswordPool::~PasswordPool() {
  std::deque<Work> dropped;
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    dropped.swap(queue_);
    more_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

bool PasswordPool::submit(Work work) {
  const std::lock_guard lock(mutex_);
  if (closing_ || queue_.size() >= kQueue) return false;
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  queue_.push_back(std::move(work));
  more_.notify_one();
  return true;
}

void PasswordPool::run() {
  for (;;) {
    Work work;
    {
      std::unique_lock lock(mutex_);
      more_.wait(lock, [this] { return closing_ || !queue_.empty(); });
      if (closing_) return;
      work = std::move(queue_.front());
      queue_.pop_front();
    }
    work.done(verify_password(work.password, work.hash));
  }
}

}  // namespace sluice::proxy
