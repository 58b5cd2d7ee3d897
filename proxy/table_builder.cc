#include "proxy/table_builder.h"

#include <algorithm>

#include "core/check.h"

namespace sluice::proxy {

namespace {

using Routes = std::vector<Ref<Route>>;

RouteOrder order_of(const RouteUpdate& update) {
  return {update.path, update.matcher};
}

/// Merges sorted updates into sorted routes.
Routes merge(std::span<Route* const> old, std::span<RouteUpdate> updates) {
  Routes out;
  out.reserve(old.size() + updates.size());
  size_t at = 0;
  for (RouteUpdate& update : updates) {
    const RouteOrder order = order_of(update);
    while (at < old.size() && order_of(*old[at]) < order)
      out.push_back(Ref<Route>::share(old[at++]));
    if (at < old.size() && order_of(*old[at]) == order) ++at;
    if (update.route) out.push_back(std::move(update.route));
  }
  while (at < old.size()) out.push_back(Ref<Route>::share(old[at++]));
  return out;
}

void append_chunks(std::vector<Ref<Chunk>>& chunks, Routes routes) {
  if (routes.size() <= TableBuilder::kFlatRoutes) {
    if (!routes.empty()) chunks.push_back(Chunk::make(std::move(routes)));
    return;
  }
  for (size_t at = 0; at < routes.size(); at += TableBuilder::kChunkRoutes) {
    const size_t end = std::min(at + TableBuilder::kChunkRoutes, routes.size());
    Routes part;
    part.reserve(end - at);
    for (size_t i = at; i < end; ++i) part.push_back(std::move(routes[i]));
    chunks.push_back(Chunk::make(std::move(part)));
  }
}

std::vector<Ref<Chunk>> merge_chunks(std::span<Chunk* const> old, std::span<RouteUpdate> updates) {
  std::vector<Ref<Chunk>> out;
  out.reserve(old.size() + 1);
  for (size_t i = 0; i < old.size(); ++i) {
    // What lies before the next chunk belongs to this one; the last takes the rest.
    size_t mine = updates.size();
    if (i + 1 < old.size()) {
      const RouteOrder next = order_of(*old[i + 1]->routes().front());
      mine = static_cast<size_t>(
          std::partition_point(updates.begin(), updates.end(),
                               [&](const RouteUpdate& each) { return order_of(each) < next; }) -
          updates.begin());
    }
    if (mine == 0) {
      out.push_back(Ref<Chunk>::share(old[i]));
    } else {
      append_chunks(out, merge(old[i]->routes(), updates.first(mine)));
      updates = updates.subspan(mine);
    }
  }
  return out;
}

/// The routes of the prefix matcher, flat or in chunks as their number asks.
void merge_prefixes(const Host* old, std::span<RouteUpdate> updates, Host::Parts& parts) {
  if (old == nullptr || old->chunks().empty()) {
    Routes routes = merge(old == nullptr ? std::span<Route* const>() : old->routes(), updates);
    if (routes.size() <= TableBuilder::kFlatRoutes) {
      parts.routes = std::move(routes);
    } else {
      append_chunks(parts.chunks, std::move(routes));
    }
    return;
  }
  parts.chunks = merge_chunks(old->chunks(), updates);
  size_t total = 0;
  for (const Ref<Chunk>& chunk : parts.chunks) total += chunk->routes().size();
  if (total > TableBuilder::kChunkRoutes) return;
  for (const Ref<Chunk>& chunk : parts.chunks) {
    for (Ref<Route>& route : chunk->copy()) parts.routes.push_back(std::move(route));
  }
  parts.chunks.clear();
}

size_t count_labels(std::string_view name) {
  return 1 + static_cast<size_t>(std::count(name.begin(), name.end(), '.'));
}

}  // namespace

TableBuilder::TableBuilder(const RouteTable& base)
    : table_(Ref<RouteTable>::adopt(new RouteTable(base))) {}

Result<void> TableBuilder::update_host(std::string_view pattern, std::vector<RouteUpdate> updates) {
  std::sort(updates.begin(), updates.end(), [](const RouteUpdate& a, const RouteUpdate& b) {
    const bool a_prefix = a.matcher == Matcher::kPrefix;
    const bool b_prefix = b.matcher == Matcher::kPrefix;
    return a_prefix != b_prefix ? a_prefix : order_of(a) < order_of(b);
  });
  const auto special = std::find_if(updates.begin(), updates.end(), [](const RouteUpdate& each) {
    return each.matcher != Matcher::kPrefix;
  });
  const auto prefix_count = static_cast<size_t>(special - updates.begin());
  const std::span<RouteUpdate> all(updates);

  const Host* old = table_->find_host(pattern);
  Host::Parts parts;
  merge_prefixes(old, all.first(prefix_count), parts);
  parts.more =
      merge(old == nullptr ? std::span<Route* const>() : old->more(), all.subspan(prefix_count));
  if (parts.routes.empty() && parts.chunks.empty() && parts.more.empty()) {
    if (old != nullptr) remove(*old);
    return {};
  }
  return put(Host::make(pattern, std::move(parts)), old);
}

Result<void> TableBuilder::put(Ref<Host> host, const Host* old) {
  const size_t before = old == nullptr ? 0 : old->route_count();
  const size_t after = host->route_count();
  const bool added = old == nullptr;
  switch (host->kind()) {
    case HostKind::kExact:
      if (added) count_port(host->port(), 1);
      table_->exact_.set(std::move(host));
      break;
    case HostKind::kWildcard:
      if (added) count_depth(host->name(), 1);
      table_->wildcard_.set(std::move(host));
      break;
    case HostKind::kGlob: {
      auto glob = Glob::compile(host->name());
      if (!glob) return pass(glob);
      auto globs = table_->globs_ ? *table_->globs_ : RouteTable::GlobHosts();
      std::erase_if(globs, [old](const auto& each) { return each.host.get() == old; });
      const auto at = std::find_if(globs.begin(), globs.end(), [&](const auto& each) {
        return more_specific(*host, *each.host);
      });
      globs.insert(at, {std::move(host), std::move(*glob)});
      table_->globs_ = std::make_shared<const RouteTable::GlobHosts>(std::move(globs));
      break;
    }
  }
  table_->host_count_ += added ? 1 : 0;
  table_->route_count_ += after - before;
  return {};
}

void TableBuilder::remove(const Host& old) {
  --table_->host_count_;
  table_->route_count_ -= old.route_count();
  switch (old.kind()) {
    case HostKind::kExact:
      count_port(old.port(), -1);
      CHECK(table_->exact_.erase(old.hash(), old.name(), old.port()));
      break;
    case HostKind::kWildcard:
      count_depth(old.name(), -1);
      CHECK(table_->wildcard_.erase(old.hash(), old.name(), old.port()));
      break;
    case HostKind::kGlob: {
      RouteTable::GlobHosts globs = *table_->globs_;
      std::erase_if(globs, [&](const auto& each) { return each.host.get() == &old; });
      table_->globs_ =
          globs.empty() ? nullptr : std::make_shared<const RouteTable::GlobHosts>(std::move(globs));
      break;
    }
  }
}

void TableBuilder::count_port(uint16_t port, int change) {
  if (port == 80) table_->http_ports_ += static_cast<uint32_t>(change);
  if (port == 443) table_->https_ports_ += static_cast<uint32_t>(change);
}

void TableBuilder::count_depth(std::string_view name, int change) {
  const size_t depth = std::min(count_labels(name), RouteTable::kDepths - 1);
  table_->depths_[depth] += static_cast<uint32_t>(change);
  const uint64_t bit = uint64_t{1} << depth;
  if (table_->depths_[depth] != 0) {
    table_->depth_mask_ |= bit;
  } else {
    table_->depth_mask_ &= ~bit;
  }
}

Ref<RouteTable> TableBuilder::finish(uint64_t version) {
  table_->version_ = version;
  return std::move(table_);
}

}  // namespace sluice::proxy
