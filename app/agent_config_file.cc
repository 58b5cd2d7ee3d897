#include "app/agent_config_file.h"

#include <sys/stat.h>

#include <optional>
#include <string_view>
#include <vector>

#include "app/lb_config.h"
#include "core/disk.h"
#include "core/hcl/eval.h"
#include "core/hcl/json_file.h"
#include "core/hcl/parser.h"
#include "core/hcl/schema.h"
#include "core/json.h"

namespace sluice {

namespace {

using hcl::ArgumentSchema;
using hcl::BlockSchema;
using hcl::BodySchema;
using enum hcl::ArgumentType;
using enum hcl::BlockUse;

constexpr size_t kConfigFileBytes = 1024 * 1024;

constexpr ArgumentSchema kPortsArguments[] = {{"http", "http", kWhole, 0, 65535},
                                              {"rpc", "rpc", kWhole, 0, 65535},
                                              {"serf", "serf", kWhole, 0, 65535}};
constexpr BodySchema kPorts = {kPortsArguments, {}};

constexpr ArgumentSchema kAddressesArguments[] = {
    {"http", "http"}, {"rpc", "rpc"}, {"serf", "serf"}};
constexpr BodySchema kAddresses = {kAddressesArguments, {}};

constexpr ArgumentSchema kServerArguments[] = {
    {"enabled", "enabled", kBool},
    {"bootstrap_expect", "bootstrap_expect", kWhole, 1, 99},
    {"raft_protocol", "raft_protocol", kWhole, 2, 3},
    {"encrypt", "encrypt"}};
constexpr BodySchema kServer = {kServerArguments, {}};

constexpr ArgumentSchema kAclArguments[] = {{"enabled", "enabled", kBool}};
constexpr BodySchema kAcl = {kAclArguments, {}};

constexpr ArgumentSchema kTlsArguments[] = {{"http", "http", kBool},
                                            {"ca_file", "ca_file"},
                                            {"cert_file", "cert_file"},
                                            {"key_file", "key_file"},
                                            {"verify_https_client", "verify_https_client", kBool}};
constexpr BodySchema kTls = {kTlsArguments, {}};

constexpr ArgumentSchema kReservedArguments[] = {{"cpu", "cpu", kWhole, 0},
                                                 {"memory", "memory", kWhole, 0},
                                                 {"disk", "disk", kWhole, 0},
                                                 {"cores", "cores"},
                                                 {"reserved_ports", "reserved_ports"}};
constexpr BodySchema kReserved = {kReservedArguments, {}};

constexpr ArgumentSchema kHostVolumeArguments[] = {{"path", "path"},
                                                   {"read_only", "read_only", kBool}};
constexpr BodySchema kHostVolume = {kHostVolumeArguments, {}};

constexpr ArgumentSchema kClientArguments[] = {
    {"enabled", "enabled", kBool},
    {"node_class", "node_class"},
    {"meta", "meta", kStringMap},
    {"options", "options", kStringMap},
    {"servers", "servers", kStrings},
    {"advertise_ip", "advertise_ip"},
    {"min_dynamic_port", "min_dynamic_port", kWhole, 1024, 65535},
    {"max_dynamic_port", "max_dynamic_port", kWhole, 1024, 65535},
    {"reservable_cores", "reservable_cores"},
    {"drain_timeout", "drain_timeout", kDuration, 0},
    {"gc_max_allocs", "gc_max_allocs", kWhole, 0},
    {"gc_disk_usage_threshold", "gc_disk_usage_threshold", kNumber},
    {"gc_inode_usage_threshold", "gc_inode_usage_threshold", kNumber},
    {"gc_interval", "gc_interval", kDuration, 1'000'000'000}};
constexpr BlockSchema kClientBlocks[] = {
    {"reserved", "reserved", kOnce, &kReserved},
    {"host_volume", "host_volume", kByLabel, &kHostVolume, "Name"}};
constexpr BodySchema kClient = {kClientArguments, kClientBlocks};

constexpr ArgumentSchema kConsulArguments[] = {{"address", "address"},
                                               {"token", "token"},
                                               {"datacenter", "datacenter"},
                                               {"namespace", "namespace"},
                                               {"ca_file", "ca_file"},
                                               {"cert_file", "cert_file"},
                                               {"key_file", "key_file"},
                                               {"ssl", "ssl", kBool},
                                               {"verify_ssl", "verify_ssl", kBool},
                                               {"allow_stale", "allow_stale", kBool}};
constexpr BodySchema kConsul = {kConsulArguments, {}};

constexpr ArgumentSchema kCatalogArguments[] = {{"http_addr", "http_addr"},
                                                {"dns_addr", "dns_addr"}};
constexpr BodySchema kCatalog = {kCatalogArguments, {}};

// Prometheus's form of the metrics is there when it is asked for, and no name holds the host's.
constexpr ArgumentSchema kTelemetryArguments[] = {
    {"prometheus_metrics", "prometheus_metrics", kBool},
    {"disable_hostname", "disable_hostname", kBool},
    {"collection_interval", "collection_interval", kDuration, 0}};
constexpr BodySchema kTelemetry = {kTelemetryArguments, {}};

Result<void> refuse_vault(hcl::DecodedBody& decoded) {
  if (!decoded.json.get_bool("enabled")) return {};
  return hcl::fail_at(decoded.place, "\"vault\" is not supported");
}

constexpr ArgumentSchema kVaultArguments[] = {{"enabled", "enabled", kBool}};
constexpr BodySchema kVault = {kVaultArguments, {}, refuse_vault};

constexpr BlockSchema kPluginBlocks[] = {{"config", "config", kFreeForm}};
constexpr BodySchema kPlugin = {{}, kPluginBlocks};

constexpr ArgumentSchema kTopArguments[] = {{"data_dir", "data_dir"},
                                            {"region", "region"},
                                            {"datacenter", "datacenter"},
                                            {"name", "name"},
                                            {"bind_addr", "bind_addr"},
                                            {"log_level", "log_level"},
                                            // There is no such check.
                                            {"disable_update_check", "disable_update_check", kBool},
                                            {"enable_debug", "enable_debug", kBool}};
constexpr BlockSchema kTopBlocks[] = {{"ports", "ports", kOnce, &kPorts},
                                      {"addresses", "addresses", kOnce, &kAddresses},
                                      {"server", "server", kOnce, &kServer},
                                      {"client", "client", kOnce, &kClient},
                                      {"proxy", "proxy", kFreeForm},
                                      {"consul", "consul", kOnce, &kConsul},
                                      {"catalog", "catalog", kOnce, &kCatalog},
                                      {"plugin", "plugin", kByLabel, &kPlugin, "Name"},
                                      {"acl", "acl", kOnce, &kAcl},
                                      {"tls", "tls", kOnce, &kTls},
                                      {"telemetry", "telemetry", kOnce, &kTelemetry},
                                      {"vault", "vault", kOnce, &kVault}};
constexpr BodySchema kTop = {kTopArguments, kTopBlocks};

/// A scalar as the text that a flag would hold.
std::string scalar_text(const Json& value) {
  if (value.is_string()) return value.as_string();
  return to_json(value);
}

void merge_strings(const Json* object, std::map<std::string, std::string>& into) {
  if (object == nullptr || !object->is_object()) return;
  for (const JsonMember& member : object->as_object()) {
    into[member.key] = scalar_text(member.value);
  }
}

void take(const Json& from, std::string_view key, std::string& into) {
  if (from.find(key) != nullptr) into = from.get_string(key);
}

void take(const Json& from, std::string_view key, std::optional<std::string>& into) {
  if (from.find(key) != nullptr) into = from.get_string(key);
}

void take(const Json& from, std::string_view key, bool& into) {
  into = from.get_bool(key, into);
}

void take(const Json& from, std::string_view key, int64_t& into) {
  if (from.find(key) != nullptr) into = from.get_int(key);
}

void take(const Json& from, std::string_view key, double& into) {
  if (const Json* value = from.find(key)) into = value->as_double();
}

Result<void> apply_proxy(const Json& proxy, AgentConfig& config) {
  for (const JsonMember& member : proxy.as_object()) {
    if (member.key == "enabled") {
      config.proxy_enabled = is_true(scalar_text(member.value));
      continue;
    }
    std::optional<std::string> name = property_name(member.key);
    if (!name) {
      return fail(Code::kInvalid,
                  "proxy: unknown setting \"{}\"; the balancer's settings are fabio's with _ for "
                  "the dots (sluice lb -help lists them)",
                  member.key);
    }
    config.proxy_properties[*name] = scalar_text(member.value);
  }
  return {};
}

void apply_client(const Json& client, AgentConfig& config) {
  config.client_enabled = client.get_bool("enabled", config.client_enabled);
  take(client, "node_class", config.node_class);
  take(client, "advertise_ip", config.advertise_ip);
  take(client, "min_dynamic_port", config.min_dynamic_port);
  take(client, "max_dynamic_port", config.max_dynamic_port);
  take(client, "reservable_cores", config.reservable_cores);
  take(client, "gc_max_allocs", config.gc.max_allocs);
  take(client, "gc_disk_usage_threshold", config.gc.disk_usage_percent);
  take(client, "gc_inode_usage_threshold", config.gc.inode_usage_percent);
  if (client.find("gc_interval") != nullptr) {
    config.gc.interval_ms = client.get_int("gc_interval") / 1'000'000;
  }
  if (client.find("drain_timeout") != nullptr) {
    config.drain_timeout_ms = client.get_int("drain_timeout") / 1'000'000;
  }
  merge_strings(client.find("meta"), config.meta);
  merge_strings(client.find("options"), config.options);
  if (const Json* reserved = client.find("reserved")) {
    take(*reserved, "cpu", config.reserved_cpu_mhz);
    take(*reserved, "memory", config.reserved_memory_mb);
    take(*reserved, "disk", config.reserved_disk_mb);
    take(*reserved, "cores", config.reserved_cores);
    take(*reserved, "reserved_ports", config.reserved_ports);
  }
  const Json* volumes = client.find("host_volume");
  if (volumes == nullptr) return;
  for (const JsonMember& volume : volumes->as_object()) {
    config.host_volumes[volume.key] = {.path = std::string(volume.value.get_string("path")),
                                       .read_only = volume.value.get_bool("read_only")};
  }
}

/// The `config` block of a plugin, which is free of form; null where there is none.
const Json* plugin_config(const Json& json, std::string_view name) {
  auto only = [](const Json* value) {
    const bool list = value != nullptr && value->is_array() && !value->as_array().empty();
    return list ? &value->as_array().front() : value;
  };
  const Json* value = only(json.find("plugin"));
  for (const std::string_view part : {name, std::string_view("config")}) {
    value = value == nullptr ? nullptr : only(value->find(part));
  }
  return value;
}

Result<void> apply(const Json& json, AgentConfig& config) {
  take(json, "data_dir", config.data_dir);
  take(json, "region", config.region);
  take(json, "datacenter", config.datacenter);
  take(json, "name", config.name);
  take(json, "bind_addr", config.bind_addr);
  take(json, "log_level", config.log_level);
  if (const Json* ports = json.find("ports")) {
    config.http_port = static_cast<uint16_t>(ports->get_int("http", config.http_port));
  }
  if (const Json* addresses = json.find("addresses")) take(*addresses, "http", config.bind_addr);
  if (const Json* server = json.find("server")) {
    config.server_enabled = server->get_bool("enabled", config.server_enabled);
    take(*server, "bootstrap_expect", config.bootstrap_expect);
  }
  if (const Json* acl = json.find("acl")) {
    config.acl_enabled = acl->get_bool("enabled", config.acl_enabled);
  }
  if (const Json* tls = json.find("tls")) {
    take(*tls, "http", config.tls.http);
    take(*tls, "ca_file", config.tls.ca_file);
    take(*tls, "cert_file", config.tls.cert_file);
    take(*tls, "key_file", config.tls.key_file);
    take(*tls, "verify_https_client", config.tls.verify_https_client);
  }
  if (const Json* client = json.find("client")) apply_client(*client, config);
  if (const Json* consul = json.find("consul")) {
    if (!config.consul) config.consul.emplace();
    take(*consul, "address", config.consul->address);
    take(*consul, "token", config.consul->token);
    take(*consul, "datacenter", config.consul->datacenter);
    take(*consul, "namespace", config.consul->ns);
    take(*consul, "ca_file", config.consul->ca_file);
    take(*consul, "cert_file", config.consul->cert_file);
    take(*consul, "key_file", config.consul->key_file);
    take(*consul, "ssl", config.consul->ssl);
    take(*consul, "verify_ssl", config.consul->verify_ssl);
    take(*consul, "allow_stale", config.consul->allow_stale);
  }
  if (const Json* catalog = json.find("catalog")) {
    take(*catalog, "http_addr", config.catalog_http_addr);
    take(*catalog, "dns_addr", config.catalog_dns_addr);
  }
  if (const Json* raw_exec = plugin_config(json, "raw_exec")) {
    const Json* enabled = raw_exec->find("enabled");
    if (enabled != nullptr) config.raw_exec_enabled = is_true(scalar_text(*enabled));
  }
  if (const Json* docker = plugin_config(json, "docker")) {
    Result<void> read = drivers::read_docker_plugin(*docker, config.docker);
    if (!read) return read;
  }
  if (const Json* proxy = json.find("proxy")) return apply_proxy(*proxy, config);
  return {};
}

Result<void> read_file(const std::string& path, AgentConfig& config) {
  PosixDisk disk;
  Result<std::string> text = disk.read_file(path, kConfigFileBytes);
  if (!text) return pass(text);
  Result<hcl::File> file = hcl::looks_like_json(*text)
                               ? hcl::parse_json_file(path, std::move(*text), kTop)
                               : hcl::parse_file(path, std::move(*text));
  if (!file) return pass(file);
  hcl::Evaluator evaluator(hcl::EvalOptions{});
  const hcl::Scope scope;
  Result<Json> json = hcl::decode_body(file->body, kTop, file->body.end, evaluator, scope);
  if (!json) return pass(json);
  Result<void> applied = apply(*json, config);
  if (!applied) return pass(applied, "{}", path);
  return {};
}

}  // namespace

Result<void> read_config_path(const std::string& path, AgentConfig& config) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return fail_errno(errno, "-config " + path);
  if (!S_ISDIR(status.st_mode)) return read_file(path, config);
  PosixDisk disk;
  Result<std::vector<std::string>> names = disk.list(path);
  if (!names) return pass(names);
  bool any = false;
  for (const std::string& name : *names) {
    if (!name.ends_with(".hcl") && !name.ends_with(".json")) continue;
    any = true;
    Result<void> read = read_file(path + "/" + name, config);
    if (!read) return read;
  }
  if (!any) return fail(Code::kInvalid, "-config {}: no .hcl or .json file in this folder", path);
  return {};
}

}  // namespace sluice
