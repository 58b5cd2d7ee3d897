#include "drivers/consul/kv.h"

#include <algorithm>
#include <utility>

#include "core/base64.h"
#include "core/scope.h"

namespace sluice::drivers {

namespace {

Result<std::vector<ConsulKvEntry>> decode_entries(const Json& body) {
  std::vector<ConsulKvEntry> entries;
  if (body.is_null()) return entries;
  if (!body.is_array()) return fail(Code::kInvalid, "Consul's KV entries are no list");
  for (const Json& item : body.as_array()) {
    ConsulKvEntry entry{.key = std::string(item.get_string("Key")),
                        .value = {},
                        .index = static_cast<uint64_t>(item.get_int("ModifyIndex"))};
    if (const Json* value = item.find("Value"); value != nullptr && value->is_string()) {
      Result<std::string> plain = base64_decode(value->as_string());
      if (!plain) return pass(plain, "Consul's KV entry {}", entry.key);
      entry.value = *std::move(plain);
    }
    entries.push_back(std::move(entry));
  }
  std::ranges::sort(entries, {}, &ConsulKvEntry::key);
  return entries;
}

}  // namespace

std::string consul_key(std::string_view path) {
  while (path.starts_with('/')) path.remove_prefix(1);
  return std::string(path);
}

std::string escaped_consul_key(std::string_view path) {
  const std::string key = consul_key(path);
  std::string out;
  for (std::string_view rest = key;;) {
    const size_t slash = rest.find('/');
    out += percent_encode(rest.substr(0, slash));
    if (slash == std::string_view::npos) return out;
    out += '/';
    rest.remove_prefix(slash + 1);
  }
}

Task<Result<std::vector<ConsulKvEntry>>> ConsulKv::list(std::string path) {
  auto answer = co_await api_.get_kv("/v1/kv/" + escaped_consul_key(path) + "?recurse", 0);
  if (!answer) co_return pass(answer);
  co_return decode_entries(answer->body);
}

Task<Result<std::optional<ConsulKvEntry>>> ConsulKv::read(std::string path) {
  auto answer = co_await api_.get_kv("/v1/kv/" + escaped_consul_key(path), 0);
  if (!answer) co_return pass(answer);
  auto entries = decode_entries(answer->body);
  if (!entries) co_return pass(entries);
  if (entries->empty()) co_return std::nullopt;
  co_return std::move(entries->front());
}

Task<Result<bool>> ConsulKv::write(std::string path, std::string value, uint64_t index) {
  co_return co_await api_.put_kv(escaped_consul_key(path), std::move(value), index);
}

Task<void> ConsulKv::follow(std::string path, bool below, OnChange on_change) {
  const std::string query = "/v1/kv/" + escaped_consul_key(path) + (below ? "?recurse" : "");
  std::optional<std::vector<ConsulKvEntry>> told;
  uint64_t index = 0;   // to wait behind
  uint64_t newest = 0;  // last believed
  bool doubt = false;   // the index went back: what is missing may only be forgotten
  bool away = false;
  int64_t retry_ms = options_.retry_min_ms;
  while (true) {
    auto answer = co_await api_.get_kv(query, index);
    Result<std::vector<ConsulKvEntry>> entries = fail(Code::kInternal, "no answer");
    if (!answer) {
      entries = pass(answer);
    } else if (!answer->known_leader || answer->index == 0) {
      entries = fail(Code::kInternal, "Consul knows no leader");
    } else {
      entries = decode_entries(answer->body);
    }
    if (!entries) {
      index = 0;
      if (!std::exchange(away, true)) {
        log_.warn("consul: {}: {}; it stays as it was, trying again", path,
                  entries.error().message);
      }
      co_await sleep_for(
          env_.executor,
          retry_ms / 2 + static_cast<int64_t>(env_.random.below(static_cast<uint64_t>(retry_ms))));
      retry_ms = std::min(retry_ms * 2, options_.retry_max_ms);
      continue;
    }
    if (std::exchange(away, false)) log_.info("consul: {}: answers again", path);
    // Changes that come close together are taken together.
    co_await sleep_for(env_.executor, options_.coalesce_ms);
    retry_ms = options_.retry_min_ms;
    doubt = answer->index < newest || (doubt && answer->index == newest);
    index = newest = answer->index;
    if (doubt && entries->empty() && told && !told->empty()) {
      log_.warn("consul: {} is gone and Consul's index went back: it stays as it was", path);
      continue;
    }
    if (told && *told == *entries) continue;
    told = *std::move(entries);
    on_change(*told);
  }
}

}  // namespace sluice::drivers
