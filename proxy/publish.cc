#include "proxy/publish.h"

#include <algorithm>

#include "core/check.h"

namespace sluice::proxy {

uint64_t Publisher::apply(std::vector<RouteEdit> edits) {
  return take(routes_.apply(std::move(edits), table()));
}

uint64_t Publisher::take(RouteSet::Outcome outcome) {
  const uint64_t version = outcome.table ? outcome.table->version() : table().version();
  count_targets(outcome, version);
  if (outcome.table) publish(std::move(outcome.table));
  tell_down(outcome);
  return version;
}

/// One that leaves is drained; one that has failed does not come back to what it held.
void Publisher::tell_down(const RouteSet::Outcome& outcome) {
  std::vector<EndpointRef> down;
  for (const Ref<Target>& target : outcome.added) {
    const Target::Parts& parts = target->parts();
    if (parts.healthy || parts.draining || !target->options().close_on_down) continue;
    const EndpointRef& endpoint = parts.endpoint;
    if (endpoint && endpoint->retired() && endpoint->outstanding() > 0) down.push_back(endpoint);
  }
  if (down.empty() || !on_down_) return;
  on_down_(std::make_shared<const std::vector<EndpointRef>>(std::move(down)));
}

void Publisher::count_targets(const RouteSet::Outcome& outcome, uint64_t version) {
  for (const Ref<Target>& target : outcome.added) {
    const Target::Parts& parts = target->parts();
    // One that is not healthy is only listed: nothing is sent there.
    if (parts.endpoint && parts.healthy) parts.endpoint->add_route();
    if (!parts.instance) continue;
    ++parts.instance->targets;
    if (parts.healthy) ++parts.instance->open;
  }
  for (const Ref<Target>& target : outcome.removed) {
    const Target::Parts& parts = target->parts();
    const bool unrouted = parts.endpoint && parts.healthy && parts.endpoint->drop_route();
    if (!parts.instance) continue;
    CHECK(parts.instance->targets > 0);
    --parts.instance->targets;
    if (parts.healthy) --parts.instance->open;
    Leaving& leaving = leaving_[parts.instance.get()];
    leaving.version = version;
    if (unrouted) leaving.endpoints.push_back(parts.endpoint);
  }
}

// ---- readers, retirement, drains

Publisher::Publisher(PublisherOptions options, Post post_control, Log* log, UpstreamNames* names)
    : options_(options),
      post_control_(std::move(post_control)),
      names_(names),
      alive_(std::make_shared<Alive>(this)),
      endpoints_([this] { wake(); }),
      routes_(options_, endpoints_, names, log) {
  if (names_ != nullptr) {
    names_->set_on_change(
        [this](const std::string& name) { take(routes_.readdress(name, table())); });
  }
  publish(RouteTable::make_empty(options_.first_version));
}

Publisher::~Publisher() {
  CHECK(readers_.empty());
  if (names_ != nullptr) names_->set_on_change({});
  alive_->publisher = nullptr;
}

TableReader& Publisher::add_reader(Post post) {
  newest_->readers.fetch_add(1, std::memory_order_relaxed);
  readers_.push_back(
      std::unique_ptr<TableReader>(new TableReader(*newest_, std::move(post), [this] { wake(); })));
  return *readers_.back();
}

void Publisher::remove_reader(TableReader& reader) {
  const auto at = std::find_if(readers_.begin(), readers_.end(),
                               [&](const auto& each) { return each.get() == &reader; });
  CHECK(at != readers_.end());
  // What was posted and not adopted will not be any more.
  const uint64_t adopted = reader.acknowledged_.load(std::memory_order_acquire);
  for (const auto& held : held_) {
    if (held->table->version() >= adopted) held->readers.fetch_sub(1, std::memory_order_acq_rel);
  }
  readers_.erase(at);
  collect();
}

void Publisher::publish(Ref<RouteTable> table) {
  held_.push_back(std::make_unique<Held>(std::move(table)));
  newest_ = held_.back().get();
  newest_->readers.store(static_cast<uint32_t>(readers_.size()), std::memory_order_relaxed);
  for (const auto& reader : readers_) {
    reader->post_([reader = reader.get(), held = newest_] { reader->adopt(*held); });
  }
  if (readers_.empty()) wake();
}

void Publisher::wake() {
  if (alive_->waking.exchange(true, std::memory_order_acq_rel)) return;
  post_control_([alive = alive_] {
    // Before looking, so that what changes from here on wakes again.
    alive->waking.store(false, std::memory_order_release);
    if (alive->publisher != nullptr) alive->publisher->collect();
  });
}

uint64_t Publisher::acknowledged_by_all() const {
  uint64_t least = table().version();
  for (const auto& reader : readers_) {
    least = std::min(least, reader->acknowledged_.load(std::memory_order_acquire));
  }
  return least;
}

std::set<std::string> Publisher::register_names() const {
  std::set<std::string> names;
  table().for_each_host([&](const Host& host) {
    host.for_each_route([&](const Route& route) {
      for (const Target* target : route.all_targets()) {
        const std::string& name = target->options().register_name;
        if (!name.empty()) names.insert(name);
      }
      return true;
    });
  });
  return names;
}

void Publisher::free_tables() {
  std::erase_if(held_, [this](const std::unique_ptr<Held>& held) {
    return held.get() != newest_ && held->readers.load(std::memory_order_acquire) == 0;
  });
}

bool Publisher::all_idle(const std::vector<EndpointRef>& endpoints) {
  bool idle = true;
  for (const EndpointRef& endpoint : endpoints) idle = endpoints_.watch_idle(*endpoint) && idle;
  return idle;
}

bool Publisher::is_drained(std::string_view id, uint64_t acknowledged) {
  const Instance* instance = routes_.find_instance(id);
  if (instance == nullptr) return true;
  if (instance->open > 0) return false;
  const auto leaving = leaving_.find(instance);
  return leaving == leaving_.end() ||
         (leaving->second.version <= acknowledged && all_idle(leaving->second.endpoints));
}

void Publisher::when_drained(std::vector<std::string> instances, uint64_t version,
                             std::move_only_function<void()> done) {
  waiters_.push_back({std::move(instances), version, std::move(done)});
  wake();
}

void Publisher::collect() {
  free_tables();
  endpoints_.sweep();
  const uint64_t acknowledged = acknowledged_by_all();
  std::erase_if(waiters_, [&](Waiter& waiter) {
    if (waiter.version > acknowledged) return false;
    for (const std::string& id : waiter.instances) {
      if (!is_drained(id, acknowledged)) return false;
    }
    post_control_(std::move(waiter.done));
    return true;
  });
  // What has left and is idle needs no memory any more.
  std::erase_if(leaving_, [&](auto& each) {
    auto& [instance, leaving] = each;
    if (leaving.version > acknowledged || !all_idle(leaving.endpoints)) return false;
    // Otherwise it is back, or still listed.
    if (instance->targets == 0) routes_.forget_instance(*instance);
    return true;
  });
}

}  // namespace sluice::proxy
