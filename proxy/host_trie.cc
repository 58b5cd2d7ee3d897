#include "proxy/host_trie.h"

#include <cstring>
#include <new>

#include "core/check.h"

namespace sluice::proxy {

Ref<HostTrie::Node> HostTrie::Node::make(bool branch, uint32_t count) {
  const size_t size = sizeof(Node) + count * (sizeof(void*) + (branch ? 0 : sizeof(uint32_t)));
  void* memory = ::operator new(size);
  std::memset(memory, 0, size);
  return Ref<Node>::adopt(new (memory) Node(branch, count));
}

Ref<HostTrie::Node> HostTrie::Node::make_bucket(uint32_t count) {
  return make(false, count);
}
Ref<HostTrie::Node> HostTrie::Node::make_branch() {
  return make(true, kFanOut);
}

void HostTrie::Node::destroy(const Node* node) {
  for (uint32_t i = 0; i < node->count; ++i) {
    if (node->branch) {
      proxy::drop_ref(node->child(i));
    } else {
      proxy::drop_ref(node->host(i));
    }
  }
  node->~Node();
  ::operator delete(const_cast<Node*>(node));
}

Ref<HostTrie::Node> HostTrie::Node::clone() const {
  Ref<Node> copy = make(branch, count);
  for (uint32_t i = 0; i < count; ++i) {
    if (branch) {
      proxy::add_ref(child(i));
    } else {
      proxy::add_ref(host(i));
      copy->tags()[i] = tags()[i];
    }
    copy->slots()[i] = slots()[i];
  }
  return copy;
}

uint32_t HostTrie::index_in(const Node& bucket, const Place& place) {
  const uint32_t wanted = tag(place.hash);
  const uint32_t* tags = bucket.tags();
  for (uint32_t i = 0; i < bucket.count; ++i) {
    if (tags[i] != wanted) continue;
    const Host* host = bucket.host(i);
    if (host->port() == place.port && host->name() == place.name) return i;
  }
  return bucket.count;
}

const Host* HostTrie::find(uint64_t hash, std::string_view name, uint16_t port) const {
  const Node* node = root_.get();
  for (unsigned level = 0; node != nullptr && node->branch; ++level) {
    node = node->child(digit(hash, level));
  }
  if (node == nullptr) return nullptr;
  const uint32_t index = index_in(*node, {hash, name, port});
  return index < node->count ? node->host(index) : nullptr;
}

Ref<HostTrie::Node> HostTrie::split(const Node& bucket, unsigned level) {
  Ref<Node> branch = Node::make_branch();
  for (uint32_t i = 0; i < bucket.count; ++i) {
    const uint64_t hash = bucket.host(i)->hash();
    Ref<Host> host = Ref<Host>::share(bucket.host(i));
    const Place place{hash, host->name(), host->port()};
    void*& slot = branch->slots()[digit(hash, level)];
    Ref<Node> child = Ref<Node>::adopt(static_cast<Node*>(slot));
    set_at(child, level + 1, std::move(host), place);
    slot = child.release();
  }
  return branch;
}

void HostTrie::set_at(Ref<Node>& node, unsigned level, Ref<Host> host, const Place& place) {
  if (!node) {
    node = Node::make_bucket(1);
    node->tags()[0] = tag(place.hash);
    node->slots()[0] = host.release();
    return;
  }
  if (!node->unique() && (node->branch || index_in(*node, place) < node->count)) {
    node = node->clone();
  }
  if (node->branch) {
    void*& slot = node->slots()[digit(place.hash, level)];
    Ref<Node> child = Ref<Node>::adopt(static_cast<Node*>(std::exchange(slot, nullptr)));
    set_at(child, level + 1, std::move(host), place);
    slot = child.release();
    return;
  }
  const uint32_t index = index_in(*node, place);
  if (index < node->count) {
    drop_ref(node->host(index));
    node->slots()[index] = host.release();
    return;
  }
  if (node->count >= kBucketHosts && level < kLevels) {
    node = split(*node, level);
    set_at(node, level, std::move(host), place);
    return;
  }
  Ref<Node> larger = Node::make_bucket(node->count + 1);
  for (uint32_t i = 0; i < node->count; ++i) {
    add_ref(node->host(i));
    larger->slots()[i] = node->slots()[i];
    larger->tags()[i] = node->tags()[i];
  }
  larger->slots()[node->count] = host.release();
  larger->tags()[node->count] = tag(place.hash);
  node = std::move(larger);
}

void HostTrie::set(Ref<Host> host) {
  const Host* kept = host.get();  // the trie holds it by the time the names are read
  const Place place{kept->hash(), kept->name(), kept->port()};
  set_at(root_, 0, std::move(host), place);
}

bool HostTrie::erase_at(Ref<Node>& node, unsigned level, const Place& place) {
  if (!node) return false;
  if (node->branch) {
    const uint32_t index = digit(place.hash, level);
    Ref<Node> child = Ref<Node>::share(node->child(index));
    if (node->unique()) {
      // Ours alone: let go of the slot's reference, so that the child can be ours alone too.
      drop_ref(static_cast<Node*>(std::exchange(node->slots()[index], nullptr)));
    }
    const bool erased = erase_at(child, level + 1, place);
    if (!node->unique()) {
      if (!erased) return false;
      node = node->clone();
      drop_ref(static_cast<Node*>(std::exchange(node->slots()[index], nullptr)));
    }
    node->slots()[index] = child.release();
    if (erased) {
      bool any = false;
      for (uint32_t i = 0; i < node->count; ++i) any = any || node->child(i) != nullptr;
      if (!any) node = {};
    }
    return erased;
  }
  const uint32_t index = index_in(*node, place);
  if (index == node->count) return false;
  if (node->count == 1) {
    node = {};
    return true;
  }
  Ref<Node> smaller = Node::make_bucket(node->count - 1);
  for (uint32_t i = 0, to = 0; i < node->count; ++i) {
    if (i == index) continue;
    add_ref(node->host(i));
    smaller->slots()[to] = node->slots()[i];
    smaller->tags()[to++] = node->tags()[i];
  }
  node = std::move(smaller);
  return true;
}

bool HostTrie::erase(uint64_t hash, std::string_view name, uint16_t port) {
  return erase_at(root_, 0, {hash, name, port});
}

}  // namespace sluice::proxy
