#include "orchestrator/cli/format_node.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/duration.h"
#include "orchestrator/cli/format_job.h"

namespace sluice::orchestrator::cli {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

constexpr uint64_t kMiB = 1024 * 1024;

std::string text_of(const Json& object, std::string_view key) {
  return std::string(object.get_string(key));
}

std::string bool_text(bool value) {
  return value ? "true" : "false";
}

bool draining(const Json& node) {
  return node.get_bool("Drain") || at(node, "DrainStrategy").is_object();
}

std::string drain_text(const Json& node, const Clock& clock) {
  const Json& strategy = at(node, "DrainStrategy");
  if (!strategy.is_object()) return bool_text(node.get_bool("Drain"));
  const int64_t deadline = at(strategy, "DrainSpec").is_object()
                               ? at(strategy, "DrainSpec").get_int("Deadline")
                               : strategy.get_int("Deadline");
  if (deadline < 0) return "true; force drain";
  const auto by = parse_time(strategy.get_string("ForceDeadline"));
  if (!by) return "true; no deadline";
  return fmt::format("true; {} deadline", time_text(*by, clock));
}

std::string driver_names(const Json& node) {
  std::vector<std::string> names;
  const Json& drivers = at(node, "Drivers");
  for (const std::string& name : sorted_keys(drivers)) {
    if (!at(drivers, name).get_bool("Detected")) continue;
    names.push_back(name + (at(drivers, name).get_bool("Healthy") ? "" : " (unhealthy)"));
  }
  return join(names, ",");
}

std::string driver_table(const Json& node, const Clock& clock) {
  std::vector<Row> rows{{"Driver", "Detected", "Healthy", "Message", "Time"}};
  const Json& drivers = at(node, "Drivers");
  for (const std::string& name : sorted_keys(drivers)) {
    const Json& driver = at(drivers, name);
    const auto time = parse_time(driver.get_string("UpdateTime"));
    rows.push_back({name, bool_text(driver.get_bool("Detected")),
                    bool_text(driver.get_bool("Healthy")), text_of(driver, "HealthDescription"),
                    time ? time_text(*time, clock) : "N/A"});
  }
  return columns(rows);
}

std::string events_table(const Json& node, bool verbose, const Clock& clock) {
  std::vector<Row> rows{{"Time", "Subsystem", "Message"}};
  if (verbose) rows[0].push_back("Details");
  const Json::Array& events = items(at(node, "Events"));
  for (auto event = events.rbegin(); event != events.rend(); ++event) {
    const auto time = parse_time(event->get_string("Timestamp"));
    Row row{time ? time_text(*time, clock) : "N/A", text_of(*event, "Subsystem"),
            text_of(*event, "Message")};
    if (verbose) {
      std::vector<std::string> details;
      for (const std::string& key : sorted_keys(at(*event, "Details"))) {
        details.push_back(key + ": " + text_of(at(*event, "Details"), key));
      }
      row.push_back(join(details, ","));
    }
    rows.push_back(std::move(row));
  }
  return columns(rows);
}

struct Amounts {
  int64_t cpu_mhz = 0;
  int64_t memory_mb = 0;
  int64_t disk_mb = 0;
};

/// What the node has for allocations: all of it less what is reserved.
Amounts capacity(const Json& node) {
  const Json& all = at(node, "NodeResources");
  const Json& held = at(node, "ReservedResources");
  if (all.is_object()) {
    return {at(all, "Cpu").get_int("CpuShares") - at(held, "Cpu").get_int("CpuShares"),
            at(all, "Memory").get_int("MemoryMB") - at(held, "Memory").get_int("MemoryMB"),
            at(all, "Disk").get_int("DiskMB") - at(held, "Disk").get_int("DiskMB")};
  }
  const Json& old = at(node, "Resources");
  return {old.get_int("CPU"), old.get_int("MemoryMB"), old.get_int("DiskMB")};
}

Amounts taken(const Json& allocations) {
  Amounts sum;
  for (const Json& alloc : items(allocations)) {
    if (alloc.get_string("ClientStatus") != "running" &&
        alloc.get_string("ClientStatus") != "pending") {
      continue;
    }
    const Json& resources = at(alloc, "Resources");
    sum.cpu_mhz += resources.get_int("CPU");
    sum.memory_mb += resources.get_int("MemoryMB");
    sum.disk_mb += resources.get_int("DiskMB");
  }
  return sum;
}

std::string mib_text(int64_t megabytes) {
  return size_text(static_cast<uint64_t>(std::max<int64_t>(megabytes, 0)) * kMiB);
}

std::string allocated_table(const NodeStatusData& data) {
  const Amounts have = capacity(data.node);
  const Amounts use = taken(data.allocations);
  return columns({{"CPU", "Memory", "Disk"},
                  {fmt::format("{}/{} MHz", use.cpu_mhz, have.cpu_mhz),
                   mib_text(use.memory_mb) + "/" + mib_text(have.memory_mb),
                   mib_text(use.disk_mb) + "/" + mib_text(have.disk_mb)}});
}

std::string host_table(const NodeStatusData& data) {
  const Json& memory = at(data.stats, "Memory");
  const auto bytes = [](const Json& object, std::string_view key) {
    return static_cast<uint64_t>(std::max<int64_t>(object.get_int(key), 0));
  };
  const Json& node_cpu = at(at(data.node, "NodeResources"), "Cpu");
  Row head{"CPU", "Memory"};
  Row row{fmt::format("{:.0f}/{} MHz", std::floor(data.stats.get_double("CPUTicksConsumed")),
                      node_cpu.get_int("CpuShares")),
          size_text(bytes(memory, "Used")) + "/" + size_text(bytes(memory, "Total"))};
  if (const Json::Array& disks = items(at(data.stats, "DiskStats")); !disks.empty()) {
    head.push_back("Disk(" + text_of(disks[0], "Device") + ")");
    row.push_back(size_text(bytes(disks[0], "Used")) + "/" + size_text(bytes(disks[0], "Size")));
  }
  return columns({head, row});
}

std::string pairs_of(const Json& object) {
  Pairs pairs;
  for (const std::string& key : sorted_keys(object)) pairs.emplace_back(key, text_of(object, key));
  return key_values(pairs);
}

}  // namespace

std::string format_node_list(const Json& nodes, const std::vector<int64_t>& running,
                             const NodeStatusOptions& options) {
  if (nodes.size() == 0) return "";
  std::vector<Row> rows{{"ID", "DC", "Name", "Class"}};
  if (options.os) rows[0].push_back("OS");
  if (options.verbose) rows[0].insert(rows[0].end(), {"Address", "Version"});
  rows[0].insert(rows[0].end(), {"Drain", "Eligibility", "Status"});
  if (options.allocs) rows[0].push_back("Running Allocs");
  size_t i = 0;
  for (const Json& node : items(nodes)) {
    Row row{short_id(node.get_string("ID"), options.verbose), text_of(node, "Datacenter"),
            text_of(node, "Name"), text_of(node, "NodeClass")};
    if (options.os) row.push_back(text_of(at(node, "Attributes"), "os.name"));
    if (options.verbose) {
      row.insert(row.end(), {text_of(node, "Address"), text_of(node, "Version")});
    }
    row.push_back(bool_text(draining(node)));
    row.push_back(text_of(node, "SchedulingEligibility"));
    row.push_back(text_of(node, "Status"));
    if (options.allocs) row.push_back(i < running.size() ? std::to_string(running[i]) : "0");
    rows.push_back(std::move(row));
    ++i;
  }
  std::string text = columns(rows);
  for (const Json& node : items(nodes)) {
    const std::string why = text_of(node, "StatusDescription");
    if (!why.empty()) text += fmt::format("\n\n{}: {}", text_of(node, "Name"), why);
  }
  return text;
}

std::string format_node_status(const NodeStatusData& data, const NodeStatusOptions& options,
                               const Clock& clock, const Style& style) {
  const Json& node = data.node;
  const auto section = [&](std::string_view title) { return "\n\n" + style.bold(title) + "\n"; };
  Pairs head{{"ID", short_id(node.get_string("ID"), options.verbose)},
             {"Name", text_of(node, "Name")},
             {"Class", text_of(node, "NodeClass")},
             {"DC", text_of(node, "Datacenter")},
             {"Drain", drain_text(node, clock)},
             {"Eligibility", text_of(node, "SchedulingEligibility")},
             {"Status", text_of(node, "Status")}};
  if (const std::string why = text_of(node, "StatusDescription"); !why.empty()) {
    head.emplace_back("Description", why);
  }
  const std::string allocs =
      section("Allocations") + format_alloc_list(data.allocations, options.verbose, clock);
  if (options.brief) {
    head.emplace_back("Drivers", driver_names(node));
    return key_values(head) + allocs;
  }
  if (data.stats.is_object()) {
    head.emplace_back("Uptime", go_duration(data.stats.get_int("Uptime") * 1'000'000'000));
  }
  if (!options.verbose) head.emplace_back("Driver Status", driver_names(node));
  std::string out = key_values(head);
  if (options.verbose) out += section("Drivers") + driver_table(node, clock);
  out += section("Node Events") + events_table(node, options.verbose, clock);
  out += section("Allocated Resources") + allocated_table(data);
  if (data.stats.is_object()) out += section("Host Resource Utilization") + host_table(data);
  out += allocs;
  if (options.verbose) {
    out += section("Attributes") + pairs_of(at(node, "Attributes"));
    out += section("Meta") + pairs_of(at(node, "Meta"));
  }
  return out;
}

}  // namespace sluice::orchestrator::cli
