#include "proxy/route.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <new>

#include "core/check.h"
#include "core/http1.h"

namespace sluice::proxy {

namespace {

/// A node with its text behind it, in one allocation.
template <class T, class Construct>
Ref<T> make_with_text(std::string_view text, Construct construct) {
  void* memory = ::operator new(sizeof(T) + text.size());
  T* node = construct(memory);
  std::memcpy(reinterpret_cast<char*>(node + 1), text.data(), text.size());
  return Ref<T>::adopt(node);
}

template <class T>
void* memory_of(const T* node) {
  return const_cast<T*>(node);
}

}  // namespace

Ref<Label> Label::make(std::string_view text) {
  return make_with_text<Label>(
      text, [&](void* at) { return new (at) Label(static_cast<uint32_t>(text.size())); });
}

void Label::destroy(const Label* label) {
  label->~Label();
  ::operator delete(memory_of(label));
}

Ref<Instance> Instance::make(std::string_view id) {
  return make_with_text<Instance>(
      id, [&](void* at) { return new (at) Instance(static_cast<uint32_t>(id.size())); });
}

void Instance::destroy(const Instance* instance) {
  instance->~Instance();
  ::operator delete(memory_of(instance));
}

std::string Target::destination() const {
  if (!parts_.endpoint) return options().redirect_url;
  return to_string(parts_.endpoint->destination());
}

std::string Target::identity() const {
  std::string text = destination();
  if (!parts_.endpoint) return text;
  const std::string address = parts_.endpoint->address();
  return address.empty() ? text : text + " " + address;
}

Route::Route(Parts parts, uint32_t path_size)
    : targets_(std::move(parts.targets)),
      extra_(std::move(parts.extra)),
      live_(parts.live),
      path_size_(static_cast<uint16_t>(path_size)),
      matcher_(parts.matcher),
      strategy_(parts.strategy) {
  CHECK(path_size <= UINT16_MAX);
  CHECK(live_ <= targets_.size());
}

Ref<Route> Route::make(std::string_view path, Parts parts) {
  return make_with_text<Route>(path, [&](void* at) {
    return new (at) Route(std::move(parts), static_cast<uint32_t>(path.size()));
  });
}

bool Route::is_other_address(size_t index) const {
  const Target& target = *targets_[index];
  if (target.among() == 1) return false;
  const auto same = [&](const Target* before) {
    return before->among() == target.among() && before->service() == target.service() &&
           before->instance() == target.instance() && before->position() == target.position() &&
           before->options() == target.options() && before->destination() == target.destination();
  };
  return std::ranges::any_of(all_targets().first(index), same);
}

void Route::destroy(const Route* route) {
  route->~Route();
  ::operator delete(memory_of(route));
}

Ref<Chunk> Chunk::make(std::vector<Ref<Route>> routes) {
  return Ref<Chunk>::adopt(new Chunk(std::move(routes)));
}

uint64_t hash_name(std::string_view name, uint16_t port) {
  uint64_t state = kHashSeed;
  for (size_t i = name.size(); i > 0; --i) state = hash_step(state, name[i - 1]);
  return hash_finish(state, port);
}

HostPattern parse_pattern(std::string_view text) {
  HostPattern out{.kind = HostKind::kExact, .text = text, .name = text, .port = 0};
  if (text.empty()) return out;
  const size_t bracket = text.starts_with('[') ? text.find(']') : 0;
  const size_t colon =
      bracket == std::string_view::npos ? std::string_view::npos : text.find(':', bracket);
  std::string_view name = text.substr(0, colon);
  uint16_t port = 0;
  if (colon != std::string_view::npos) {
    const std::string_view digits = text.substr(colon + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (error != std::errc() || end != digits.data() + digits.size() || port == 0) {
      out.kind = HostKind::kGlob;  // `a.com:*`: the glob reads the port too
      return out;
    }
  }
  const bool literal = bracket != 0 && bracket != std::string_view::npos &&
                       name.find_first_not_of("[]0123456789abcdef:.") == std::string_view::npos;
  if (name.starts_with("*.") && name.size() > 2 && !has_glob(name.substr(2))) {
    out.kind = HostKind::kWildcard;
    name.remove_prefix(2);
  } else if (!literal && has_glob(name)) {
    out.kind = HostKind::kGlob;
  }
  out.name = name;
  out.port = port;
  return out;
}

Host::Host(const HostPattern& pattern, Parts parts)
    : routes_(std::move(parts.routes)),
      size_(static_cast<uint16_t>(pattern.text.size())),
      name_size_(static_cast<uint16_t>(pattern.name.size())),
      port_(pattern.port),
      kind_(pattern.kind) {
  CHECK(pattern.text.size() <= UINT16_MAX);
  if (!parts.chunks.empty() || !parts.more.empty()) {
    extra_ = std::make_unique<Extra>(RefArray<Chunk>(std::move(parts.chunks)),
                                     RefArray<Route>(std::move(parts.more)));
  }
}

Ref<Host> Host::make(std::string_view pattern, Parts parts) {
  return make_with_text<Host>(
      pattern, [&](void* at) { return new (at) Host(parse_pattern(pattern), std::move(parts)); });
}

void Host::destroy(const Host* host) {
  host->~Host();
  ::operator delete(memory_of(host));
}

namespace {

size_t common_prefix(std::string_view a, std::string_view b) {
  const size_t size = std::min(a.size(), b.size());
  size_t at = 0;
  while (at < size && a[at] == b[at]) ++at;
  return at;
}

/// The last route whose path is not above `path`. The routes are prefix routes in order.
const Route* floor_of(std::span<Route* const> routes, std::string_view path) {
  const auto above = std::upper_bound(
      routes.begin(), routes.end(), path,
      [](std::string_view text, const Route* route) { return text < route->path(); });
  return above == routes.begin() ? nullptr : above[-1];
}

const Route* floor_of(std::span<Chunk* const> chunks, std::string_view path) {
  const auto above = std::upper_bound(chunks.begin(), chunks.end(), path,
                                      [](std::string_view text, const Chunk* chunk) {
                                        return text < chunk->routes().front()->path();
                                      });
  return above == chunks.begin() ? nullptr : floor_of(above[-1]->routes(), path);
}

}  // namespace

/// `/a` leads `/a` and `/a/b`, not `/ab`.
static bool starts_with_segments(std::string_view path, std::string_view lead) {
  if (!path.starts_with(lead)) return false;
  return path.size() == lead.size() || lead.ends_with('/') || path[lead.size()] == '/';
}

bool matches(const Route& route, std::string_view path) {
  switch (route.matcher()) {
    case Matcher::kDefault:  // resolved when the route was built
    case Matcher::kPrefix: return path.starts_with(route.path());
    case Matcher::kIprefix:
      return http1::iequals(path.substr(0, route.path().size()), route.path());
    case Matcher::kGlob: return route.extra()->glob->matches(path);
    case Matcher::kSegment: return starts_with_segments(path, route.path());
    case Matcher::kRegex: return route.extra()->regex->matches_start(path);
  }
  return false;
}

const Route* Host::match(std::string_view path) const {
  // The longest route path that is a prefix of `path`: whatever lies between it and `path` in the
  // order begins with it too. So look at the floor, and if that is none, at the floor of what both
  // share.
  const Route* best = nullptr;
  const std::span<Chunk* const> runs = chunks();
  for (std::string_view rest = path;;) {
    const Route* floor = runs.empty() ? floor_of(routes(), rest) : floor_of(runs, rest);
    if (floor == nullptr) break;
    const size_t common = common_prefix(floor->path(), rest);
    if (common == floor->path().size()) {
      best = floor;
      break;
    }
    rest = rest.substr(0, common);
  }
  const std::span<Route* const> special = more();
  for (size_t i = special.size(); i > 0; --i) {
    const Route* route = special[i - 1];
    if (best != nullptr && order_of(*best) > order_of(*route)) break;
    if (matches(*route, path)) return route;
  }
  return best;
}

const Route* Host::find(RouteOrder order) const {
  const auto find_in = [&](std::span<Route* const> routes) -> const Route* {
    const auto at = std::lower_bound(
        routes.begin(), routes.end(), order,
        [](const Route* route, const RouteOrder& wanted) { return order_of(*route) < wanted; });
    return at != routes.end() && order_of(**at) == order ? *at : nullptr;
  };
  if (order.matcher != Matcher::kPrefix) return find_in(more());
  const std::span<Chunk* const> runs = chunks();
  if (runs.empty()) return find_in(routes());
  const auto above = std::upper_bound(runs.begin(), runs.end(), order.path,
                                      [](std::string_view text, const Chunk* chunk) {
                                        return text < chunk->routes().front()->path();
                                      });
  return above == runs.begin() ? nullptr : find_in(above[-1]->routes());
}

size_t Host::route_count() const {
  size_t count = routes_.size() + more().size();
  for (const Chunk* chunk : chunks()) count += chunk->routes().size();
  return count;
}

}  // namespace sluice::proxy
