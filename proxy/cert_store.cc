#include "proxy/cert_store.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>

#include "core/base64.h"
#include "core/disk.h"

namespace sluice::proxy {

namespace {

constexpr int64_t kRetryMs = 1'000;  // after a failure, where the store is asked more rarely
constexpr int64_t kRotateLookMs = 60'000;
constexpr int64_t kNeverMs = int64_t{365} * 24 * 3'600 * 1'000;
constexpr size_t kNamesTold = 20;

bool reads_files(const CertStoreSpec& spec) {
  return spec.type == CertStoreType::kFile || spec.type == CertStoreType::kPath;
}

bool speaks_http(ListenProtocol protocol) {
  return protocol == ListenProtocol::kHttps || protocol == ListenProtocol::kHttpsTcpSni;
}

}  // namespace

Result<void> CertStores::open(std::vector<CertStoreSpec> specs,
                              const std::vector<ListenSpec>& listeners) {
  for (CertStoreSpec& spec : specs) {
    auto store = std::make_unique<Store>();
    store->spec = std::move(spec);
    Result<void> opened = open_store(*store);
    if (!opened) return pass(opened, "certificate store {}", store->spec.name);
    stores_.push_back(std::move(store));
  }
  listener_count_ = listeners.size();
  for (uint32_t i = 0; i < listeners.size(); ++i) {
    if (listeners[i].cert_store.empty()) continue;
    Result<void> added = add_listener(listeners[i], i);
    if (!added) return pass(added, "listener {}", listeners[i].address.text());
  }
  note_complete();
  return {};
}

Result<void> CertStores::open_store(Store& store) {
  auto source = make_cert_source(store.spec, reach_);
  if (!source) return pass(source);
  store.source = std::move(*source);
  if (!reads_files(store.spec)) return {};
  PosixDisk disk;
  Result<CertMaterial> material = read_cert_files(store.spec, disk);
  if (!material) return pass(material);
  CertStock stock = make_stock(store.spec, *material, CertStock());
  if (!stock.usable(store.spec)) {
    if (stock.rejected.empty()) return fail(Code::kInvalid, "{} holds no *.pem", store.spec.cert);
    return fail(Code::kInvalid, "{}: {}", stock.rejected.front().name,
                stock.rejected.front().reason);
  }
  store.material = std::make_shared<const CertMaterial>(std::move(*material));
  take(store, std::move(stock));
  return {};
}

Result<void> CertStores::add_listener(const ListenSpec& spec, uint32_t index) {
  Listener listener{.index = index, .name = spec.address.text()};
  for (const std::string_view name : split_store_names(spec.cert_store)) {
    const auto found = std::find_if(stores_.begin(), stores_.end(),
                                    [&](const auto& store) { return store->spec.name == name; });
    if (found == stores_.end()) {
      return fail(Code::kInvalid, "there is no certificate store {} (-proxy.cs)", name);
    }
    // One handshake has one policy, and which host is asked for is known only after it.
    if (!listener.stores.empty() &&
        listener.stores.front()->spec.client_ca != (*found)->spec.client_ca) {
      return fail(Code::kInvalid, "certificate stores {} and {} do not have the same clientca",
                  listener.stores.front()->spec.name, name);
    }
    listener.stores.push_back(found->get());
  }
  if (listener.stores.empty()) return fail(Code::kInvalid, "cs= names no store");
  listener.options.min_version = spec.tls_min;
  listener.options.max_version = spec.tls_max;
  listener.options.ciphers = spec.tls_ciphers;
  listener.options.strict_match = spec.strict_match;
  if (speaks_http(spec.protocol)) listener.options.alpn = {"http/1.1", "http/1.0"};
  Result<void> built = build(listener);
  if (!built) return built;
  listeners_.push_back(std::move(listener));
  return {};
}

Result<void> CertStores::build(Listener& listener) {
  std::vector<std::shared_ptr<const tls::Certificate>> certificates;
  std::shared_ptr<const tls::Authorities> clients;
  for (const Store* store : listener.stores) {
    if (!store->stock.usable(store->spec)) continue;
    for (const auto& [name, certificate] : store->stock.certificates)
      certificates.push_back(certificate);
    clients = store->stock.clients;
  }
  tls::Keyring& keyring =
      keyrings_.of(clients ? clients->fingerprint() : std::string(), executor_.now_ms());
  auto context = tls::ServerContext::make(
      listener.options, std::make_shared<const tls::CertificateSet>(std::move(certificates)),
      std::move(clients), keyring);
  if (!context) return pass(context);
  listener.context = std::move(*context);
  return {};
}

void CertStores::note_complete() {
  for (const Listener& listener : listeners_) {
    const bool any = std::any_of(listener.stores.begin(), listener.stores.end(),
                                 [](Store* store) { return store->stock.usable(store->spec); });
    if (!any) return;
  }
  complete_.set();
}

std::vector<std::shared_ptr<const tls::ServerContext>> CertStores::contexts() const {
  std::vector<std::shared_ptr<const tls::ServerContext>> all(listener_count_);
  for (const Listener& listener : listeners_) all[listener.index] = listener.context;
  return all;
}

void CertStores::take(Store& store, CertStock stock) {
  store.stock = std::move(stock);
  store.failure.clear();
  tell(store);
}

void CertStores::tell(Store& store) {
  std::set<std::pair<std::string, std::string>> rejected;
  for (const RejectedCert& each : store.stock.rejected) {
    if (!store.told.contains({each.name, each.reason})) {
      log_.warn("certificate store {}: {} is left out: {}", store.spec.name, each.name,
                each.reason);
    }
    rejected.emplace(each.name, each.reason);
  }
  store.told = std::move(rejected);
  std::vector<std::string> names;
  for (const auto& [name, certificate] : store.stock.certificates) {
    for (const std::string& host : certificate->names()) {
      if (names.size() < kNamesTold) names.push_back(host);
    }
  }
  log_.info("certificate store {}: {} certificates, for {}", store.spec.name,
            store.stock.certificates.size(), fmt::join(names, ", "));
}

void CertStores::fail_store(Store& store, const Error& error) {
  if (error.message == store.failure) return;
  store.failure = error.message;
  log_.warn("certificate store {}: {}; what it gave before stays", store.spec.name, error.message);
}

Task<void> CertStores::watch(Store& store, Changed& changed) {
  bool first = !reads_files(store.spec);
  for (;;) {
    if (!first && !store.source->waits()) {
      const bool once = store.spec.refresh_ms == 0 && store.failure.empty();
      const int64_t least_ms = store.failure.empty() ? 0 : kRetryMs;
      co_await pause(once ? kNeverMs : std::max(store.spec.refresh_ms, least_ms));
    }
    first = false;
    Result<CertMaterial> read = co_await store.source->load();
    if (!read) {
      fail_store(store, read.error());
      if (store.source->waits()) co_await sleep_for(executor_, kRetryMs);
      continue;
    }
    if (store.material && *read == *store.material) {
      store.failure.clear();
      continue;
    }
    auto material = std::make_shared<const CertMaterial>(std::move(*read));
    store.material = material;  // bad or not: it is not looked at twice
    CertStock stock =
        co_await on_pool(executor_, [spec = store.spec, material, before = store.stock] {
          return make_stock(spec, *material, before);
        });
    if (stock.certificates.empty()) {
      fail_store(store, {Code::kInvalid, "it holds no good certificate"});
      continue;
    }
    take(store, std::move(stock));
    for (Listener& listener : listeners_) {
      if (std::find(listener.stores.begin(), listener.stores.end(), &store) ==
          listener.stores.end()) {
        continue;
      }
      Result<void> built = build(listener);
      if (!built) {
        fail_store(store, built.error());
      } else {
        changed(listener.index, listener.context);
      }
    }
    note_complete();
  }
}

Task<void> CertStores::pause(int64_t for_ms) {
  auto wait = [](sluice::Event& look) -> Task<Result<void>> {
    co_await look.wait();
    co_return Result<void>();
  };
  (void)co_await with_timeout(executor_, for_ms, wait(look_));
}

void CertStores::write_tickets(JsonWriter& json) const {
  json.begin_array();
  for (const auto& [policy, ring] : keyrings_.state(executor_.now_ms())) {
    json.begin_object().member("policy", base64_encode(policy)).member("age_ms", ring.age_ms);
    json.key("keys").begin_array();
    for (const tls::TicketKey& key : ring.keys) {
      json.value(base64_encode({reinterpret_cast<const char*>(&key), sizeof key}));
    }
    json.end_array().end_object();
  }
  json.end_array();
}

Result<void> CertStores::take_tickets(const Json& tickets) {
  if (!tickets.is_array()) return fail(Code::kInvalid, "the ticket keys are no array");
  for (const Json& each : tickets.as_array()) {
    Result<std::string> policy = base64_decode(each.get_string("policy"));
    if (!policy) return pass(policy, "ticket keys");
    tls::Keyring::State state{.keys = {}, .age_ms = each.get_int("age_ms")};
    const Json* keys = each.find("keys");
    if (keys == nullptr || !keys->is_array()) return fail(Code::kInvalid, "a keyring has no keys");
    for (const Json& text : keys->as_array()) {
      if (!text.is_string()) return fail(Code::kInvalid, "a ticket key is no string");
      Result<std::string> bytes = base64_decode(text.as_string());
      if (!bytes) return pass(bytes, "ticket keys");
      tls::TicketKey& key = state.keys.emplace_back();
      if (bytes->size() != sizeof key) return fail(Code::kInvalid, "a ticket key has another size");
      std::memcpy(&key, bytes->data(), sizeof key);
    }
    keyrings_.of(*policy, executor_.now_ms()).take(state, executor_.now_ms());
  }
  return {};
}

Task<void> CertStores::rotate_keys() {
  for (;;) {
    co_await sleep_for(executor_, kRotateLookMs);
    keyrings_.rotate(executor_.now_ms());
  }
}

Task<void> CertStores::run(Changed changed) {
  Scope scope(executor_);
  for (const auto& store : stores_) scope.spawn(watch(*store, changed));
  scope.spawn(rotate_keys());
  co_await scope.join();
}

}  // namespace sluice::proxy
