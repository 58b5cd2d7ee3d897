// IntrusiveList: a doubly linked list whose nodes live inside the objects; links and unlinks
// allocate nothing.
//
// Owner: the list owns nothing. A node that is destroyed while linked aborts, and so does a list
// that is destroyed with nodes in it: both are dangling links. Thread: the owner's.
#pragma once

#include <cstddef>

#include "core/check.h"

namespace sluice {

struct ListNode {
  ListNode() = default;
  ListNode(const ListNode&) = delete;
  ListNode& operator=(const ListNode&) = delete;
  ~ListNode() { CHECK(!linked()); }

  bool linked() const { return next_ != nullptr; }
  void unlink() {
    if (next_ == nullptr) return;
    prev_->next_ = next_;
    next_->prev_ = prev_;
    next_ = prev_ = nullptr;
  }

  ListNode* next_ = nullptr;
  ListNode* prev_ = nullptr;
};

/// T is the object, Node the member or base that links it: IntrusiveList<Timer, &Timer::node>.
template <class T, ListNode T::* Node>
class IntrusiveList {
 public:
  IntrusiveList() { head_.next_ = head_.prev_ = &head_; }
  IntrusiveList(const IntrusiveList&) = delete;
  IntrusiveList& operator=(const IntrusiveList&) = delete;
  ~IntrusiveList() {
    CHECK(empty());
    head_.next_ = nullptr;
  }

  bool empty() const { return head_.next_ == &head_; }
  T* front() { return empty() ? nullptr : object(head_.next_); }
  T* back() { return empty() ? nullptr : object(head_.prev_); }
  T* next(T& object_in_list) {
    ListNode* node = (object_in_list.*Node).next_;
    return node == &head_ ? nullptr : object(node);
  }
  void push_back(T& item) { link(&(item.*Node), head_.prev_, &head_); }
  void push_front(T& item) { link(&(item.*Node), &head_, head_.next_); }
  T* pop_front() {
    T* item = front();
    if (item != nullptr) (item->*Node).unlink();
    return item;
  }
  /// Takes all nodes of the other list, which is empty then; they come after ours.
  void splice(IntrusiveList& other) {
    while (T* item = other.pop_front()) push_back(*item);
  }

 private:
  static void link(ListNode* node, ListNode* prev, ListNode* next) {
    CHECK(!node->linked());
    node->prev_ = prev;
    node->next_ = next;
    prev->next_ = next->prev_ = node;
  }
  static T* object(ListNode* node) {
    // The member's offset, from a pointer to member; there is no portable offsetof for it.
    alignas(T) static char place[sizeof(T)];
    const auto* dummy = reinterpret_cast<const T*>(place);
    const auto offset = reinterpret_cast<const char*>(&(dummy->*Node)) - place;
    return reinterpret_cast<T*>(reinterpret_cast<char*>(node) - offset);
  }

  ListNode head_;
};

}  // namespace sluice
