// AgentConfig: what `sluice agent` was told: files (HCL or JSON), then flags, the later one
// winning.
//
// Pure but for reading the named files. Owner: main.cc. Secrets (Consul's token) never reach a log
// or an API.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/hcl/source.h"
#include "core/json.h"
#include "core/result.h"
#include "drivers/docker/node_config.h"
#include "orchestrator/node/gc_limits.h"
#include "orchestrator/records.h"

namespace sluice {

struct ConsulConfig {
  std::string address = "127.0.0.1:8500";  // or a host name, or with https://
  std::string token;
  std::string datacenter;
  std::string ns;  // of Consul Enterprise
  bool ssl = false;
  bool verify_ssl = true;
  std::string ca_file;
  std::string cert_file;
  std::string key_file;
  bool allow_stale = false;
};

/// TLS of the jobs API.
struct ApiTls {
  bool http = false;
  std::string cert_file, key_file;
  std::string ca_file;               // who signs clients' certificates
  bool verify_https_client = false;  // every client must show one of theirs
};

/// Where Consul's users look for it; taken unless configured otherwise.
inline constexpr std::string_view kCatalogHttpAddr = "127.0.0.1:8500";
inline constexpr std::string_view kCatalogDnsAddr = "127.0.0.1:8600";

struct AgentConfig {
  bool dev = false;
  std::string data_dir;  // absolute once load_agent_config has returned; "" only with -dev
  std::string region = "global";
  std::string datacenter = "dc1";
  std::string name;  // "": the host's
  std::string bind_addr = "127.0.0.1";
  uint16_t http_port = 4646;
  std::string log_level = "INFO";

  bool server_enabled = false;
  int64_t bootstrap_expect = 1;

  bool acl_enabled = false;
  ApiTls tls;

  bool client_enabled = false;
  std::string node_class;
  std::map<std::string, std::string> meta;
  std::map<std::string, std::string> options;  // "driver.raw_exec.enable" = "true", ...
  std::map<std::string, orchestrator::NodeVolume> host_volumes;
  std::string
      advertise_ip;  // where tasks on this node are reached; "": found out, loopback with -dev
  int64_t min_dynamic_port = 20'000;
  int64_t max_dynamic_port = 32'000;
  int64_t reserved_cpu_mhz = 0;
  int64_t reserved_memory_mb = 0;
  int64_t reserved_disk_mb = 0;
  std::string reserved_ports;    // "22,80,8500-8600"
  std::string reserved_cores;    // "0-1,4": on which no task runs
  std::string reservable_cores;  // that tasks may have for themselves; "": all
  drivers::DockerNodeConfig docker;
  bool raw_exec_enabled = false;
  int64_t drain_timeout_ms = 30'000;
  orchestrator::GcLimits gc;

  bool proxy_enabled = true;
  /// The balancer's settings under fabio's names: "proxy.addr", "log.access.target", ...
  std::map<std::string, std::string> proxy_properties;

  std::optional<ConsulConfig> consul;  // absent: the embedded catalog

  // Where the embedded catalog is read; "off": nowhere; absent: the constants above.
  std::optional<std::string> catalog_http_addr;
  std::optional<std::string> catalog_dns_addr;

  std::vector<std::string> warnings;
};

/// Reads `sluice agent`'s arguments (without the program and the verb) and the files they name. The
/// error names the flag, or the file with line and column. `help` is set where the user asked for
/// it.
Result<AgentConfig> load_agent_config(const std::vector<std::string>& arguments, bool& help);

/// The text of `sluice agent -help`.
std::string agent_usage();

/// Numbers and ranges: "22,80,8500-8600".
Result<std::vector<uint16_t>> parse_port_list(const std::string& text);

}  // namespace sluice
