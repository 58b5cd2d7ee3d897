// Slab: objects of one type from chunks, reused in last-in-first-out order, so that they stay in
// cache and the steady path allocates nothing. Memory goes back only with the slab.
//
// Owner: a reactor; objects do not move. Thread: the owner's. Limit: `max` objects, then make() is
// nullptr.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "core/check.h"

namespace sluice {

template <class T>
class Slab {
 public:
  explicit Slab(size_t max, size_t chunk = 64) : max_(max), chunk_(chunk) {}
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;
  ~Slab() { CHECK(used_ == 0); }

  template <class... Args>
  T* make(Args&&... args) {
    if (free_ == nullptr && !grow()) return nullptr;
    Cell* cell = free_;
    free_ = cell->next;
    ++used_;
    return new (cell->bytes) T(std::forward<Args>(args)...);
  }
  void free(T* object) {
    object->~T();
    Cell* cell = reinterpret_cast<Cell*>(object);
    cell->next = free_;
    free_ = cell;
    --used_;
  }
  size_t used() const { return used_; }

 private:
  union Cell {
    Cell* next;
    alignas(T) std::byte bytes[sizeof(T)];
  };

  bool grow() {
    const size_t made = chunks_.size() * chunk_;
    if (made >= max_) return false;
    chunks_.push_back(std::make_unique_for_overwrite<Cell[]>(chunk_));
    for (size_t i = chunk_; i-- > 0;) {
      chunks_.back()[i].next = free_;
      free_ = &chunks_.back()[i];
    }
    return true;
  }

  const size_t max_;
  const size_t chunk_;
  size_t used_ = 0;
  Cell* free_ = nullptr;
  std::vector<std::unique_ptr<Cell[]>> chunks_;
};

}  // namespace sluice
