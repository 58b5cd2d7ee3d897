#include "core/scope.h"

namespace sluice {

void Event::set() {
  set_ = true;
  pulse();
}

void Event::pulse() {
  while (!waiters_.empty()) {
    Waiter* waiter = waiters_.front();
    waiters_.pop_front();
    waiter->place_.reset();
    waiter->ticket_ = executor_.post([waiter] {
      waiter->ticket_ = Executor::Ticket::kNone;
      waiter->task_.resume();
    });
  }
}

void Event::Waiter::await_suspend(std::coroutine_handle<> task) {
  task_ = task;
  place_ = event_.waiters_.insert(event_.waiters_.end(), this);
}

Event::Waiter::~Waiter() {
  if (place_) event_.waiters_.erase(*place_);
  if (ticket_ != Executor::Ticket::kNone) event_.executor_.cancel(ticket_);
}

// The frame at the root of a spawned task. It ends in final_suspend, where the scope destroys it: a
// coroutine that is suspended there may be destroyed from its own final awaiter.
struct Scope::Root {
  struct promise_type {
    Scope& scope;
    Child& child;
    promise_type(Scope& s, Child& c) : scope(s), child(c) {}
    Root get_return_object() {
      return Root{std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    struct Final {
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<promise_type> self) const noexcept {
        promise_type& promise = self.promise();
        promise.scope.finished(promise.child);
      }
      void await_resume() const noexcept {}
    };
    Final final_suspend() const noexcept { return {}; }
    [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }
    void return_void() const noexcept {}
  };
  std::coroutine_handle<promise_type> frame;
};

struct Scope::Child {
  Executor& executor;
  Task<void> task;
  std::coroutine_handle<> root;
  std::list<std::unique_ptr<Child>>::iterator place;
  Executor::Ticket start = Executor::Ticket::kNone;

  ~Child() {
    executor.cancel(start);
    if (root) root.destroy();
  }
};

Scope::Scope(Executor& executor) : executor_(executor), idle_(executor) {}

Scope::~Scope() {
  cancel_all();
}

Scope::Root Scope::run(Scope&, Child& child) {
  co_await child.task;
}

void Scope::spawn(Task<void> task) {
  CHECK(task);
  idle_.clear();
  children_.push_front(std::make_unique<Child>(executor_, std::move(task)));
  Child& child = *children_.front();
  child.place = children_.begin();
  child.root = run(*this, child).frame;
  child.start = executor_.post([&child] {
    child.start = Executor::Ticket::kNone;
    child.root.resume();
  });
}

void Scope::finished(Child& child) {
  std::unique_ptr<Child> owned = std::move(*child.place);
  children_.erase(child.place);
  if (children_.empty()) idle_.set();
}

void Scope::cancel_all() {
  // A task's locals may spawn in their destructors; those go too.
  while (!children_.empty()) {
    std::unique_ptr<Child> child = std::move(children_.front());
    children_.pop_front();
  }
  idle_.set();
}

Task<void> Scope::join() {
  if (!children_.empty()) co_await idle_.wait();
}

}  // namespace sluice
