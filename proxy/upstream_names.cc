#include "proxy/upstream_names.h"

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "core/log.h"
#include "core/network.h"

namespace sluice::proxy {

UpstreamNames::UpstreamNames(Executor& executor, HostLookup& lookup, Log* log,
                             UpstreamNameOptions options)
    : executor_(executor), lookup_(lookup), log_(log), options_(options), scope_(executor) {}

UpstreamNames::~UpstreamNames() {
  for (auto& [name, entry] : names_) executor_.cancel(entry.timer);
}

void UpstreamNames::set_on_change(std::function<void(const std::string& name)> on_change) {
  on_change_ = std::move(on_change);
}

bool UpstreamNames::watch(const std::string& name) {
  auto at = names_.find(name);
  if (at == names_.end()) {
    if (names_.size() >= options_.names) return false;
    at = names_.emplace(name, Name()).first;
    if (auto had = inherited_.extract(name)) at->second.addresses = std::move(had.mapped());
    enqueue(name);
  }
  ++at->second.watchers;
  return true;
}

void UpstreamNames::unwatch(const std::string& name) {
  const auto at = names_.find(name);
  CHECK(at != names_.end() && at->second.watchers > 0);
  if (--at->second.watchers > 0) return;
  executor_.cancel(at->second.timer);
  names_.erase(at);  // what is asked or waits to be asked finds nobody
}

std::span<const std::string> UpstreamNames::addresses(const std::string& name) const {
  const auto at = names_.find(name);
  return at == names_.end() ? std::span<const std::string>() : at->second.addresses;
}

std::string_view UpstreamNames::trouble(const std::string& name) const {
  const auto at = names_.find(name);
  return at == names_.end() ? std::string_view() : at->second.trouble;
}

void UpstreamNames::enqueue(const std::string& name) {
  names_.at(name).waiting = true;
  queue_.push_back(name);
  start_some();
}

void UpstreamNames::start_some() {
  while (running_ < options_.lookups && !queue_.empty()) {
    std::string name = std::move(queue_.front());
    queue_.pop_front();
    const auto at = names_.find(name);
    if (at == names_.end() || !std::exchange(at->second.waiting, false)) continue;
    ++running_;
    scope_.spawn(look_up(std::move(name)));
  }
}

Task<void> UpstreamNames::look_up(std::string name) {
  Result<HostAddresses> found = co_await lookup_.look_up(name);
  --running_;
  take(name, std::move(found));
  start_some();
}

void UpstreamNames::take(const std::string& name, Result<HostAddresses> found) {
  const auto at = names_.find(name);
  if (at == names_.end()) return;
  Name& entry = at->second;
  int64_t next_ms = 0;
  bool changed = false;
  if (found) {
    next_ms = std::clamp(found->ttl_ms, options_.least_ttl_ms, options_.most_ttl_ms);
    entry.retry_ms = 0;
    if (!std::exchange(entry.trouble, {}).empty() && log_ != nullptr) {
      log_->info("host name {} is known again", name);
    }
    changed = entry.addresses != found->ips;
    entry.addresses = std::move(found->ips);
  } else {
    entry.retry_ms = entry.retry_ms == 0 ? options_.first_retry_ms
                                         : std::min(entry.retry_ms * 2, options_.last_retry_ms);
    next_ms = entry.retry_ms;
    note_trouble(entry, std::move(found.error().message));
  }
  executor_.cancel(entry.timer);
  entry.timer = executor_.post_after(next_ms, [this, name] {
    names_.at(name).timer = Executor::Ticket::kNone;
    enqueue(name);
  });
  if (changed && on_change_) on_change_(name);  // last: it may unwatch
}

void UpstreamNames::note_trouble(Name& entry, std::string why) {
  const bool known = !std::exchange(entry.trouble, std::move(why)).empty();
  if (known || log_ == nullptr) return;
  if (entry.addresses.empty()) {
    log_->warn("host name {}; its routes have no endpoint until it is known", entry.trouble);
  } else {
    log_->warn("host name {}; its last {} addresses stay", entry.trouble, entry.addresses.size());
  }
}

void UpstreamNames::write_state(JsonWriter& json) const {
  json.begin_object();
  for (const auto& [name, entry] : names_) {
    if (entry.addresses.empty()) continue;
    json.key(name).begin_array();
    for (const std::string& ip : entry.addresses) json.value(ip);
    json.end_array();
  }
  json.end_object();
}

Result<void> UpstreamNames::read_state(const Json& state) {
  if (!state.is_object()) return fail(Code::kInvalid, "the names are no object");
  for (const auto& [name, list] : state.as_object()) {
    if (!list.is_array()) return fail(Code::kInvalid, "name {}: want its addresses", name);
    std::vector<std::string> ips;
    for (const Json& ip : list.as_array()) {
      if (!ip.is_string() || !parse_address(ip.as_string() + ":1")) {
        return fail(Code::kInvalid, "name {}: no address", name);
      }
      ips.push_back(ip.as_string());
    }
    inherited_[name] = std::move(ips);
  }
  return {};
}

}  // namespace sluice::proxy
