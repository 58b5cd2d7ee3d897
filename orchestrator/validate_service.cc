// What may be wrong with a service and its checks.
#include <set>

#include "orchestrator/canary_policy.h"
#include "orchestrator/validator.h"

namespace sluice::orchestrator {

namespace {

constexpr int64_t kMinCheckNs = kSecondNs;
constexpr int64_t kMinDeregisterNs = 60 * kSecondNs;
constexpr int64_t kMaxWeight = 65'535;  // RFC 2782

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

bool Validator::has_port(const TaskGroup& group, const TaskConfig* task, std::string_view label) {
  const auto in = [&](const std::vector<Network>& networks) {
    for (const Network& network : networks) {
      for (const auto* ports : {&network.reserved_ports, &network.dynamic_ports}) {
        for (const Port& port : *ports) {
          if (port.label == label) return true;
        }
      }
    }
    return false;
  };
  if (in(group.networks)) return true;
  if (task) return in(task->resources->networks);
  return std::any_of(group.tasks.begin(), group.tasks.end(),
                     [&](const TaskConfig& t) { return in(t.resources->networks); });
}

void Validator::check_address_mode(const std::string& mode) {
  if (mode == "alloc") {
    add("address_mode \"alloc\" is not supported; driver is a container's own address");
  } else if (!one_of<4>(mode, {"auto", "host", "driver", ""})) {
    add("address_mode must be auto, host or driver, not \"{}\"", mode);
  }
}

void Validator::check_services(const TaskGroup& group, const TaskConfig* task,
                               const std::vector<Service>& services) {
  std::set<std::pair<std::string_view, std::string_view>> seen;
  for (const Service& service : services) {
    const Inside inside(*this, fmt::format("service \"{}\": ", service.name));
    const bool dns_name = service.name.size() <= 63 && service.name.front() != '-' &&
                          service.name.back() != '-' &&
                          service.name.find_first_not_of(
                              "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                              "0123456789-") == std::string::npos;
    if (const auto policy = parse_canary_policy(service.canary_meta); !policy) {
      add("canary_meta: {}", policy.error().message);
    }
    if (!dns_name && service.name.find("${") == std::string::npos) {
      add("name must be at most 63 letters, digits and dashes, and not start or end with a dash");
    }
    if (!seen.emplace(service.name, service.port_label).second) {
      add("given twice with port \"{}\"", service.port_label);
    }
    if (!service.port_label.empty() && !is_number(service.port_label) &&
        !has_port(group, task, service.port_label)) {
      add("there is no port \"{}\" in the task's or group's network", service.port_label);
    }
    check_address_mode(service.address_mode);
    if (!one_of<3>(service.provider, {"", "consul", "nomad"})) {
      add("provider must be consul or nomad, not \"{}\"", service.provider);
    }
    if (!one_of<2>(service.cluster, {"", "default"})) {
      add("cluster \"{}\" is not known; there is one Consul, \"default\"", service.cluster);
    }
    if (service.enable_tag_override) add("enable_tag_override is not supported");
    if (service.weights &&
        (service.weights->passing < 1 || service.weights->passing > kMaxWeight ||
         service.weights->warning < 0 || service.weights->warning > kMaxWeight)) {
      add("weights: passing must be 1 to {0}, warning 0 to {0}", kMaxWeight);
    }
    if (!service.tagged_addresses.empty()) add("tagged_addresses is not supported");
    if (!one_of<4>(service.on_update, {"", "require_healthy", "ignore_warnings", "ignore"})) {
      add("on_update must be require_healthy, ignore_warnings or ignore, not \"{}\"",
          service.on_update);
    }
    if (!service.task.empty()) {
      if (task != nullptr && service.task != task->name) {
        add("task \"{}\" is not the one it stands in", service.task);
      }
      if (task == nullptr && group.task(service.task) == nullptr) {
        add("the group has no task \"{}\"", service.task);
      }
    }
    std::set<std::string_view> names;
    for (const Check& check : service.checks) {
      if (!names.insert(check.name).second) add("check \"{}\" is given twice", check.name);
      check_check(group, task, service, check);
    }
  }
}

void Validator::check_check(const TaskGroup& group, const TaskConfig* task, const Service& service,
                            const Check& check) {
  const Inside inside(*this, fmt::format("check \"{}\": ", check.name));
  if (!one_of<4>(check.type, {"http", "tcp", "script", "grpc"})) {
    add("type must be http, tcp, script or grpc, not \"{}\"", check.type);
    return;
  }
  if (check.interval_ns < kMinCheckNs) add("interval must be at least 1s");
  if (check.timeout_ns < kMinCheckNs) add("timeout must be at least 1s");
  if (check.type == "http") {
    if (check.path.empty()) add("path is missing");
    if (check.path.starts_with("http://") || check.path.starts_with("https://")) {
      add("path must be relative, not \"{}\"", check.path);
    }
    if (!one_of<3>(check.protocol, {"", "http", "https"})) {
      add("protocol must be http or https, not \"{}\"", check.protocol);
    }
  }
  if (check.type == "script") {
    if (check.command.empty()) add("command is missing");
    const bool named = task != nullptr || !check.task.empty() || !service.task.empty();
    if (!named && group.tasks.size() > 1) add("task is missing: in which one the script runs");
  }
  if (!check.task.empty() && task == nullptr && group.task(check.task) == nullptr) {
    add("the group has no task \"{}\"", check.task);
  }
  if (check.type != "script") {
    const std::string& port = check.port_label.empty() ? service.port_label : check.port_label;
    if (port.empty()) {
      add("needs a port, of its own or of the service");
    } else if (!is_number(port) && !has_port(group, task, port)) {
      add("there is no port \"{}\" in the task's or group's network", port);
    }
  }
  if (!one_of<4>(check.initial_status, {"", "passing", "warning", "critical"})) {
    add("initial_status must be passing, warning or critical, not \"{}\"", check.initial_status);
  }
  check_address_mode(check.address_mode);
  if (!one_of<4>(check.on_update, {"", "require_healthy", "ignore_warnings", "ignore"})) {
    add("on_update must be require_healthy, ignore_warnings or ignore, not \"{}\"",
        check.on_update);
  }
  if (const int64_t after_ns = check.deregister_critical_service_after_ns;
      after_ns != 0 && after_ns < kMinDeregisterNs) {
    add("deregister_critical_service_after must be at least 1m");  // Consul takes no less
  }
  if (check.failures_before_warning < 0) add("failures_before_warning must not be below 0");
  if (check.check_restart && check.check_restart->limit < 0) {
    add("check_restart: limit must not be below 0");
  }
  if (check.check_restart && check.check_restart->grace_ns < 0) {
    add("check_restart: grace must not be below 0");
  }
  if (check.success_before_passing < 0 || check.failures_before_critical < 0) {
    add("success_before_passing and failures_before_critical must not be below 0");
  }
}

}  // namespace sluice::orchestrator
