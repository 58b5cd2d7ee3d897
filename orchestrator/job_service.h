// A service of a task or a group, and its checks, as a job says them (orchestrator/job.h). What is
// registered is orchestrator/catalog.h's.
//
// Values without behaviour; whose they are, any thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/fields.h"
#include "orchestrator/job_policies.h"

namespace sluice::orchestrator {

struct CheckRestart {
  static constexpr const char* kDiffName = "CheckRestart";
  int64_t limit = 0;
  int64_t grace_ns = kSecondNs;
  bool ignore_warnings = false;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("Grace", s.grace_ns);
    v("IgnoreWarnings", s.ignore_warnings);
    v("Limit", s.limit);
  }
  bool operator==(const CheckRestart&) const = default;
};

struct Check {
  static constexpr const char* kDiffName = "Check";
  std::string name;
  std::string type;  // "http", "tcp", "script", "grpc"
  std::string command;
  StringList args;
  std::string path;
  std::string protocol;
  std::string port_label;
  std::string address_mode;
  int64_t interval_ns = 0;
  int64_t timeout_ns = 0;
  std::string initial_status;
  std::string notes;
  bool tls_skip_verify = false;
  std::string tls_server_name;
  std::string method;
  std::string body;
  std::map<std::string, StringList> header;
  std::optional<CheckRestart> check_restart;
  std::string grpc_service;
  bool grpc_use_tls = false;
  std::string task;
  int64_t success_before_passing = 0;
  int64_t failures_before_critical = 0;
  int64_t failures_before_warning = 0;
  std::string on_update;
  int64_t deregister_critical_service_after_ns = 0;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("AddressMode", s.address_mode);
    v("Args", s.args);
    v("Body", s.body);
    v("CheckRestart", s.check_restart);
    v("Command", s.command);
    v("DeregisterCriticalServiceAfter", s.deregister_critical_service_after_ns);
    v("FailuresBeforeCritical", s.failures_before_critical);
    v("FailuresBeforeWarning", s.failures_before_warning);
    v("GRPCService", s.grpc_service);
    v("GRPCUseTLS", s.grpc_use_tls);
    v("Header", s.header);
    v("InitialStatus", s.initial_status);
    v("Interval", s.interval_ns);
    v("Method", s.method);
    v("Name", s.name);
    v("Notes", s.notes);
    v("OnUpdate", s.on_update);
    v("Path", s.path);
    v("PortLabel", s.port_label);
    v("Protocol", s.protocol);
    v("SuccessBeforePassing", s.success_before_passing);
    v("TLSServerName", s.tls_server_name);
    v("TLSSkipVerify", s.tls_skip_verify);
    v("TaskName", s.task);
    v("Timeout", s.timeout_ns);
    v("Type", s.type);
    v.unsupported("Advertise");
    v.unsupported("Expose");
  }
  bool operator==(const Check&) const = default;
};

struct Weights {
  static constexpr const char* kDiffName = "Weights";
  int64_t passing = 1;
  int64_t warning = 1;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("Passing", s.passing);
    v("Warning", s.warning);
  }
  bool operator==(const Weights&) const = default;
};

struct Service {
  static constexpr const char* kDiffName = "Service";
  std::string name;
  std::string port_label;
  std::string address_mode;
  std::string address;
  StringList tags;
  StringList canary_tags;
  StringMap meta;
  StringMap canary_meta;
  StringMap tagged_addresses;
  bool enable_tag_override = false;
  std::vector<Check> checks;
  std::optional<CheckRestart> check_restart;
  std::string task;
  std::string on_update;
  std::string provider;  // "", "consul", "nomad": whichever the agent's catalog is
  std::string cluster;   // of Consul; there is one
  std::optional<Weights> weights;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("Address", s.address);
    v("AddressMode", s.address_mode);
    v("CanaryMeta", s.canary_meta);
    v("CanaryTags", s.canary_tags);
    v("CheckRestart", s.check_restart);
    v("Checks", s.checks);
    v("Cluster", s.cluster);
    v("EnableTagOverride", s.enable_tag_override);
    v("Meta", s.meta);
    v("Name", s.name);
    v("OnUpdate", s.on_update);
    v("PortLabel", s.port_label);
    v("Provider", s.provider);
    v("TaggedAddresses", s.tagged_addresses);
    v("Tags", s.tags);
    v("TaskName", s.task);
    v("Weights", s.weights);
    v.unsupported("Connect");
    v.unsupported("Identity");
    v.unsupported("Kind");
  }
  bool operator==(const Service&) const = default;
};

}  // namespace sluice::orchestrator
