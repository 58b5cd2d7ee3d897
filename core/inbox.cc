#include "core/inbox.h"

#include <uv.h>

#include "core/check.h"

namespace sluice {

Inbox::Inbox(uv_loop_s* loop) : async_(std::make_unique<uv_async_t>()) {
  CHECK(uv_async_init(loop, async_.get(),
                      [](uv_async_t* async) { static_cast<Inbox*>(async->data)->drain(); }) == 0);
  async_->data = this;
}

Inbox::~Inbox() {
  CHECK(closed_);
}

bool Inbox::post(Message message) {
  const std::lock_guard lock(mutex_);
  if (closed_) return false;
  messages_.push_back(std::move(message));
  // Under the lock, so that close() cannot close the handle between the push and this.
  if (messages_.size() == 1) uv_async_send(async_.get());
  return true;
}

void Inbox::close() {
  std::vector<Message> dropped;
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    closed_ = true;
    dropped.swap(messages_);
  }
  async_->data = nullptr;
  // The close callback frees the uv struct and nothing else.
  uv_close(reinterpret_cast<uv_handle_t*>(async_.release()),
           [](uv_handle_t* handle) { delete reinterpret_cast<uv_async_t*>(handle); });
}

void Inbox::drain() {
  std::vector<Message> batch;
  {
    const std::lock_guard lock(mutex_);
    batch.swap(messages_);
  }
  for (Message& message : batch) message();
}

}  // namespace sluice
