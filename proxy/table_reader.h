// TableReader: one reactor's view of the route table, and its half of the talk with the publisher.
//
// Owner: the publisher makes it (Publisher::add_reader) and frees it; it belongs to its reactor's
// thread, on which everything here but the two atomics is called.
//
// The rules:
// - table() is the newest table that this reactor knows. Every pick is made from table(), in the
// turn in
//   which it was asked for; a retry asks again. So an endpoint that is gone is never picked.
// - What an exchange keeps beyond its turn (routes, targets, their texts) it keeps alive with a
// Pin, which
//   costs two plain additions. A tunnel, which may live for days, copies what it needs and drops
//   its pin.
// - Endpoints need no pin: begin() and EndpointRef hold them (proxy/endpoint.h).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "proxy/route_table.h"

namespace sluice::proxy {

class TableReader {
  struct Slot;

 public:
  /// Keeps one table. Movable; on the reactor's thread only; gone before the reader is.
  class Pin {
   public:
    Pin() = default;
    Pin(Pin&& other) noexcept
        : reader_(std::exchange(other.reader_, nullptr)),
          slot_(std::exchange(other.slot_, nullptr)) {}
    Pin& operator=(Pin&& other) noexcept {
      std::swap(reader_, other.reader_);
      std::swap(slot_, other.slot_);
      return *this;
    }
    ~Pin() {
      if (slot_ != nullptr) reader_->unpin(slot_);
    }
    explicit operator bool() const { return slot_ != nullptr; }

   private:
    friend class TableReader;
    Pin(TableReader* reader, Slot* slot) : reader_(reader), slot_(slot) { ++slot->pins; }
    TableReader* reader_ = nullptr;
    Slot* slot_ = nullptr;
  };

  [[nodiscard]] const RouteTable& table() const { return *current_->held->table; }
  [[nodiscard]] Pin pin() { return Pin(this, current_); }

  ~TableReader();
  TableReader(const TableReader&) = delete;
  TableReader& operator=(const TableReader&) = delete;

 private:
  friend class Publisher;

  /// A published table and how many readers may still look into it. Freed by the publisher.
  struct Held {
    Ref<RouteTable> table;
    std::atomic<uint32_t> readers{0};
  };
  struct Slot {
    Held* held;
    uint32_t pins = 0;
  };

  using Post = std::function<void(std::move_only_function<void()>)>;

  /// `changed`: from any thread; an acknowledgement came or a table was let go.
  TableReader(Held& first, Post post, std::function<void()> changed);

  void adopt(Held& held);
  void unpin(Slot* slot);
  void let_go(Slot* slot);

  Post post_;  // to the reactor; the publisher calls it
  std::function<void()> changed_;
  std::vector<Slot*> old_;  // pinned ones
  Slot* current_;
  std::atomic<uint64_t> acknowledged_;
};

}  // namespace sluice::proxy
