#include "app/consul_overrides.h"

#include <fmt/format.h>

#include <utility>

#include "orchestrator/command_source.h"

namespace sluice {

ConsulOverrides::ConsulOverrides(drivers::ConsulKv& kv, Balancer& balancer, std::string place,
                                 std::function<void()> on_known)
    : kv_(kv),
      balancer_(balancer),
      path_(std::move(place)),
      place_(drivers::consul_key(path_)),
      on_known_(std::move(on_known)) {
  balancer_.set_overrides(this);
}

ConsulOverrides::~ConsulOverrides() {
  balancer_.set_overrides(nullptr);
}

Task<void> ConsulOverrides::run() {
  co_await kv_.follow(
      path_, true, [this](const std::vector<drivers::ConsulKvEntry>& entries) { take(entries); });
}

/// "fabio/config" and "fabio/config/x", not "fabio/configuration".
bool ConsulOverrides::is_below(const std::string& key) const {
  return key == place_ || key.starts_with(place_ + "/");
}

void ConsulOverrides::take(const std::vector<drivers::ConsulKvEntry>& entries) {
  std::string commands;
  for (const drivers::ConsulKvEntry& entry : entries) {
    if (is_below(entry.key)) commands += fmt::format("# --- {}\n{}\n", entry.key, entry.value);
  }
  balancer_.routes().apply(
      {orchestrator::command_edit("overrides", std::move(commands), orchestrator::kOverrideLayer)});
  known_ = true;
  on_known_();
}

Task<Result<std::vector<std::string>>> ConsulOverrides::paths() {
  auto entries = co_await kv_.list(path_);
  if (!entries) co_return pass(entries);
  std::vector<std::string> keys;
  for (const drivers::ConsulKvEntry& entry : *entries) {
    if (is_below(entry.key)) keys.push_back(entry.key.substr(place_.size()));
  }
  co_return keys;
}

Task<Result<ManualOverrides::Value>> ConsulOverrides::read(std::string key) {
  auto entry = co_await kv_.read(path_ + key);
  if (!entry) co_return pass(entry);
  if (!*entry) co_return Value{};
  co_return Value{.value = (*entry)->value, .version = (*entry)->index};
}

Task<Result<bool>> ConsulOverrides::write(std::string key, Value value) {
  co_return co_await kv_.write(path_ + key, std::move(value.value), value.version);
}

Result<std::string> overrides_place(const Properties& properties) {
  std::string place = properties.get("registry.consul.kvpath");
  while (place.ends_with('/')) place.pop_back();
  if (place.empty()) return fail(Code::kInvalid, "-registry.consul.kvpath is empty");
  return place;
}

}  // namespace sluice
