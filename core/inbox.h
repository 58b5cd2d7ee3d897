// Inbox: how other threads speak to a thread that runs a libuv loop: closures under a mutex, and
// one wake-up.
//
// Owner: the loop's thread. post() from any thread until close(). Limit: none of its own; who posts
// is bounded (route versions, drains, statistics), never one message a request.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

struct uv_loop_s;
struct uv_async_s;

namespace sluice {

class Inbox {
 public:
  using Message = std::move_only_function<void()>;

  explicit Inbox(uv_loop_s* loop);
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;
  ~Inbox();

  /// Runs `message` on the loop's thread, in order. False if the inbox is closed: it will not run.
  bool post(Message message);
  /// Loop's thread: takes no more, drops what has not run, and closes the handle (one more loop
  /// turn).
  void close();

 private:
  void drain();

  std::unique_ptr<uv_async_s> async_;
  std::mutex mutex_;
  std::vector<Message> messages_;
  bool closed_ = false;
};

}  // namespace sluice
