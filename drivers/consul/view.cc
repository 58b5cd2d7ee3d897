#include "drivers/consul/view.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

namespace sluice::drivers {

using orchestrator::ServiceInstance;
using orchestrator::ServiceSnapshot;

namespace {

uint64_t mix(uint64_t hash, std::string_view text) {
  for (unsigned char c : text) hash = (hash ^ c) * 0x100000001b3;
  return (hash ^ 0xff) * 0x100000001b3;
}

}  // namespace

bool ConsulView::counts(const std::vector<std::string>& tags) const {
  return options_.tag_prefix.empty() || std::ranges::any_of(tags, [&](const std::string& tag) {
           return tag.starts_with(options_.tag_prefix);
         });
}

void ConsulView::mark(Service& service) {
  if (service.wanted) return;
  service.wanted = true;
  ++wanted_;
}

void ConsulView::want(std::string_view service) {
  if (auto it = services_.find(service); it != services_.end()) mark(it->second);
}

void ConsulView::begin_gap() {
  for (auto& [name, service] : services_) {
    service.after_gap = true;
    mark(service);
  }
}

void ConsulView::set_services(ConsulServices services) {
  bool explained = false;
  std::set<std::string_view> listed;
  for (auto& [name, tags] : services) {
    if (!counts(tags)) continue;
    listed.insert(name);
    Service& service = services_[name];
    std::ranges::sort(tags);
    if (service.listed && service.tags == tags) continue;
    service.listed = true;
    service.tags = tags;
    if (auto digest = checks_digests_.find(name); digest != checks_digests_.end()) {
      service.checks_digest = digest->second;
    }
    mark(service);
    explained = true;
  }
  for (auto& [name, service] : services_) {
    if (!service.listed || listed.contains(name)) continue;
    service.listed = false;
    mark(service);
    explained = true;
  }
  if (explained) return;
  if (listed.size() <= options_.fetch_all_services) {
    for (auto& [name, service] : services_) {
      if (service.listed) mark(service);
    }
  } else {
    sweeping_ = true;
    swept_up_to_.clear();
  }
}

void ConsulView::set_checks(const std::vector<ConsulCheckRow>& rows) {
  // A node's own checks count for each service on it.
  std::map<std::string_view, uint64_t> node_digests;
  for (const ConsulCheckRow& row : rows) {
    if (!row.service_id.empty()) continue;
    uint64_t& digest = node_digests.try_emplace(row.node, 14695981039346656037u).first->second;
    digest += mix(mix(1, row.check_id), row.status);
  }
  std::map<std::string, uint64_t, std::less<>> digests;
  for (const ConsulCheckRow& row : rows) {
    if (row.service.empty()) continue;
    uint64_t& digest = digests[row.service];
    // A sum, because the order of rows says nothing.
    uint64_t one = mix(mix(mix(mix(1, row.node), row.service_id), row.check_id), row.status);
    one = (one ^ row.modify_index) * 0x100000001b3;
    auto node = node_digests.find(row.node);
    digest += one ^ (node == node_digests.end() ? 0 : node->second);
  }
  for (auto& [name, service] : services_) {
    auto it = digests.find(name);
    uint64_t digest = it == digests.end() ? 0 : it->second;
    if (digest == service.checks_digest) continue;
    service.checks_digest = digest;
    mark(service);
  }
  checks_digests_ = std::move(digests);
}

std::vector<std::string> ConsulView::take_wanted() {
  std::vector<std::string> names;
  if (wanted_ == 0) return names;
  for (auto& [name, service] : services_) {
    if (!std::exchange(service.wanted, false)) continue;
    names.push_back(name);
  }
  wanted_ = 0;
  return names;
}

std::optional<ServiceSnapshot> ConsulView::accept(std::string_view name,
                                                  std::vector<ConsulInstance> fetched,
                                                  int64_t now_ms) {
  auto found = services_.find(name);
  if (found == services_.end()) return std::nullopt;
  Service& service = found->second;
  const bool after_gap = std::exchange(service.after_gap, false);
  std::map<std::string, Held> held;
  std::vector<ServiceInstance> next;
  std::set<std::string> there;
  for (ConsulInstance& item : fetched) {
    const std::string key = item.key();
    there.insert(key);
    if (!counts(item.instance.tags)) continue;
    auto before = std::ranges::find_if(service.instances, [&](const ServiceInstance& old) {
      return old.healthy && old.id == item.instance.id && old.node == item.instance.node &&
             old.address == item.instance.address && old.port == item.instance.port;
    });
    if (item.unproven && before != service.instances.end()) {
      Held hold{*before, now_ms + options_.unproven_ms, false};
      if (auto old = service.held.find(key); old != service.held.end()) hold = old->second;
      if (!hold.expired) item.instance.healthy = true;
      held.emplace(key, std::move(hold));
    }
    next.push_back(std::move(item.instance));
  }
  for (const ServiceInstance& old : service.instances) {
    const std::string key = old.node + "/" + old.id;
    auto hold = service.held.find(key);
    bool doubted = hold != service.held.end() ? !hold->second.expired : after_gap;
    if (there.contains(key) || !old.healthy || !doubted) continue;
    held.emplace(key, hold != service.held.end() ? hold->second
                                                 : Held{old, now_ms + options_.doubt_ms, false});
    next.push_back(old);
  }
  service.held = std::move(held);
  std::ranges::sort(next, {}, [](const ServiceInstance& i) { return std::tie(i.node, i.id); });
  const bool changed = next != service.instances || !service.published;
  service.instances = next;
  service.published = true;
  ServiceSnapshot snapshot{std::string(name), std::move(next)};
  // A service that is gone, and said so, need not be remembered.
  if (!service.listed && !service.wanted && service.instances.empty()) services_.erase(found);
  if (!changed) return std::nullopt;
  return snapshot;
}

void ConsulView::tick(int64_t now_ms) {
  for (auto& [name, service] : services_) {
    for (auto& [key, hold] : service.held) {
      if (hold.expired || now_ms < hold.until_ms) continue;
      hold.expired = true;
      mark(service);
    }
  }
  if (!sweeping_) return;
  auto it = services_.upper_bound(swept_up_to_);
  for (size_t count = 0; it != services_.end() && count < options_.sweep_per_second;
       ++it, ++count) {
    swept_up_to_ = it->first;
    mark(it->second);
  }
  sweeping_ = it != services_.end();
}

void ConsulView::forget(std::string_view instance_id) {
  for (auto& [name, service] : services_) {
    for (auto& [key, hold] : service.held) {
      if (hold.instance.id != instance_id || hold.expired) continue;
      hold.expired = true;
      mark(service);
    }
  }
}

}  // namespace sluice::drivers
