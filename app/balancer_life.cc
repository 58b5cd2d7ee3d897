// A balancer's life after its start: it serves, hands over to a successor, drains.
#include <set>
#include <utility>
#include <vector>

#include "app/balancer_parts.h"
#include "proxy/table_state.h"

namespace sluice {

void Balancer::accept() {
  // With the ports that the predecessor had opened, before what is left of its sockets closes.
  for (const auto& each : parts_->dynamic_listeners) each->refresh();
  parts_->proxy->accept();
  parts_->proxy->drop_inherited();
}

Task<void> Balancer::wait_certificates() {
  co_await parts_->certificates->complete().wait();
}

void Balancer::routes_known() {
  if (!std::exchange(parts_->inherited_routes, false)) return;
  parts_->inherited = {};
  std::vector<proxy::RouteEdit> edits;
  edits.push_back({.key = std::string(proxy::kInheritedKey)});
  parts_->publisher->apply(std::move(edits));
}

proxy::RouteEdit Balancer::take_inherited() {
  parts_->inherited_routes = false;
  return std::move(parts_->inherited);
}

void Balancer::inherit_own_routes() {
  parts_->inherited = proxy::table_edit(parts_->publisher->table());
  std::vector<proxy::RouteEdit> edits{parts_->inherited};
  for (const std::string& key : parts_->publisher->keys()) {
    if (key != proxy::kInheritedKey) edits.push_back({.key = key});
  }
  parts_->publisher->apply(std::move(edits));
  parts_->inherited_routes = true;
}

void Balancer::set_on_wake(std::function<void(const std::string& service)> on_wake) {
  *parts_->on_wake = std::move(on_wake);
}

Task<proxy::ProxyStats> Balancer::stats() {
  return parts_->read_stats();
}

int64_t Balancer::in_flight(const std::vector<proxy::RouteSpec>& routes) const {
  std::set<const proxy::Endpoint*> seen;
  int64_t sum = 0;
  for (const proxy::RouteSpec& route : routes) {
    const proxy::EndpointKey key = proxy::endpoint_key(route.destination, route.options);
    const proxy::Endpoint* endpoint = parts_->publisher->endpoints().find(key);
    if (endpoint != nullptr && seen.insert(endpoint).second) sum += endpoint->outstanding();
  }
  return sum;
}

Task<void> Balancer::run() {
  Parts& parts = *parts_;
  Scope scope(parts.loop);
  scope.spawn(parts.policies->watch(parts.loop, *parts.proxy));
  scope.spawn(parts.certificates->run([&parts](uint32_t listener, auto context) {
    parts.proxy->set_tls(listener, std::move(context));
  }));
  {
    Scope servers(parts.loop);
    servers.spawn(parts.admin_server->run());
    for (const auto& server : parts.metrics_servers) servers.spawn(server->run());
    for (const auto& each : parts.dynamic_listeners) servers.spawn(each->run());
    co_await parts.handed_over.wait();
  }
  co_await parts.admin_server->close_listener();
  for (const auto& server : parts.metrics_servers) co_await server->close_listener();
  co_await scope.join();
}

void Balancer::fail_health() {
  parts_->admin->fail_health();
}

Task<void> Balancer::drain() {
  parts_->admin->fail_health();
  co_await finish(proxy::IdleClients::kClose,
                  parts_->properties.get_duration_ms("proxy.shutdownwait"));
}

OfferedSockets Balancer::listening() const {
  return parts_->proxy->listening();
}

void Balancer::write_state(JsonWriter& json) const {
  json.member("version", parts_->publisher->table().version());
  json.key("endpoints");
  proxy::write_endpoint_state(parts_->publisher->endpoints(), json);
  json.key("table");
  proxy::write_table_state(parts_->publisher->table(), json);
  json.key("names");
  parts_->names->write_state(json);
  json.key("tickets");
  parts_->certificates->write_tickets(json);
  json.member("no_route_page", parts_->no_route_page);
}

Task<void> Balancer::hand_over() {
  parts_->handed_over.set();
  co_await finish(proxy::IdleClients::kKeep,
                  parts_->properties.get_duration_ms("proxy.upgradewait"));
}

void Balancer::reload(const Properties& properties) {
  parts_->properties = properties;
  parts_->certificates->look_again();
}

Task<void> Balancer::finish(proxy::IdleClients idle, int64_t limit_ms) {
  Parts& parts = *parts_;
  for (const auto& each : parts.dynamic_listeners) each->stop();
  // Reactors may say it after this task was cancelled, so the event is shared with them.
  struct Drained {
    explicit Drained(Executor& executor) : event(executor) {}
    Event event;
  };
  auto drained = std::make_shared<Drained>(parts.loop);
  parts.proxy->drain(idle, [&loop = parts.loop, drained] {
    loop.post_from_any_thread([drained] { drained->event.set(); });
  });
  auto wait = [](std::shared_ptr<Drained> all) -> Task<Result<void>> {
    co_await all->event.wait();
    co_return Result<void>();
  };
  Result<void> done = co_await with_timeout(parts.loop, limit_ms, wait(drained));
  if (!done) parts.log.warn("not drained after {} ms: what is under way is cut", limit_ms);
}

}  // namespace sluice
