// Table<T>: an ordered map of records that is cheap to share: a B+-tree whose nodes are copied on
// write.
//
// Copying a Table takes constant time and gives a snapshot. A change copies only the path to the
// record, and not even that where nobody else holds it, so a commit of many changes costs what it
// touches.
//
// Thread: a Table is changed by one thread; copies of it may be read and dropped on any thread.
// Reference counts are atomic; a node that is reachable from two tables is never written.
//
// T has `RecordKey record_key(const T&)` (found by argument-dependent lookup); the key's strings
// live in the record and do not change while it is in a table.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

#include "core/check.h"

namespace sluice::orchestrator {

/// Ordered by id, then namespace, then number. Jobs sort by id first so that prefixes of ids are
/// ranges.
struct RecordKey {
  std::string_view id;
  std::string_view space;
  uint64_t number = 0;

  /// The id's first eight bytes as a number that sorts as they do: most comparisons end here, in
  /// the tree's own memory, without a look at the record.
  [[nodiscard]] uint64_t head() const {
    unsigned char bytes[8] = {};
    if (!id.empty()) std::memcpy(bytes, id.data(), std::min<size_t>(id.size(), 8));
    uint64_t word;
    std::memcpy(&word, bytes, 8);
    return __builtin_bswap64(word);
  }
  auto operator<=>(const RecordKey&) const = default;
  bool operator==(const RecordKey&) const = default;
};

template <class T>
class Table {
 public:
  using Pointer = std::shared_ptr<const T>;

  Table() = default;
  Table(const Table& other) : root_(other.root_), size_(other.size_) { retain(root_); }
  Table(Table&& other) noexcept
      : root_(std::exchange(other.root_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Table& operator=(Table other) noexcept {
    std::swap(root_, other.root_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Table() { release(root_); }

  [[nodiscard]] size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  /// Whether nothing changed between the two; the same table, not equal content.
  [[nodiscard]] bool same_as(const Table& other) const { return root_ == other.root_; }

  /// nullptr: not there.
  [[nodiscard]] const Pointer* find(const RecordKey& key) const {
    const uint64_t head = key.head();
    const Node* node = root_;
    if (!node) return nullptr;
    while (!node->leaf) node = node->children()[child_of(*node, head, key)];
    const size_t at = lower_bound(*node, head, key);
    if (at == node->count || node->heads[at] != head) return nullptr;
    const Pointer& value = node->values()[at];
    return record_key(*value) == key ? &value : nullptr;
  }
  [[nodiscard]] Pointer get(const RecordKey& key) const {
    const Pointer* found = find(key);
    return found ? *found : nullptr;
  }

  /// Calls visit(const Pointer&) in order from the first record whose key is not below `from`,
  /// until it returns false.
  template <class F>
  void visit_from(const RecordKey& from, F&& visit) const {
    if (root_) walk(*root_, from.head(), from, true, visit);
  }
  /// Calls visit(const Pointer&) for all records in order.
  template <class F>
  void each(F&& visit) const {
    visit_from(RecordKey{}, [&](const Pointer& value) {
      visit(value);
      return true;
    });
  }

  /// Adds the record, or replaces the one with its key. Returns the old one, or nullptr.
  Pointer put(Pointer value) {
    CHECK(value);
    const RecordKey key = record_key(*value);
    const uint64_t head = key.head();
    if (!root_) root_ = new Node(true);
    own(root_);
    Node* right = nullptr;
    Pointer old = insert(*root_, head, key, value, right);
    if (right) {
      Node* top = new Node(false);
      top->children()[0] = root_;
      top->children()[1] = right;
      top->heads[0] = first_head(*root_);
      top->heads[1] = first_head(*right);
      top->count = 2;
      root_ = top;
    }
    if (!old) ++size_;
    return old;
  }

  /// Removes the record. Returns it, or nullptr if there was none.
  Pointer remove(const RecordKey& key) {
    if (!find(key)) return nullptr;
    own(root_);
    Pointer old = erase(*root_, key.head(), key);
    --size_;
    while (root_ && !root_->leaf && root_->count == 1) {
      Node* only = root_->children()[0];
      retain(only);
      release(root_);
      root_ = only;
    }
    if (root_->count == 0) {
      release(root_);
      root_ = nullptr;
    }
    return old;
  }

  /// The record for changing, copied first if a snapshot holds it too; nullptr: not there. Its key
  /// must stay. The reference ends at the next call of a changing function or copy of the table.
  T* edit(const RecordKey& key) {
    if (!find(key)) return nullptr;
    const uint64_t head = key.head();
    own(root_);
    Node* node = root_;
    while (!node->leaf) {
      Node*& child = node->children()[child_of(*node, head, key)];
      own(child);
      node = child;
    }
    Pointer& value = node->values()[lower_bound(*node, head, key)];
    if (value.use_count() != 1) value = std::make_shared<T>(*value);
    // Nobody else holds it; every record is made by make_shared<T> of a T that is not const.
    return const_cast<T*>(value.get());
  }

 private:
  static constexpr size_t kWidth = 32;

  struct Node {
    explicit Node(bool is_leaf) : leaf(is_leaf) {}
    ~Node() {
      if (leaf) {
        for (size_t i = 0; i < count; ++i) values()[i].~Pointer();
      } else {
        for (size_t i = 0; i < count; ++i) release(children()[i]);
      }
    }
    Node(const Node&) = delete;

    std::atomic<uint32_t> references = 1;
    const bool leaf;
    uint8_t count = 0;
    uint64_t
        heads[kWidth];  // of the records, or of each child's first record when it was last split
    alignas(Pointer) unsigned char storage[kWidth * sizeof(Pointer)];

    Pointer* values() { return reinterpret_cast<Pointer*>(storage); }
    const Pointer* values() const { return reinterpret_cast<const Pointer*>(storage); }
    Node** children() { return reinterpret_cast<Node**>(storage); }
    Node* const* children() const { return reinterpret_cast<Node* const*>(storage); }
  };

  static void retain(Node* node) {
    if (node) node->references.fetch_add(1, std::memory_order_relaxed);
  }
  static void release(Node* node) {
    if (node && node->references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete node;
  }
  /// Makes the node ours alone. Only the one thread that changes tables makes counts grow from one
  /// here.
  static void own(Node*& node) {
    if (node->references.load(std::memory_order_acquire) == 1) return;
    Node* copy = new Node(node->leaf);
    copy->count = node->count;
    std::memcpy(copy->heads, node->heads, sizeof(uint64_t) * node->count);
    for (size_t i = 0; i < node->count; ++i) {
      if (node->leaf) {
        new (&copy->values()[i]) Pointer(node->values()[i]);
      } else {
        copy->children()[i] = node->children()[i];
        retain(copy->children()[i]);
      }
    }
    release(node);
    node = copy;
  }

  static const T& first_record(const Node& node) {
    const Node* at = &node;
    while (!at->leaf) at = at->children()[0];
    return *at->values()[0];
  }
  static uint64_t first_head(const Node& node) { return record_key(first_record(node)).head(); }

  /// In a leaf: the first record not below the key.
  static size_t lower_bound(const Node& leaf, uint64_t head, const RecordKey& key) {
    size_t at = static_cast<size_t>(std::lower_bound(leaf.heads, leaf.heads + leaf.count, head) -
                                    leaf.heads);
    while (at < leaf.count && leaf.heads[at] == head && record_key(*leaf.values()[at]) < key) ++at;
    return at;
  }
  /// In an inner node: the child that holds the key if any does. Child 0 also takes what is below
  /// all.
  static size_t child_of(const Node& node, uint64_t head, const RecordKey& key) {
    size_t at = static_cast<size_t>(std::upper_bound(node.heads, node.heads + node.count, head) -
                                    node.heads);
    while (at > 0 && node.heads[at - 1] == head &&
           key < record_key(first_record(*node.children()[at - 1]))) {
      --at;
    }
    return at == 0 ? 0 : at - 1;
  }

  template <class F>
  static bool walk(const Node& node, uint64_t head, const RecordKey& from, bool bounded, F& visit) {
    if (node.leaf) {
      for (size_t i = bounded ? lower_bound(node, head, from) : 0; i < node.count; ++i) {
        if (!visit(node.values()[i])) return false;
      }
      return true;
    }
    size_t i = bounded ? child_of(node, head, from) : 0;
    for (; i < node.count; ++i, bounded = false) {
      if (!walk(*node.children()[i], head, from, bounded, visit)) return false;
    }
    return true;
  }

  static Pointer insert(Node& node, uint64_t head, const RecordKey& key, Pointer& value,
                        Node*& right) {
    if (node.leaf) {
      const size_t at = lower_bound(node, head, key);
      if (at < node.count && node.heads[at] == head && record_key(*node.values()[at]) == key) {
        return std::exchange(node.values()[at], std::move(value));
      }
      Node* into = &node;
      size_t place = at;
      if (node.count == kWidth) {
        right = split(node, at == kWidth ? kWidth - 2 : kWidth / 2);
        if (at > node.count) {
          into = right;
          place = at - node.count;
        }
      }
      open_gap(*into, place);
      into->heads[place] = head;
      new (&into->values()[place]) Pointer(std::move(value));
      return nullptr;
    }
    const size_t at = child_of(node, head, key);
    own(node.children()[at]);
    Node* child_right = nullptr;
    Pointer old = insert(*node.children()[at], head, key, value, child_right);
    node.heads[at] = first_head(*node.children()[at]);
    if (!child_right) return old;
    Node* into = &node;
    size_t place = at + 1;
    if (node.count == kWidth) {
      right = split(node, place == kWidth ? kWidth - 2 : kWidth / 2);
      if (place > node.count) {
        into = right;
        place -= node.count;
      }
    }
    open_gap(*into, place);
    into->heads[place] = first_head(*child_right);
    into->children()[place] = child_right;
    return old;
  }

  /// Moves what is from `keep` on into a new right neighbour. Appending in order splits near the
  /// end, so that leaves stay full.
  static Node* split(Node& node, size_t keep) {
    Node* right = new Node(node.leaf);
    right->count = static_cast<uint8_t>(node.count - keep);
    std::memcpy(right->heads, node.heads + keep, sizeof(uint64_t) * right->count);
    for (size_t i = 0; i < right->count; ++i) {
      if (node.leaf) {
        new (&right->values()[i]) Pointer(std::move(node.values()[keep + i]));
        node.values()[keep + i].~Pointer();
      } else {
        right->children()[i] = node.children()[keep + i];
      }
    }
    node.count = static_cast<uint8_t>(keep);
    return right;
  }

  static void open_gap(Node& node, size_t at) {
    std::memmove(node.heads + at + 1, node.heads + at, sizeof(uint64_t) * (node.count - at));
    for (size_t i = node.count; i > at; --i) {
      if (node.leaf) {
        new (&node.values()[i]) Pointer(std::move(node.values()[i - 1]));
        node.values()[i - 1].~Pointer();
      } else {
        node.children()[i] = node.children()[i - 1];
      }
    }
    ++node.count;
  }

  static void close_gap(Node& node, size_t at) {
    --node.count;
    std::memmove(node.heads + at, node.heads + at + 1, sizeof(uint64_t) * (node.count - at));
    for (size_t i = at; i < node.count; ++i) {
      if (node.leaf) {
        node.values()[i] = std::move(node.values()[i + 1]);
      } else {
        node.children()[i] = node.children()[i + 1];
      }
    }
    if (node.leaf) node.values()[node.count].~Pointer();
  }

  static Pointer erase(Node& node, uint64_t head, const RecordKey& key) {
    if (node.leaf) {
      const size_t at = lower_bound(node, head, key);
      Pointer old = std::move(node.values()[at]);
      close_gap(node, at);
      return old;
    }
    const size_t at = child_of(node, head, key);
    own(node.children()[at]);
    Pointer old = erase(*node.children()[at], head, key);
    Node* child = node.children()[at];
    if (child->count == 0) {
      release(child);
      close_gap(node, at);
    } else {
      node.heads[at] = first_head(*child);
      if (child->count < kWidth / 4) merge_around(node, at);
    }
    return old;
  }

  /// Joins child `at` with a neighbour where both fit in one node.
  static void merge_around(Node& node, size_t at) {
    if (node.count < 2) return;
    const size_t left = at > 0 ? at - 1 : at;
    Node* a = node.children()[left];
    Node* b = node.children()[left + 1];
    if (a->count + b->count > static_cast<int>(kWidth * 3 / 4)) return;
    own(node.children()[left]);
    own(node.children()[left + 1]);
    a = node.children()[left];
    b = node.children()[left + 1];
    for (size_t i = 0; i < b->count; ++i) {
      const size_t to = a->count + i;
      a->heads[to] = b->heads[i];
      if (b->leaf) {
        new (&a->values()[to]) Pointer(std::move(b->values()[i]));
        b->values()[i].~Pointer();
      } else {
        a->children()[to] = b->children()[i];
      }
    }
    a->count = static_cast<uint8_t>(a->count + b->count);
    b->count = 0;
    release(b);
    close_gap(node, left + 1);
  }

  Node* root_ = nullptr;
  size_t size_ = 0;
};

}  // namespace sluice::orchestrator
