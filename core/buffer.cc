#include "core/buffer.h"

#include <cstdlib>
#include <cstring>

#include "core/check.h"

namespace sluice {

namespace {

// Blocks that begin at the same offset of a page would all fight for the same few sets of the
// caches, since the first lines of a block are the hot ones. So each block is led by a different
// number of lines.
constexpr uint32_t kColours = 16;
constexpr uint32_t kColourBytes = 192;
constexpr uint32_t kLead = kColours * kColourBytes + sizeof(uint32_t);

}  // namespace

BufferPool::~BufferPool() {
  for (int i = 0; i < 2; ++i) {
    CHECK(classes_[i].used == 0);
    for (char* block : classes_[i].free) std::free(block - *reinterpret_cast<uint32_t*>(block - 4));
  }
}

char* BufferPool::take(BlockSize size) {
  Class& c = classes_[static_cast<int>(size)];
  if (!c.free.empty()) {
    char* block = c.free.back();
    c.free.pop_back();
    ++c.used;
    return block;
  }
  if (c.used >= (size == BlockSize::kSmall ? limits_.small_blocks : limits_.large_blocks))
    return nullptr;
  char* whole = static_cast<char*>(std::malloc(bytes(size) + kLead + 64));
  if (whole == nullptr) return nullptr;
  ++c.used;
  const uint32_t lead = 64 + kColourBytes * (c.made++ % kColours);
  char* block = whole + lead;
  std::memcpy(block - 4, &lead, 4);
  return block;
}

void BufferPool::give(char* block, BlockSize size) {
  Class& c = classes_[static_cast<int>(size)];
  CHECK(c.used > 0);
  --c.used;
  if (c.free.size() < (size == BlockSize::kSmall ? limits_.kept_small : limits_.kept_large)) {
    c.free.push_back(block);
  } else {
    uint32_t lead;
    std::memcpy(&lead, block - 4, 4);
    std::free(block - lead);
  }
}

void Buffer::release() {
  if (block_ != nullptr) pool_->give(block_, block_size_);
  block_ = nullptr;
  begin_ = end_ = 0;
}

size_t Buffer::make_room(size_t want) {
  if (block_ == nullptr) {
    const BlockSize size = want > BufferPool::kSmallBytes ? BlockSize::kLarge : BlockSize::kSmall;
    block_ = pool_->take(size);
    if (block_ == nullptr) return 0;
    block_size_ = size;
    begin_ = end_ = 0;
    return capacity();
  }
  if (begin_ == end_) begin_ = end_ = 0;
  if (want > capacity() - size() && block_size_ == BlockSize::kSmall) {
    char* large = pool_->take(BlockSize::kLarge);
    if (large != nullptr) {
      const uint32_t bytes = end_ - begin_;
      std::memcpy(large, block_ + begin_, bytes);
      pool_->give(block_, BlockSize::kSmall);
      block_ = large;
      block_size_ = BlockSize::kLarge;
      begin_ = 0;
      end_ = bytes;
    }
  }
  if (want > room_size() && begin_ > 0) {
    std::memmove(block_, block_ + begin_, size());
    end_ -= begin_;
    begin_ = 0;
  }
  return room_size();
}

bool Buffer::append(std::string_view bytes) {
  if (bytes.empty()) return true;
  if (make_room(bytes.size()) < bytes.size()) return false;
  std::memcpy(room(), bytes.data(), bytes.size());
  commit(bytes.size());
  return true;
}

}  // namespace sluice
