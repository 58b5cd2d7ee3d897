#include "proxy/table_reader.h"

#include <algorithm>

#include "core/check.h"

namespace sluice::proxy {

TableReader::TableReader(Held& first, Post post, std::function<void()> changed)
    : post_(std::move(post)),
      changed_(std::move(changed)),
      current_(new Slot{&first}),
      acknowledged_(first.table->version()) {}

TableReader::~TableReader() {
  CHECK(old_.empty());
  CHECK(current_->pins == 0);
  delete current_;
}

void TableReader::adopt(Held& held) {
  Slot* before = std::exchange(current_, new Slot{&held});
  CHECK(before->held->table->version() < held.table->version());
  // Release: whoever sees this number sees every begin() of this thread before it.
  acknowledged_.store(held.table->version(), std::memory_order_release);
  if (before->pins == 0) {
    let_go(before);
  } else {
    old_.push_back(before);
  }
  changed_();
}

void TableReader::unpin(Slot* slot) {
  CHECK(slot->pins > 0);
  if (--slot->pins > 0 || slot == current_) return;
  std::erase(old_, slot);
  let_go(slot);
  changed_();
}

void TableReader::let_go(Slot* slot) {
  slot->held->readers.fetch_sub(1, std::memory_order_acq_rel);
  delete slot;
}

}  // namespace sluice::proxy
