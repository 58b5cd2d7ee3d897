// What coroutines on an executor are joined and woken with: Scope (children), Event (a condition),
// sleep_for, on_pool and with_timeout.
//
// Thread: the executor's. Every wake-up is posted, so it comes from the top of a turn: setting an
// Event or spawning a task never runs the other task inside the call.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "core/executor.h"
#include "core/result.h"
#include "core/task.h"

namespace sluice {

/// A condition that tasks wait for. Level-triggered: while set, wait() is ready at once.
/// Owner: outlives its waiters. Waking is fair and in order of waiting.
class Event {
 public:
  explicit Event(Executor& executor) : executor_(executor) {}
  Event(const Event&) = delete;
  ~Event() { CHECK(waiters_.empty()); }

  void set();
  void clear() { set_ = false; }
  bool is_set() const { return set_; }
  /// Wakes those who wait now and stays as it was: "something changed, look again".
  void pulse();

  class Waiter {
   public:
    explicit Waiter(Event& event) : event_(event) {}
    Waiter(const Waiter&) = delete;
    ~Waiter();
    bool await_ready() const noexcept { return event_.set_; }
    void await_suspend(std::coroutine_handle<> task);
    void await_resume() const noexcept {}

   private:
    friend Event;
    Event& event_;
    std::coroutine_handle<> task_;
    std::optional<std::list<Waiter*>::iterator> place_;
    Executor::Ticket ticket_ = Executor::Ticket::kNone;
  };
  Waiter wait() { return Waiter(*this); }

 private:
  Executor& executor_;
  bool set_ = false;
  std::list<Waiter*> waiters_;
};

/// Holds running tasks. Destroying it cancels those that still run.
class Scope {
 public:
  explicit Scope(Executor& executor);
  Scope(const Scope&) = delete;
  ~Scope();

  Executor& executor() const { return executor_; }
  /// Starts the task in a later turn.
  void spawn(Task<void> task);
  /// Destroys every task that still runs. Not from one of them.
  void cancel_all();
  /// Ready once no task runs.
  Task<void> join();
  size_t running() const { return children_.size(); }

 private:
  struct Child;
  struct Root;
  static Root run(Scope& scope, Child& child);
  void finished(Child& child);

  Executor& executor_;
  Event idle_;
  std::list<std::unique_ptr<Child>> children_;
};

/// co_await sleep_for(executor, 250);
class sleep_for {
 public:
  sleep_for(Executor& executor, int64_t delay_ms) : executor_(executor), delay_ms_(delay_ms) {}
  sleep_for(const sleep_for&) = delete;
  ~sleep_for() { executor_.cancel(ticket_); }
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> task) {
    ticket_ = executor_.post_after(delay_ms_, [this, task] {
      ticket_ = Executor::Ticket::kNone;
      task.resume();
    });
  }
  void await_resume() const noexcept {}

 private:
  Executor& executor_;
  int64_t delay_ms_;
  Executor::Ticket ticket_ = Executor::Ticket::kNone;
};

/// auto rows = co_await on_pool(executor, [query = std::move(query)] { return run(query); });
/// The function owns what it touches: it may go on after the task that waits was cancelled.
template <class F>
class on_pool {
 public:
  using T = std::invoke_result_t<F>;
  on_pool(Executor& executor, F work)
      : executor_(executor), shared_(std::make_shared<Shared>(std::move(work))) {}
  on_pool(const on_pool&) = delete;
  ~on_pool() { executor_.cancel(ticket_); }
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> task) {
    ticket_ = executor_.post_to_pool([shared = shared_] { shared->result.emplace(shared->work()); },
                                     [this, task] {
                                       ticket_ = Executor::Ticket::kNone;
                                       task.resume();
                                     });
  }
  T await_resume() { return std::move(*shared_->result); }

 private:
  struct Shared {
    explicit Shared(F f) : work(std::move(f)) {}
    F work;
    std::optional<T> result;
  };
  Executor& executor_;
  std::shared_ptr<Shared> shared_;
  Executor::Ticket ticket_ = Executor::Ticket::kNone;
};

/// The task's result, or nothing once `stop` is set; the task is cancelled then.
template <class T>
Task<std::optional<T>> until(Executor& executor, Task<T> task, Event& stop) {
  std::optional<T> result;
  Event done(executor);
  Scope scope(executor);
  auto work = [](Task<T> inner, std::optional<T>& out, Event& event) -> Task<void> {
    out.emplace(co_await inner);
    event.set();
  };
  auto watch = [](Event& stopped, Event& event) -> Task<void> {
    co_await stopped.wait();
    event.set();
  };
  scope.spawn(work(std::move(task), result, done));
  scope.spawn(watch(stop, done));
  co_await done.wait();
  co_return std::move(result);
}

/// The task's result, or kTimeout after `limit_ms`; the task is cancelled then.
template <class T>
Task<Result<T>> with_timeout(Executor& executor, int64_t limit_ms, Task<Result<T>> task) {
  std::optional<Result<T>> result;
  Event done(executor);
  Scope scope(executor);
  auto work = [](Task<Result<T>> inner, std::optional<Result<T>>& out, Event& event) -> Task<void> {
    out.emplace(co_await inner);
    event.set();
  };
  auto watch = [](Executor& on, int64_t delay_ms, Event& event) -> Task<void> {
    co_await sleep_for(on, delay_ms);
    event.set();
  };
  scope.spawn(work(std::move(task), result, done));
  scope.spawn(watch(executor, limit_ms, done));
  co_await done.wait();
  if (result) co_return std::move(*result);
  co_return fail(Code::kTimeout, "no answer within {} ms", limit_ms);
}

}  // namespace sluice
