#include "app/dynamic_listeners.h"

#include <algorithm>
#include <string>

#include "core/scope.h"

namespace sluice {

namespace {

bool all_tcp(const proxy::Host& host) {
  bool tcp = true;
  host.for_each_route([&](const proxy::Route& route) {
    for (const proxy::Target* target : route.all_targets()) {
      tcp = tcp && target->endpoint() != nullptr &&
            target->endpoint()->scheme() == proxy::Scheme::kTcp;
    }
    return tcp;
  });
  return tcp;
}

bool names_address(const proxy::Host& host) {
  if (host.kind() != proxy::HostKind::kExact || host.port() == 0) return false;
  std::string_view name = host.name();
  if (name.starts_with('[') && name.ends_with(']')) name = name.substr(1, name.size() - 2);
  return name.empty() || SocketAddress::make(name, 0).has_value();
}

}  // namespace

std::set<uint16_t> dynamic_ports(const proxy::RouteTable& table) {
  std::set<uint16_t> ports;
  table.for_each_host([&](const proxy::Host& host) {
    if (names_address(host) && all_tcp(host)) ports.insert(host.port());
  });
  return ports;
}

void DynamicListeners::refresh() {
  const proxy::RouteTable& table = publisher_.table();
  const bool tried_all =
      std::all_of(ports_.begin(), ports_.end(), [](const auto& each) { return each.second; });
  if (table.version() == seen_version_ && tried_all) return;
  seen_version_ = table.version();
  const std::set<uint16_t> wanted = dynamic_ports(table);
  for (auto it = ports_.begin(); it != ports_.end();) {
    if (wanted.contains(it->first)) {
      ++it;
      continue;
    }
    SocketAddress at = spec_.address;
    at.set_port(it->first);
    if (it->second) {
      proxy_.remove_listener(at);
      log_.info("traffic no longer on {}", at.text());
    }
    it = ports_.erase(it);
  }
  for (const uint16_t port : wanted) {
    const auto [place, fresh] = ports_.emplace(port, false);
    if (place->second) continue;
    proxy::ListenSpec spec = spec_;
    spec.address.set_port(port);
    Result<void> opened = proxy_.add_listener(spec);
    place->second = opened.has_value();
    // One that is in use is tried again, and told of once.
    if (opened) {
      log_.info("traffic on {}", spec.address.text());
    } else if (fresh) {
      log_.warn("tcp-dynamic: {}", opened.error().message);
    }
  }
}

Task<void> DynamicListeners::run() {
  while (true) {
    if (!stopped_) refresh();
    co_await sleep_for(executor_, std::max<int64_t>(spec_.refresh_ms, 1));
  }
}

}  // namespace sluice
