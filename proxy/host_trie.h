// HostTrie: a persistent map from (name, port) to Host. Copying it is one counted reference;
// changing a copy makes new nodes only on the way to the entry, so an edit costs the same at any
// size.
//
// Sixteen children a level by the bits of the hash, buckets of up to kBucketHosts entries at the
// ends. Reading: any thread. Changing: one thread, which owns that copy; nodes that no other copy
// shares are changed in place, so that building from nothing does not copy.
#pragma once

#include <cstdint>
#include <string_view>

#include "proxy/ref.h"
#include "proxy/route.h"

namespace sluice::proxy {

class HostTrie {
 public:
  static constexpr uint32_t kBucketHosts = 32;
  static constexpr uint32_t kFanOut = 16;

  /// `hash` is hash_name(name, port).
  [[nodiscard]] const Host* find(uint64_t hash, std::string_view name, uint16_t port) const;
  /// Adds the host, or puts it in the place of the one with its name and port.
  void set(Ref<Host> host);
  /// False: there is none.
  bool erase(uint64_t hash, std::string_view name, uint16_t port);

  [[nodiscard]] bool empty() const { return !root_; }

  template <class Visit>
  void for_each(Visit visit) const {
    if (root_) visit_node(*root_, visit);
  }

 private:
  class alignas(void*) Node;
  friend class Ref<Node>;
  struct Place {
    uint64_t hash;
    std::string_view name;
    uint16_t port;
  };

  class alignas(void*) Node final : public Counted {
   public:
    static Ref<Node> make_bucket(uint32_t count);
    static Ref<Node> make_branch();
    static void destroy(const Node* node);
    Ref<Node> clone() const;

    const bool branch;
    const uint32_t count;  // of slots

    // A branch: kFanOut nodes. A bucket: `count` hosts, then the low halves of their hashes.
    void** slots() { return reinterpret_cast<void**>(this + 1); }
    void* const* slots() const { return reinterpret_cast<void* const*>(this + 1); }
    [[nodiscard]] Node* child(uint32_t i) const { return static_cast<Node*>(slots()[i]); }
    [[nodiscard]] Host* host(uint32_t i) const { return static_cast<Host*>(slots()[i]); }
    uint32_t* tags() { return reinterpret_cast<uint32_t*>(slots() + count); }
    [[nodiscard]] const uint32_t* tags() const {
      return reinterpret_cast<const uint32_t*>(slots() + count);
    }

   private:
    Node(bool is_branch, uint32_t size) : branch(is_branch), count(size) {}
    ~Node() = default;
    static Ref<Node> make(bool branch, uint32_t count);
  };

  static uint32_t digit(uint64_t hash, unsigned level) {
    return static_cast<uint32_t>(hash >> (60 - 4 * level)) & (kFanOut - 1);
  }
  static uint32_t tag(uint64_t hash) { return static_cast<uint32_t>(hash); }
  static constexpr unsigned kLevels = 8;  // the tags hold the rest; deeper, a bucket just grows

  static uint32_t index_in(const Node& bucket, const Place& place);
  static void set_at(Ref<Node>& node, unsigned level, Ref<Host> host, const Place& place);
  static bool erase_at(Ref<Node>& node, unsigned level, const Place& place);
  static Ref<Node> split(const Node& bucket, unsigned level);

  template <class Visit>
  static void visit_node(const Node& node, Visit& visit) {
    for (uint32_t i = 0; i < node.count; ++i) {
      if (!node.branch) {
        visit(*node.host(i));
      } else if (node.child(i) != nullptr) {
        visit_node(*node.child(i), visit);
      }
    }
  }

  Ref<Node> root_;
};

}  // namespace sluice::proxy
