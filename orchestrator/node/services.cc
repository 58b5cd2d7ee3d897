#include "orchestrator/node/services.h"

#include <fmt/core.h>

#include <charconv>
#include <optional>

namespace sluice::orchestrator {

namespace {

struct Endpoint {
  std::string address;
  uint16_t port = 0;
};

constexpr int64_t kMillisecondNs = 1'000'000;

const AssignedPort* find_port(const Allocation& alloc, const TaskConfig* task,
                              std::string_view label) {
  const AssignedPort* of_group = nullptr;
  for (const AssignedPort& port : alloc.ports) {
    if (port.label != label) continue;
    if (task != nullptr && port.task == task->name) return &port;
    if (port.task.empty()) of_group = &port;
  }
  return of_group;
}

/// Where the label leads in the given address mode ("auto", "host", "driver"); a number is a port
/// as is.
std::optional<Endpoint> find_endpoint(const Allocation& alloc, const TaskConfig* task,
                                      const std::string& label, std::string_view mode,
                                      const TaskNetwork& network, std::string_view node_ip) {
  if (label.empty()) return Endpoint{.address = std::string(node_ip)};
  const bool inside =
      !network.address.empty() && (mode == "driver" || (mode == "auto" && network.advertised));
  uint16_t number = 0;
  const auto [end, error] = std::from_chars(label.data(), label.data() + label.size(), number);
  if (error == std::errc() && end == label.data() + label.size()) {
    return Endpoint{.address = inside ? network.address : std::string(node_ip), .port = number};
  }
  const AssignedPort* port = find_port(alloc, task, label);
  if (port == nullptr) return std::nullopt;
  if (inside) {
    return Endpoint{.address = network.address,
                    .port = task != nullptr ? port_inside(*task, *port) : port->to};
  }
  return Endpoint{.address = port->host_ip, .port = port->value};
}

ServiceCheck make_check(const Check& check, const std::string& service_name, size_t number,
                        const TaskEnv& environment, const Endpoint& at) {
  ServiceCheck made;
  made.name = check.name.empty() ? fmt::format("service: \"{}\" check", service_name)
                                 : environment.expand(check.name);
  made.id = fmt::format("check-{}", number);
  // Scripts are run here, and the catalog told.
  made.type = check.type == "script" ? "ttl" : check.type;
  made.address = at.address;
  made.port = at.port;
  made.path = environment.expand(check.path);
  made.protocol = check.protocol;
  if (check.type == "grpc") {
    made.path = check.grpc_service.empty() ? "" : "/" + environment.expand(check.grpc_service);
    made.protocol = check.grpc_use_tls ? "https" : "";
  }
  made.method = check.method;
  for (const auto& [name, values] : check.header) {
    for (const std::string& value : values) {
      made.headers[name].push_back(environment.expand(value));
    }
  }
  made.body = environment.expand(check.body);
  made.tls_skip_verify = check.tls_skip_verify;
  made.tls_server_name = check.tls_server_name;
  made.command = environment.expand(check.command);
  for (const std::string& argument : check.args) made.args.push_back(environment.expand(argument));
  made.interval_ms = check.interval_ns / kMillisecondNs;
  made.timeout_ms = check.timeout_ns / kMillisecondNs;
  made.success_before_passing = check.success_before_passing;
  made.failures_before_critical = check.failures_before_critical;
  made.failures_before_warning = check.failures_before_warning;
  made.initial_status = check.initial_status;
  made.notes = environment.expand(check.notes);
  made.deregister_after_ms = check.deregister_critical_service_after_ns / kMillisecondNs;
  return made;
}

NodeCheck node_check(const ServiceRegistration& registration, const Service& service,
                     const Check& check, const TaskConfig* task) {
  NodeCheck made;
  made.service_id = registration.id;
  made.check = registration.checks.back();
  made.check_id = made.check.id;
  made.task = task != nullptr ? task->name : check.task.empty() ? service.task : check.task;
  made.on_update = check.on_update;
  if (check.check_restart && check.check_restart->limit > 0) made.restart = check.check_restart;
  return made;
}

}  // namespace

std::string registration_prefix(std::string_view cluster_id, std::string_view node_id) {
  return fmt::format("_sluice-{}-{}-", cluster_id.substr(0, 8), node_id.substr(0, 8));
}

std::vector<ServiceRegistration> make_registrations(
    std::string_view prefix, const Allocation& alloc, const TaskConfig* task,
    const std::vector<Service>& services, const TaskEnv& environment, const TaskNetwork& network,
    std::vector<NodeCheck>& checks, std::vector<std::string>& problems) {
  std::vector<ServiceRegistration> registrations;
  const std::string node_ip = environment.expand("${attr.unique.network.ip-address}");
  const std::string place = task != nullptr ? "task-" + task->name : "group-" + alloc.group;
  for (const Service& service : services) {
    const std::string name = environment.expand(service.name);
    const auto at =
        find_endpoint(alloc, task, service.port_label, service.address_mode, network, node_ip);
    if (!at) {
      problems.push_back(fmt::format("service \"{}\": port label \"{}\" is not one of the {}'s",
                                     name, service.port_label, task != nullptr ? "task" : "group"));
      continue;
    }
    ServiceRegistration made;
    made.id = fmt::format("{}{}-{}-{}-{}", prefix, alloc.id, place, name, service.port_label);
    made.name = name;
    const bool canary = alloc.is_canary() && !service.canary_tags.empty();
    for (const std::string& tag : canary ? service.canary_tags : service.tags) {
      made.tags.push_back(environment.expand(tag));
    }
    for (const auto& [key, value] : service.meta) made.meta[key] = environment.expand(value);
    if (alloc.is_canary()) {
      for (const auto& [key, value] : service.canary_meta)
        made.meta[key] = environment.expand(value);
    }
    made.meta["external-source"] = "sluice";
    made.address = service.address.empty() ? at->address : environment.expand(service.address);
    made.port = at->port;
    if (service.weights) {
      made.weights = {.passing = service.weights->passing, .warning = service.weights->warning};
    }
    for (const Check& check : service.checks) {
      const std::string& label = check.port_label.empty() ? service.port_label : check.port_label;
      const std::string_view mode =
          check.address_mode.empty() ? std::string_view(service.address_mode) : check.address_mode;
      const auto target = find_endpoint(alloc, task, label, mode, network, node_ip);
      if (!target) {
        problems.push_back(fmt::format("service \"{}\" check \"{}\": no port label \"{}\"", name,
                                       check.name, label));
        continue;
      }
      made.checks.push_back(make_check(check, name, made.checks.size() + 1, environment, *target));
      checks.push_back(node_check(made, service, check, task));
    }
    registrations.push_back(std::move(made));
  }
  return registrations;
}

}  // namespace sluice::orchestrator
