// Intrusive counted references for the immutable nodes of route tables.
//
// A node is built by one thread, never changes once it is published, and is freed by whichever
// thread drops the last reference: in practice the publisher's, because reactors hold whole tables,
// never nodes (proxy/publish.h). Counts are atomic, so copying and dropping are safe on any thread.
//
// Nodes carry their text behind them in the same allocation, so that a lookup pays one cache miss a
// node; hence the creation through T::make and the destruction through T::destroy.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "core/check.h"

namespace sluice::proxy {

/// Base of a node. Starts with one reference, which Ref::adopt takes.
class Counted {
 public:
  Counted() = default;
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

  void add_ref() const { refs_.fetch_add(1, std::memory_order_relaxed); }
  /// True when that was the last one.
  [[nodiscard]] bool drop_ref() const {
    if (refs_.fetch_sub(1, std::memory_order_release) != 1) return false;
    // A load in place of a fence: the same cost on the machines we run on, and TSan understands it.
    static_cast<void>(refs_.load(std::memory_order_acquire));
    return true;
  }
  /// Only its one holder may ask, and then change the node in place.
  [[nodiscard]] bool unique() const { return refs_.load(std::memory_order_acquire) == 1; }

 protected:
  ~Counted() = default;

 private:
  mutable std::atomic<uint32_t> refs_{1};
};

template <class T>
void add_ref(const T* node) {
  if (node != nullptr) node->add_ref();
}
template <class T>
void drop_ref(T* node) {
  if (node != nullptr && node->drop_ref()) T::destroy(node);
}

template <class T>
class Ref {
 public:
  Ref() = default;
  Ref(const Ref& other) : node_(other.node_) { add_ref(node_); }
  Ref(Ref&& other) noexcept : node_(std::exchange(other.node_, nullptr)) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(node_, other.node_);
    return *this;
  }
  ~Ref() { drop_ref(node_); }

  /// Takes over the reference that a new node starts with.
  static Ref adopt(T* node) {
    Ref ref;
    ref.node_ = node;
    return ref;
  }
  static Ref share(T* node) {
    add_ref(node);
    return adopt(node);
  }
  [[nodiscard]] T* release() { return std::exchange(node_, nullptr); }

  [[nodiscard]] T* get() const { return node_; }
  T* operator->() const { return node_; }
  T& operator*() const { return *node_; }
  explicit operator bool() const { return node_ != nullptr; }
  bool operator==(const Ref& other) const = default;

 private:
  T* node_ = nullptr;
};

/// A fixed list of references. One of them, the common case, costs no allocation.
template <class T>
class RefArray {
 public:
  RefArray() = default;
  explicit RefArray(std::vector<Ref<T>> nodes) {
    size_ = static_cast<uint32_t>(nodes.size());
    if (size_ == 1) {
      one_ = nodes[0].release();
    } else if (size_ > 1) {
      many_ = new T*[size_];
      for (uint32_t i = 0; i < size_; ++i) many_[i] = nodes[i].release();
    }
  }
  RefArray(const RefArray&) = delete;
  RefArray& operator=(const RefArray&) = delete;
  RefArray(RefArray&& other) noexcept
      : one_(std::exchange(other.one_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  RefArray& operator=(RefArray&& other) noexcept {
    std::swap(one_, other.one_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~RefArray() {
    for (T* node : view()) drop_ref(node);
    if (size_ > 1) delete[] many_;
  }

  [[nodiscard]] std::span<T* const> view() const {
    return size_ <= 1 ? std::span<T* const>(&one_, size_) : std::span<T* const>(many_, size_);
  }
  [[nodiscard]] uint32_t size() const { return size_; }
  [[nodiscard]] T* operator[](size_t index) const { return size_ == 1 ? one_ : many_[index]; }

  [[nodiscard]] std::vector<Ref<T>> copy() const {
    std::vector<Ref<T>> out;
    out.reserve(size_);
    for (T* node : view()) out.push_back(Ref<T>::share(node));
    return out;
  }

 private:
  union {
    T* one_ = nullptr;
    T** many_;
  };
  uint32_t size_ = 0;
};

}  // namespace sluice::proxy
