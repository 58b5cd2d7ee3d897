#include "app/agent_config.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <string_view>
#include <utility>

#include "app/agent_config_file.h"
#include "app/lb_config.h"

namespace sluice {

namespace {

struct Flag {
  std::string_view name;
  std::string_view value_name;  // "": a switch
  std::string_view help;
};

constexpr Flag kFlags[] = {
    {"dev", "", "everything in one process, nothing kept: server, node, balancer, raw_exec"},
    {"config", "FILE|DIR", "configuration in HCL or JSON; may be given several times"},
    {"data-dir", "DIR", "where state is kept (needed without -dev)"},
    {"bind", "IP", "address of the jobs API (127.0.0.1)"},
    {"http-port", "PORT", "port of the jobs API (4646)"},
    {"node", "NAME", "this node's name (the host's)"},
    {"dc", "NAME", "datacenter (dc1)"},
    {"region", "NAME", "region (global)"},
    {"log-level", "LEVEL", "TRACE, DEBUG, INFO, WARN or ERROR"},
    {"consul-address", "HOST:PORT", "take Consul as the catalog"},
    {"catalog-http-addr", "ADDR",
     "where the embedded catalog answers Consul's calls "
     "(127.0.0.1:8500; off: nowhere)"},
    {"catalog-dns-addr", "ADDR", "the same for its DNS (127.0.0.1:8600)"},
    {"docker-socket", "PATH", "Docker's socket (/var/run/docker.sock)"},
    {"server", "", "run the server"},
    {"client", "", "run the node"},
    {"help", "", "this text"},
};

constexpr const char* kRawExecOption = "driver.raw_exec.enable";

const Flag* find_flag(std::string_view name) {
  for (const Flag& flag : kFlags) {
    if (flag.name == name) return &flag;
  }
  return nullptr;
}

Result<void> apply_flag(std::string_view name, const std::string& value, AgentConfig& config) {
  if (name == "dev") {
    config.dev = is_true(value);
  } else if (name == "data-dir") {
    config.data_dir = value;
  } else if (name == "bind") {
    config.bind_addr = value;
  } else if (name == "http-port") {
    Result<std::vector<uint16_t>> port = parse_port_list(value);
    if (!port || port->size() != 1)
      return fail(Code::kInvalid, "-http-port {}: want a port", value);
    config.http_port = port->front();
  } else if (name == "node") {
    config.name = value;
  } else if (name == "dc") {
    config.datacenter = value;
  } else if (name == "region") {
    config.region = value;
  } else if (name == "log-level") {
    config.log_level = value;
  } else if (name == "consul-address") {
    if (!config.consul) config.consul.emplace();
    config.consul->address = value;
  } else if (name == "catalog-http-addr") {
    config.catalog_http_addr = value;
  } else if (name == "catalog-dns-addr") {
    config.catalog_dns_addr = value;
  } else if (name == "docker-socket") {
    config.docker.socket = value;
  } else if (name == "server") {
    config.server_enabled = is_true(value);
  } else if (name == "client") {
    config.client_enabled = is_true(value);
  }
  return {};
}

struct ParsedFlag {
  std::string name;
  std::string value;
};

/// Flags as Nomad and fabio write them: -name, --name, -name value, -name=value.
Result<std::vector<ParsedFlag>> parse_flags(const std::vector<std::string>& arguments) {
  std::vector<ParsedFlag> parsed;
  for (size_t i = 0; i < arguments.size(); ++i) {
    std::string_view text = arguments[i];
    if (!text.starts_with('-')) {
      return fail(Code::kInvalid, "unexpected argument '{}' (sluice agent -help)", text);
    }
    text.remove_prefix(text.starts_with("--") ? 2 : 1);
    const size_t equals = text.find('=');
    const std::string name(text.substr(0, equals));
    const Flag* flag = find_flag(name == "h" ? "help" : name);
    const bool property = flag == nullptr && find_property(name) != nullptr;
    if (flag == nullptr && !property) {
      return fail(Code::kInvalid, "unknown flag -{} (sluice agent -help)", name);
    }
    std::string value;
    if (equals != std::string_view::npos) {
      value = text.substr(equals + 1);
    } else if (flag != nullptr && flag->value_name.empty()) {
      value = "true";
    } else if (i + 1 < arguments.size()) {
      value = arguments[++i];
    } else {
      return fail(Code::kInvalid, "flag -{} needs a value", name);
    }
    parsed.push_back({flag != nullptr ? std::string(flag->name) : name, std::move(value)});
  }
  return parsed;
}

Result<void> finish(AgentConfig& config) {
  if (config.dev) {
    config.server_enabled = config.client_enabled = config.raw_exec_enabled = true;
    if (config.advertise_ip.empty()) config.advertise_ip = "127.0.0.1";
  }
  if (const auto option = config.options.find(kRawExecOption); option != config.options.end()) {
    config.raw_exec_enabled = is_true(option->second);
  }
  for (const auto& [name, value] : config.options) {
    if (name == kRawExecOption || name.starts_with("docker.")) continue;
    config.warnings.push_back(fmt::format("client options: \"{}\" has no effect", name));
  }
  Result<void> docker = drivers::read_docker_options(config.options, config.docker);
  if (!docker) return docker;
  if (!config.server_enabled) {
    return fail(
        Code::kInvalid,
        "nothing to run: set server {{ enabled = true }} (with client {{ enabled = true }}) "
        "in a -config file, or start with -dev");
  }
  if (config.bootstrap_expect > 1) {
    config.warnings.push_back(
        fmt::format("bootstrap_expect = {}: this version runs one server, on this machine",
                    config.bootstrap_expect));
  }
  if (config.consul && (config.catalog_http_addr || config.catalog_dns_addr)) {
    return fail(Code::kInvalid,
                "catalog: http_addr and dns_addr are the embedded catalog's; with Consul as the "
                "catalog, Consul itself answers");
  }
  Result<void> proxy = check_agent_properties(config.proxy_properties, config.warnings);
  if (!proxy) return pass(proxy, "proxy");
  if (config.min_dynamic_port > config.max_dynamic_port) {
    return fail(Code::kInvalid, "client: min_dynamic_port {} is over max_dynamic_port {}",
                config.min_dynamic_port, config.max_dynamic_port);
  }
  for (const auto& [name, percent] :
       {std::pair("gc_disk_usage_threshold", config.gc.disk_usage_percent),
        std::pair("gc_inode_usage_threshold", config.gc.inode_usage_percent)}) {
    if (percent >= 0 && percent <= 100) continue;
    return fail(Code::kInvalid, "client: {} {:g} is not between 0 and 100 percent", name, percent);
  }
  if (config.tls.http && (config.tls.cert_file.empty() || config.tls.key_file.empty())) {
    return fail(Code::kInvalid, "tls: http = true needs cert_file and key_file");
  }
  if (config.tls.verify_https_client && (!config.tls.http || config.tls.ca_file.empty())) {
    return fail(Code::kInvalid, "tls: verify_https_client needs http = true and ca_file");
  }
  Result<std::vector<uint16_t>> reserved = parse_port_list(config.reserved_ports);
  if (!reserved) return pass(reserved, "client reserved_ports");
  for (const auto& [name, text] : {std::pair("reserved cores", config.reserved_cores),
                                   std::pair("reservable_cores", config.reservable_cores)}) {
    if (Result<CpuList> cores = parse_cpu_list(text); !cores) return pass(cores, "client {}", name);
  }
  if (config.data_dir.empty() && !config.dev) {
    return fail(Code::kInvalid, "data_dir is not set: give -data-dir DIR or data_dir in a file");
  }
  if (!config.data_dir.empty()) {
    std::error_code error;
    config.data_dir = std::filesystem::absolute(config.data_dir, error).lexically_normal().string();
    if (config.data_dir.ends_with('/')) config.data_dir.pop_back();
  }
  return {};
}

}  // namespace

Result<std::vector<uint16_t>> parse_port_list(const std::string& text) {
  std::vector<uint16_t> ports;
  std::string_view rest = text;
  const auto number = [](std::string_view digits) -> int {
    int value = -1;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return error == std::errc() && end == digits.data() + digits.size() && value <= 65535 ? value
                                                                                          : -1;
  };
  while (!rest.empty()) {
    const size_t comma = rest.find(',');
    std::string_view part = rest.substr(0, comma);
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
    while (part.starts_with(' ')) part.remove_prefix(1);
    const size_t dash = part.find('-');
    const int first = number(part.substr(0, dash));
    const int last = dash == std::string_view::npos ? first : number(part.substr(dash + 1));
    if (first < 0 || last < first) {
      return fail(Code::kInvalid, "'{}' is not a port or a range of ports", part);
    }
    for (int port = first; port <= last; ++port) ports.push_back(static_cast<uint16_t>(port));
  }
  return ports;
}

std::string agent_usage() {
  std::string text =
      "Usage: sluice agent -dev | -config FILE|DIR [flags]\n\n"
      "  Runs the server, the node and the balancer of this machine until SIGTERM or Ctrl-C.\n"
      "  Without -dev, stopping the agent stops no task: the next agent takes them "
      "over.\n\nFlags:\n";
  for (const Flag& flag : kFlags) {
    const std::string left = fmt::format("-{} {}", flag.name, flag.value_name);
    text += fmt::format("  {:<26} {}\n", left, flag.help);
  }
  text +=
      "\n  The balancer's settings are fabio's flags (-proxy.addr, -ui.addr, -log.access.target, "
      "...):\n"
      "  sluice lb -help lists them. In a file they stand in proxy { }, with _ for the dots.\n";
  return text;
}

Result<AgentConfig> load_agent_config(const std::vector<std::string>& arguments, bool& help) {
  AgentConfig config;
  Result<std::vector<ParsedFlag>> flags = parse_flags(arguments);
  if (!flags) return pass(flags);
  help = std::any_of(flags->begin(), flags->end(), [](const auto& f) { return f.name == "help"; });
  if (help) return config;
  for (const ParsedFlag& flag : *flags) {
    if (flag.name != "config") continue;
    Result<void> read = read_config_path(flag.value, config);
    if (!read) return pass(read);
  }
  for (const ParsedFlag& flag : *flags) {
    if (find_flag(flag.name) == nullptr) {
      config.proxy_properties[flag.name] = flag.value;
      continue;
    }
    Result<void> applied = apply_flag(flag.name, flag.value, config);
    if (!applied) return pass(applied);
  }
  Result<void> finished = finish(config);
  if (!finished) return pass(finished);
  return config;
}

}  // namespace sluice
