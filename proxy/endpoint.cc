#include "proxy/endpoint.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "core/check.h"
#include "proxy/maglev.h"

namespace sluice::proxy {

namespace {

constexpr size_t kFirstBuckets = 64;

void mix(uint64_t& hash, std::string_view text) {
  for (const char c : text)
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;  // FNV-1a
  hash = (hash ^ 0x100) * 0x100000001b3;
}

uint32_t hash_of(const EndpointKey& key) {
  uint64_t hash = 0xcbf29ce484222325;
  mix(hash, key.destination.host);
  if (!key.address.empty()) mix(hash, key.address);
  mix(hash, key.server_name);
  hash ^= key.destination.port + (uint64_t{static_cast<uint8_t>(key.destination.scheme)} << 16) +
          (uint64_t{key.tls_skip_verify} << 24) + (uint64_t{key.proxy_protocol} << 25);
  hash *= 0x9e3779b97f4a7c15;
  return static_cast<uint32_t>(hash >> 32);
}

/// Bytes in network order; kName: it is no address.
Endpoint::Family read_ip(const std::string& text, std::array<uint8_t, 16>& ip) {
  if (inet_pton(AF_INET, text.c_str(), ip.data()) == 1) return Endpoint::Family::kIpv4;
  if (inet_pton(AF_INET6, text.c_str(), ip.data()) == 1) return Endpoint::Family::kIpv6;
  return Endpoint::Family::kName;
}

}  // namespace

bool is_ip_literal(const std::string& host) {
  std::array<uint8_t, 16> ip{};
  return read_ip(host, ip) != Endpoint::Family::kName;
}

EndpointKey endpoint_key(const Destination& destination, const RouteOptions& options) {
  EndpointKey key{.destination = destination};
  const bool tls = destination.scheme == Scheme::kHttps || destination.scheme == Scheme::kGrpcs;
  key.proxy_protocol = options.proxy_protocol;
  if (!tls) return key;
  key.tls_skip_verify = options.tls_skip_verify;
  if (!options.grpc_server_name.empty()) {
    key.server_name = options.grpc_server_name;
  } else if (!options.host.empty() && options.host != "dst") {
    key.server_name = options.host.substr(0, options.host.find(':'));
  }
  if (key.server_name == destination.host) key.server_name.clear();
  return key;
}

Endpoint::Endpoint(EndpointRegistry& registry, const EndpointKey& key, uint32_t hash)
    : registry_(registry),
      hash_(hash),
      port_(key.destination.port),
      host_size_(static_cast<uint16_t>(key.destination.host.size())),
      scheme_(key.destination.scheme),
      tls_skip_verify_(key.tls_skip_verify),
      proxy_protocol_(key.proxy_protocol) {
  if (!key.server_name.empty()) server_name_ = std::make_unique<std::string>(key.server_name);
  const std::string& host = key.destination.host;
  std::memcpy(reinterpret_cast<char*>(this + 1), host.data(), host.size());
  family_ = read_ip(host, ip_);
  named_ = family_ == Family::kName;
  if (named_) family_ = read_ip(key.address, ip_);
}

std::string Endpoint::address() const {
  if (!named_ || !resolved()) return {};
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(family_ == Family::kIpv6 ? AF_INET6 : AF_INET, ip_.data(), text.data(), text.size());
  return text.data();
}

void Endpoint::destroy(Endpoint* endpoint) {
  endpoint->~Endpoint();
  ::operator delete(endpoint);
}

bool Endpoint::is(const EndpointKey& key) const {
  return port_ == key.destination.port && scheme_ == key.destination.scheme &&
         tls_skip_verify_ == key.tls_skip_verify && proxy_protocol_ == key.proxy_protocol &&
         host() == key.destination.host && (!named_ || address() == key.address) &&
         (server_name_ ? *server_name_ == key.server_name : key.server_name.empty());
}

void Endpoint::end() const {
  // Read first: once the count is zero the control loop may free us.
  EndpointRegistry& registry = registry_;
  const uint32_t hash = hash_;
  const uint64_t before = word_.fetch_sub(1, std::memory_order_acq_rel);
  if ((before & kOutstandingMask) == 1 && (before & kWatched) != 0) {
    registry.add_candidate({this, hash});
  }
}

bool Endpoint::note_failure(int64_t now_ms) const {
  const uint32_t failures = failures_.fetch_add(1, std::memory_order_relaxed) + 1;
  if (failures < kFailuresToEject) return false;
  // Not reset: the first failure after it came back is one more in the row.
  int64_t until = ejected_until_ms_.load(std::memory_order_relaxed);
  if (until > now_ms && until != kRecovered) return false;
  const uint32_t times = std::min(ejections_.load(std::memory_order_relaxed) + 1, kMostEjections);
  if (!ejected_until_ms_.compare_exchange_strong(until, now_ms + kEjectionMs * times,
                                                 std::memory_order_relaxed)) {
    return false;  // another reactor has
  }
  ejections_.store(times, std::memory_order_relaxed);
  return true;
}

Endpoint::Health Endpoint::health() const {
  return {.ejected_until_ms = ejected_until_ms(),
          .failures = failures_.load(std::memory_order_relaxed),
          .ejections = ejections(),
          .was_healthy = was_healthy_};
}

void Endpoint::restore(const Health& health) const {
  ejected_until_ms_.store(health.ejected_until_ms, std::memory_order_relaxed);
  failures_.store(health.failures, std::memory_order_relaxed);
  ejections_.store(health.ejections, std::memory_order_relaxed);
  was_healthy_ = health.was_healthy;
}

// Served well for as long as it was away: its next ejection is a first one again.
void Endpoint::forgive(int64_t now_ms) const {
  const int64_t until = ejected_until_ms_.load(std::memory_order_relaxed);
  if (until == kRecovered) return;
  if (now_ms >= until + kEjectionMs * ejections()) ejections_.store(0, std::memory_order_relaxed);
}

bool Endpoint::chance_to_pass_over(int64_t back_ms, int64_t now_ms, uint64_t random) const {
  if (back_ms == kRecovered) {
    // Whoever comes first starts the clock.
    if (ejected_until_ms_.compare_exchange_strong(back_ms, now_ms, std::memory_order_relaxed)) {
      back_ms = now_ms;
    }
    if (back_ms == kRecovered) return false;
  }
  const int64_t since = now_ms - back_ms;
  if (since < 0 || since >= kSlowStartMs) return false;
  // From a tenth of its share on, so that it is seen to work.
  const int64_t share = std::max(kSlowStartMs / 10, since);
  // The bits of `random` that chose it say nothing of this.
  const uint64_t other = mix_hash(random ^ reinterpret_cast<uintptr_t>(this));
  return static_cast<int64_t>(other % kSlowStartMs) >= share;
}

void Endpoint::drop_reference() const {
  EndpointRegistry& registry = registry_;
  const uint32_t hash = hash_;
  const uint64_t before = word_.fetch_sub(kReference, std::memory_order_acq_rel);
  if (before / kReference == 2) registry.add_candidate({this, hash});
}

EndpointRegistry::EndpointRegistry(std::function<void()> wake)
    : wake_(std::move(wake)), buckets_(kFirstBuckets, nullptr) {}

EndpointRegistry::~EndpointRegistry() {
  for (Endpoint* endpoint : buckets_) {
    while (endpoint != nullptr) {
      Endpoint* next = endpoint->next_;
      CHECK((endpoint->word_.load(std::memory_order_acquire) & ~Endpoint::kWatched) ==
            Endpoint::kReference);
      Endpoint::destroy(endpoint);
      endpoint = next;
    }
  }
}

const Endpoint* EndpointRegistry::find(const EndpointKey& key) const {
  const uint32_t hash = hash_of(key);
  for (const Endpoint* each = buckets_[hash & (buckets_.size() - 1)]; each != nullptr;
       each = each->next_) {
    if (each->hash_ == hash && each->is(key)) return each;
  }
  return nullptr;
}

EndpointRef EndpointRegistry::find_or_add(const EndpointKey& key) {
  CHECK(key.destination.host.size() <= UINT16_MAX);
  if (const Endpoint* known = find(key)) return EndpointRef(*known);
  const uint32_t hash = hash_of(key);
  if (size_ >= buckets_.size()) grow();
  void* memory = ::operator new(sizeof(Endpoint) + key.destination.host.size());
  Endpoint* endpoint = new (memory) Endpoint(*this, key, hash);
  Endpoint*& bucket = buckets_[hash & (buckets_.size() - 1)];
  endpoint->next_ = std::exchange(bucket, endpoint);
  ++size_;
  return EndpointRef(*endpoint);
}

void EndpointRegistry::grow() {
  std::vector<Endpoint*> larger(buckets_.size() * 2, nullptr);
  for (Endpoint* endpoint : buckets_) {
    while (endpoint != nullptr) {
      Endpoint* next = endpoint->next_;
      Endpoint*& bucket = larger[endpoint->hash_ & (larger.size() - 1)];
      endpoint->next_ = std::exchange(bucket, endpoint);
      endpoint = next;
    }
  }
  buckets_ = std::move(larger);
}

bool EndpointRegistry::watch_idle(const Endpoint& endpoint) {
  const uint64_t before = endpoint.word_.fetch_or(Endpoint::kWatched, std::memory_order_acq_rel);
  return (before & Endpoint::kOutstandingMask) == 0;
}

void EndpointRegistry::add_candidate(Candidate candidate) {
  {
    const std::lock_guard lock(mutex_);
    candidates_.push_back(candidate);
    if (candidates_.size() > 1) return;  // woken already
  }
  wake_();
}

void EndpointRegistry::sweep() {
  std::vector<Candidate> candidates;
  {
    const std::lock_guard lock(mutex_);
    candidates.swap(candidates_);
  }
  for (const Candidate& candidate : candidates) consider(candidate);
}

void EndpointRegistry::consider(Candidate candidate) {
  Endpoint** link = &buckets_[candidate.hash & (buckets_.size() - 1)];
  while (*link != nullptr && *link != candidate.endpoint) link = &(*link)->next_;
  Endpoint* endpoint = *link;
  if (endpoint == nullptr) return;  // freed since
  uint64_t word = endpoint->word_.load(std::memory_order_acquire);
  if (word / Endpoint::kReference > 1) {
    // Held. Whoever waits for it to be idle asks again.
    endpoint->word_.fetch_and(~Endpoint::kWatched, std::memory_order_relaxed);
    return;
  }
  // Nobody can find it but through us; what is under way there may still take a reference, and then
  // ends.
  word = endpoint->word_.fetch_or(Endpoint::kWatched, std::memory_order_acq_rel);
  if ((word & ~Endpoint::kWatched) != Endpoint::kReference) return;
  *link = endpoint->next_;
  --size_;
  Endpoint::destroy(endpoint);
}

}  // namespace sluice::proxy
