// ConsulKv: entries of Consul's KV: read, written by compare-and-set, and followed as they change
// (fabio's manual overrides and its no-route page live there).
//
// Owner: main.cc. Thread: the executor's.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/env.h"
#include "core/log.h"
#include "core/task.h"
#include "drivers/consul/api.h"

namespace sluice::drivers {

struct ConsulKvEntry {
  std::string key;  // without a slash in front
  std::string value;
  uint64_t index = 0;  // ModifyIndex, which compare-and-set wants

  bool operator==(const ConsulKvEntry&) const = default;
};

struct ConsulKvOptions {
  int64_t coalesce_ms = 10;
  int64_t retry_min_ms = 200;
  int64_t retry_max_ms = 10'000;
};

/// A key as Consul has it: "/fabio/config" is "fabio/config".
std::string consul_key(std::string_view path);
/// The same as a part of a URL: its slashes stay.
std::string escaped_consul_key(std::string_view path);

class ConsulKv {
 public:
  ConsulKv(Env env, Log& log, ConsulApi& api, ConsulKvOptions options = {})
      : env_(env), log_(log), api_(api), options_(options) {}

  using OnChange = std::function<void(const std::vector<ConsulKvEntry>&)>;
  /// Runs until cancelled. Calls with all entries whose key is `path` or (`below`) begins with it,
  /// by key, first with what there is, then at each change. Absence is not an order: an outage, an
  /// answer without a leader and an emptiness behind an index that went back call nothing.
  Task<void> follow(std::string path, bool below, OnChange on_change);

  Task<Result<std::vector<ConsulKvEntry>>> list(std::string path);
  Task<Result<std::optional<ConsulKvEntry>>> read(std::string path);
  /// False: the entry has changed since `index`; 0 creates it.
  Task<Result<bool>> write(std::string path, std::string value, uint64_t index);

 private:
  Env env_;
  Log& log_;
  ConsulApi& api_;
  ConsulKvOptions options_;
};

}  // namespace sluice::drivers
