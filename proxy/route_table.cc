#include "proxy/route_table.h"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace sluice::proxy {

namespace {

/// The bytes of a pattern in fabio's order of comparison: the host reversed, then the port as
/// written.
class Specificity {
 public:
  explicit Specificity(std::string_view pattern) {
    const size_t bracket = pattern.starts_with('[') ? pattern.find(']') : 0;
    const size_t colon = bracket == std::string_view::npos ? bracket : pattern.find(':', bracket);
    host_ = pattern.substr(0, colon);
    if (colon != std::string_view::npos) port_ = pattern.substr(colon);
  }
  [[nodiscard]] size_t size() const { return host_.size() + port_.size(); }
  [[nodiscard]] unsigned char at(size_t i) const {
    return static_cast<unsigned char>(i < host_.size() ? host_[host_.size() - 1 - i]
                                                       : port_[i - host_.size()]);
  }

 private:
  std::string_view host_;
  std::string_view port_;
};

}  // namespace

bool more_specific(const Host& a, const Host& b) {
  const Specificity left(a.pattern());
  const Specificity right(b.pattern());
  const size_t size = std::min(left.size(), right.size());
  for (size_t i = 0; i < size; ++i) {
    if (left.at(i) != right.at(i)) return left.at(i) > right.at(i);
  }
  return left.size() > right.size();
}

RouteTable::RouteTable(const RouteTable& base)
    : Counted(),
      version_(base.version_),
      exact_(base.exact_),
      wildcard_(base.wildcard_),
      globs_(base.globs_),
      depths_(base.depths_),
      depth_mask_(base.depth_mask_),
      http_ports_(base.http_ports_),
      https_ports_(base.https_ports_),
      host_count_(base.host_count_),
      route_count_(base.route_count_) {}

Ref<RouteTable> RouteTable::make_empty(uint64_t version) {
  auto table = Ref<RouteTable>::adopt(new RouteTable());
  table->version_ = version;
  return table;
}

const Host* RouteTable::find_host(std::string_view text) const {
  const HostPattern pattern = parse_pattern(text);
  switch (pattern.kind) {
    case HostKind::kExact:
      return exact_.find(hash_name(pattern.name, pattern.port), pattern.name, pattern.port);
    case HostKind::kWildcard:
      return wildcard_.find(hash_name(pattern.name, pattern.port), pattern.name, pattern.port);
    case HostKind::kGlob: break;
  }
  if (!globs_) return nullptr;
  for (const GlobHost& each : *globs_) {
    if (each.host->pattern() == text) return each.host.get();
  }
  return nullptr;
}

const Route* RouteTable::find_port(uint16_t port) const {
  const Host* host = exact_.find(hash_name({}, port), {}, port);
  return host == nullptr ? nullptr : host->match({});
}

const Route* RouteTable::find_address(std::string_view ip, uint16_t port) const {
  const Host* host = exact_.find(hash_name(ip, port), ip, port);
  const Route* route = host == nullptr ? nullptr : host->match("/");
  return route != nullptr ? route : find_port(port);
}

const Host* RouteCursor::advance() {
  const std::string_view name = host_.name();
  switch (stage_) {
    case Stage::kExactDefaultPort: {
      stage_ = Stage::kExact;
      for (size_t i = name.size(); i > 0; --i) state_ = hash_step(state_, name[i - 1]);
      if (host_.port == 0 && !name.empty()) {
        // `mysite.com:80` names the same as `mysite.com`, and sorts before it. Of many hosts few
        // are in the cache, so it is only looked for where any says so.
        const uint16_t port = default_port();
        const bool any = (host_.tls ? table_.https_ports_ : table_.http_ports_) != 0;
        const Host* host =
            any ? table_.exact_.find(hash_finish(state_, port), name, port) : nullptr;
        if (host != nullptr) return host;
      }
    }
      [[fallthrough]];
    case Stage::kExact: {
      stage_ = Stage::kCollect;
      const Host* host =
          name.empty() ? nullptr
                       : table_.exact_.find(hash_finish(state_, host_.port), name, host_.port);
      if (host != nullptr) return host;
    }
      [[fallthrough]];
    case Stage::kCollect:
      stage_ = Stage::kPatterns;
      if (!name.empty()) collect();
      [[fallthrough]];
    case Stage::kPatterns:
      if (next_ < count_) return patterns_[next_++];
      stage_ = Stage::kEmpty;
      [[fallthrough]];
    case Stage::kEmpty: {
      stage_ = Stage::kEnd;
      const Host* host = table_.exact_.find(hash_name({}, 0), {}, 0);
      if (host != nullptr) return host;
    }
      [[fallthrough]];
    case Stage::kEnd: return nullptr;
  }
  return nullptr;
}

const Route* RouteCursor::next() {
  while ((current_ = advance()) != nullptr) {
    if (const Route* route = current_->match(path_)) return route;
  }
  return nullptr;
}

RouteCursor::Hosts RouteCursor::matching_hosts(const RouteTable& table, const HostName& host) {
  RouteCursor cursor(table, host, {});
  Hosts out;
  while (const Host* each = cursor.advance()) {
    if (cursor.stage_ == Stage::kEnd) {
      out.fallback = each;
    } else {
      out.hosts[out.count++] = each;
    }
  }
  return out;
}

void RouteCursor::collect() {
  if (table_.depth_mask_ != 0) collect_wildcards();
  if (table_.globs_) collect_globs();
}

void RouteCursor::collect_wildcards() {
  const std::string_view name = host_.name();
  uint64_t state = kHashSeed;
  size_t labels = 1;
  for (size_t i = name.size(); i > 0; --i) {
    if (name[i - 1] == '.') {
      const std::string_view suffix = name.substr(i);
      const size_t depth = std::min(labels, RouteTable::kDepths - 1);
      if ((table_.depth_mask_ >> depth & 1) != 0) {
        const HostTrie& trie = table_.wildcard_;
        if (host_.port == 0) {
          const uint16_t port = default_port();
          add(trie.find(hash_finish(state, port), suffix, port));
        }
        add(trie.find(hash_finish(state, host_.port), suffix, host_.port));
      }
      ++labels;
    }
    state = hash_step(state, name[i - 1]);
  }
}

void RouteCursor::collect_globs() {
  std::array<char, kHostNameBytes + 8> text;
  const std::string_view name = host_.name();
  std::memcpy(text.data(), name.data(), name.size());
  size_t size = name.size();
  if (host_.port != 0) {
    text[size++] = ':';
    size = static_cast<size_t>(
        std::to_chars(text.data() + size, text.data() + text.size(), host_.port).ptr - text.data());
  }
  const std::string_view whole(text.data(), size);
  const uint16_t effective = host_.port == 0 ? default_port() : host_.port;
  for (const RouteTable::GlobHost& each : *table_.globs_) {
    const uint16_t port = each.host->port();
    if (port != 0 && port != effective) continue;
    if (each.glob.matches(port != 0 ? name : whole)) add(each.host.get());
  }
}

void RouteCursor::add(const Host* host) {
  if (host == nullptr) return;
  size_t at = count_;
  while (at > 0 && more_specific(*host, *patterns_[at - 1])) --at;
  if (at == kMatchingHosts) return;
  if (count_ < kMatchingHosts) ++count_;
  for (size_t i = count_ - 1u; i > at; --i) patterns_[i] = patterns_[i - 1];
  patterns_[at] = host;
}

}  // namespace sluice::proxy
