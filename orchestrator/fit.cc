#include "orchestrator/fit.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::orchestrator {

namespace {

constexpr int kRandomPortTries = 20;

void add_ports(GroupAsk& ask, const std::string& task, const std::vector<Network>& networks) {
  for (const Network& network : networks) {
    for (const Port& port : network.reserved_ports) {
      ask.ports.push_back({task, port.label, static_cast<uint16_t>(port.value), port.to});
    }
    for (const Port& port : network.dynamic_ports) {
      ask.ports.push_back({task, port.label, 0, port.to});
    }
  }
}

/// The reservation of the node itself that (address, port) would meet, or nullptr.
const ReservedPort* reserved(const Node& node, uint32_t address, uint16_t port, int64_t now_ns) {
  for (const auto* ports : {&node.reserved_ports, &node.quarantined_ports}) {
    for (const ReservedPort& item : *ports) {
      if (item.port != port || (item.until_ns != 0 && item.until_ns <= now_ns)) continue;
      const uint32_t its = port_address(item.address);
      if (its == 0 || address == 0 || its == address) return &item;
    }
  }
  return nullptr;
}

std::string collision(const std::string& label, uint16_t port, const ReservedPort* by) {
  return fmt::format("network: reserved port collision {}={} ({})", label, port,
                     by ? by->reason : "in use by another allocation");
}

std::string exhausted(const Node& node, const Usage& usage, int64_t cpu_mhz, int64_t memory_mb,
                      int64_t disk_mb) {
  const Capacity capacity = capacity_of(node);
  if (usage.cpu_mhz + cpu_mhz > capacity.cpu_mhz) return "cpu";
  if (usage.memory_mb + memory_mb > capacity.memory_mb) return "memory";
  if (usage.disk_mb + disk_mb > capacity.disk_mb) return "disk";
  return {};
}

/// The lowest of the node's cores that nobody has. False: there are not enough.
bool assign_cores(const Node& node, const Usage& usage, const GroupAsk& ask,
                  std::vector<AssignedCores>& out) {
  if (ask.cores.empty()) return true;
  const CpuList left = cpus_without(node.cores, usage.cores);
  auto next = left.begin();
  for (const CoreAsk& item : ask.cores) {
    if (left.end() - next < item.count) return false;
    out.push_back({item.task, CpuList(next, next + item.count), item.count * node.core_mhz()});
    next += item.count;
  }
  return true;
}

}  // namespace

int64_t GroupAsk::cpu_mhz_on(const Node& node) const {
  int64_t sum = cpu_mhz;
  for (const CoreAsk& item : cores) sum += item.count * node.core_mhz();
  return sum;
}

void Assigned::take(const Node& node, const GroupAsk& ask, Usage& usage) const {
  usage.cpu_mhz += ask.cpu_mhz_on(node);
  usage.memory_mb += ask.memory_mb;
  usage.disk_mb += ask.disk_mb;
  for (const AssignedPort& port : ports) {
    take_port(usage.ports, port_address(port.host_ip), port.value);
  }
  for (const AssignedCores& each : cores) take_cores(usage.cores, each.cores);
}

GroupAsk ask_of(const TaskGroup& group) {
  GroupAsk ask;
  ask.disk_mb = group.ephemeral_disk ? group.ephemeral_disk->size_mb : 0;
  for (const TaskConfig& task : group.tasks) {
    ask.cpu_mhz += task.resources->cpu_mhz;
    if (task.resources->cores > 0) ask.cores.push_back({task.name, task.resources->cores});
    ask.memory_mb += task.resources->memory_mb;
    add_ports(ask, task.name, task.resources->networks);
  }
  add_ports(ask, "", group.networks);
  return ask;
}

Capacity capacity_of(const Node& node) {
  return {node.cpu_mhz - node.reserved_cpu_mhz, node.memory_mb - node.reserved_memory_mb,
          node.disk_mb - node.reserved_disk_mb};
}

std::string fit(const Node& node, const Usage& usage, const GroupAsk& ask, int64_t now_ns,
                Random& random, Assigned& given) {
  given = {};
  std::vector<AssignedPort>& ports = given.ports;
  if (!assign_cores(node, usage, ask, given.cores)) return "cores";
  if (std::string what = exhausted(node, usage, ask.cpu_mhz_on(node), ask.memory_mb, ask.disk_mb);
      !what.empty()) {
    return what;
  }
  if (ask.ports.empty()) return {};
  const uint32_t address = port_address(node.ip);
  const auto ours = [&](uint16_t port) {
    return std::any_of(ports.begin(), ports.end(),
                       [&](const AssignedPort& assigned) { return assigned.value == port; });
  };
  const auto assign = [&](const PortAsk& item, uint16_t port) {
    const int64_t to = item.to == -1 ? port : item.to;
    ports.push_back({item.task, item.label, node.ip, port, static_cast<uint16_t>(to)});
  };
  // Static ports first, so that no dynamic one takes theirs.
  for (const PortAsk& item : ask.ports) {
    if (item.fixed == 0) continue;
    const ReservedPort* by = reserved(node, address, item.fixed, now_ns);
    if (by || ours(item.fixed) || port_taken(usage.ports, address, item.fixed)) {
      return collision(item.label, item.fixed, by);
    }
    assign(item, item.fixed);
  }
  for (const PortAsk& item : ask.ports) {
    if (item.fixed != 0) continue;
    const auto free = [&](uint16_t port) {
      return !ours(port) && !port_taken(usage.ports, address, port) &&
             !port_taken(usage.stopping, address, port) && !reserved(node, address, port, now_ns);
    };
    const int64_t range = node.max_dynamic_port - node.min_dynamic_port + 1;
    if (range <= 0) return "network: dynamic port selection failed";
    const auto port_at = [&](int64_t offset) {
      return static_cast<uint16_t>(node.min_dynamic_port + offset);
    };
    int64_t offset = 0;
    bool found = false;
    for (int i = 0; i < kRandomPortTries && !found; ++i) {
      offset = static_cast<int64_t>(random.below(static_cast<uint64_t>(range)));
      found = free(port_at(offset));
    }
    // A crowded node: one after the other from where the last try was.
    for (int64_t i = 0; i < range && !found; ++i) {
      offset = (offset + 1) % range;
      found = free(port_at(offset));
    }
    if (!found) return "network: dynamic port selection failed";
    assign(item, port_at(offset));
  }
  return {};
}

std::string fits_as_it_is(const Node& node, const Usage& usage, const Allocation& alloc,
                          int64_t now_ns) {
  if (std::string what = exhausted(node, usage, alloc.cpu_mhz, alloc.memory_mb, alloc.disk_mb);
      !what.empty()) {
    return what;
  }
  for (const AssignedCores& each : alloc.cores) {
    if (cpus_without(each.cores, cpus_without(node.cores, usage.cores)).empty()) continue;
    return "cores";
  }
  for (const AssignedPort& port : alloc.ports) {
    const uint32_t address = port_address(port.host_ip);
    const ReservedPort* by = reserved(node, address, port.value, now_ns);
    if (by || port_taken(usage.ports, address, port.value)) {
      return collision(port.label, port.value, by);
    }
  }
  return {};
}

std::string computed_class(const Node& node) {
  uint64_t hash = 14695981039346656037ull;  // FNV-1a
  const auto add = [&](std::string_view text) {
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ull;
    hash = (hash ^ 0xff) * 1099511628211ull;
  };
  add(node.datacenter);
  add(node.node_class);
  add(node.node_pool);
  for (const StringMap* map : {&node.attributes, &node.meta}) {
    for (const auto& [key, value] : *map) {
      if (key.starts_with("unique.")) continue;
      add(key);
      add(value);
    }
    add("");
  }
  for (const auto& [name, driver] : node.drivers) {
    add(name);
    add(driver.detected ? "1" : "0");
  }
  for (const auto& [name, volume] : node.host_volumes) {
    add(name);
    add(volume.read_only ? "ro" : "rw");
  }
  return fmt::format("v1:{}", hash);
}

}  // namespace sluice::orchestrator
