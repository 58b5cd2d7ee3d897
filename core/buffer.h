// Buffer: bytes received and not yet used, in one contiguous block from a reactor's pool. A
// connection holds a block only while bytes are in it: an idle connection costs none.
//
// Owner: the connection owns its Buffer, the reactor the pool, which outlives them. Thread: the
// reactor's. Limits: BufferPool::Limits; a pool that is at its limit gives no block, and the reader
// waits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace sluice {

enum class BlockSize : uint8_t { kSmall, kLarge };

class BufferPool {
 public:
  static constexpr uint32_t kSmallBytes = 16 * 1024;
  static constexpr uint32_t kLargeBytes = 64 * 1024;

  struct Limits {
    uint32_t small_blocks = 64 * 1024;
    uint32_t large_blocks = 8 * 1024;
    uint32_t kept_small = 1024;  // free blocks kept for reuse; more go back to the system
    uint32_t kept_large = 256;
  };

  BufferPool() : BufferPool(Limits()) {}
  explicit BufferPool(const Limits& limits) : limits_(limits) {}
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;
  ~BufferPool();

  static constexpr uint32_t bytes(BlockSize size) {
    return size == BlockSize::kSmall ? kSmallBytes : kLargeBytes;
  }
  /// nullptr at the limit.
  char* take(BlockSize size);
  void give(char* block, BlockSize size);
  uint32_t used(BlockSize size) const { return classes_[static_cast<int>(size)].used; }

 private:
  struct Class {
    std::vector<char*> free;
    uint32_t used = 0;
    uint32_t made = 0;  // ever, for the cache colour
  };
  const Limits limits_;
  Class classes_[2];
};

class Buffer {
 public:
  explicit Buffer(BufferPool& pool) : pool_(&pool) {}
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { release(); }

  bool empty() const { return begin_ == end_; }
  size_t size() const { return end_ - begin_; }
  std::string_view view() const { return {block_ + begin_, size()}; }
  char* data() { return block_ + begin_; }

  /// Drops the first n bytes. The block goes back when the buffer is empty and release_if_empty()
  /// is called.
  void consume(size_t n) { begin_ += static_cast<uint32_t>(n); }
  void clear() { begin_ = end_ = 0; }
  void release();
  void release_if_empty() {
    if (block_ != nullptr && empty()) release();
  }

  /// Room behind the bytes: takes a block if there is none, moves the bytes to the front if the
  /// room is used up, changes to a large block if `want` does not fit. 0 if the pool is at its
  /// limit or full.
  size_t make_room(size_t want);
  char* room() { return block_ + end_; }
  size_t room_size() const { return block_ == nullptr ? 0 : capacity() - end_; }
  /// n bytes were written at room().
  void commit(size_t n) { end_ += static_cast<uint32_t>(n); }
  /// False, with nothing appended, if it does not fit a large block.
  bool append(std::string_view bytes);

 private:
  uint32_t capacity() const { return BufferPool::bytes(block_size_); }

  BufferPool* pool_;
  char* block_ = nullptr;
  uint32_t begin_ = 0;
  uint32_t end_ = 0;
  BlockSize block_size_ = BlockSize::kSmall;
};

}  // namespace sluice
