// CertStores: the certificate stores of `-proxy.cs` and what listeners make of them: each listener
// with `cs=a+b` has a TLS context over the certificates of its stores, in that order, and gets a
// new one when a store has changed. Open connections keep theirs; tickets stay good, because the
// keyrings live here.
//
// A store that fails, or holds nothing any more, changes nothing: the last good certificates stay,
// and the reason is logged once. A store whose client CAs are not known yet gives no certificate.
//
// Owner: Balancer; outlives the proxy, whose contexts use the keyrings. Thread: the control loop's;
// files are read and certificates are parsed on the pool. Limits: CertLimits.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/executor.h"
#include "core/json.h"
#include "core/log.h"
#include "core/network.h"
#include "core/result.h"
#include "core/scope.h"
#include "core/task.h"
#include "core/tls/context.h"
#include "core/tls/keyring.h"
#include "proxy/cert_material.h"
#include "proxy/cert_source.h"
#include "proxy/cert_spec.h"
#include "proxy/listen_spec.h"

namespace sluice::proxy {

class CertStores {
 public:
  /// `tls` judges the servers of stores that are asked by https.
  CertStores(Executor& executor, Network& network, std::shared_ptr<const tls::ClientContext> tls,
             Log& log)
      : executor_(executor),
        reach_{executor, network, std::move(tls)},
        log_(log),
        look_(executor),
        complete_(executor) {}
  CertStores(const CertStores&) = delete;
  CertStores& operator=(const CertStores&) = delete;

  /// Reads the stores of type file and path now. Fails, with the store or the listener in the
  /// message, if one of them cannot be read or holds no good certificate, if a listener names no
  /// store that there is, or if its TLS options are wrong.
  Result<void> open(std::vector<CertStoreSpec> specs, const std::vector<ListenSpec>& listeners);

  /// By listener; nullptr for one that ends no TLS.
  std::vector<std::shared_ptr<const tls::ServerContext>> contexts() const;

  using Changed =
      std::move_only_function<void(uint32_t listener, std::shared_ptr<const tls::ServerContext>)>;
  /// Watches the stores, until cancelled.
  Task<void> run(Changed changed);
  /// The stores that are read now and then are read now.
  void look_again() { look_.pulse(); }
  /// Set once every listener has a certificate.
  sluice::Event& complete() { return complete_; }

  /// The keyrings for a successor, and of a predecessor; before open().
  void write_tickets(JsonWriter& json) const;
  Result<void> take_tickets(const Json& tickets);

 private:
  struct Store {
    CertStoreSpec spec;
    std::unique_ptr<CertSource> source;
    std::shared_ptr<const CertMaterial> material;  // the last that was read
    CertStock stock;
    std::string failure;  // the last that was logged
    std::set<std::pair<std::string, std::string>> told;
  };
  struct Listener {
    uint32_t index;
    std::string name;
    std::vector<Store*> stores;
    tls::ServerOptions options;
    std::shared_ptr<const tls::ServerContext> context;
  };

  Result<void> open_store(Store& store);
  Result<void> add_listener(const ListenSpec& spec, uint32_t index);
  Result<void> build(Listener& listener);
  void take(Store& store, CertStock stock);
  void tell(Store& store);
  void fail_store(Store& store, const Error& error);
  Task<void> watch(Store& store, Changed& changed);
  Task<void> rotate_keys();
  Task<void> pause(int64_t for_ms);
  void note_complete();

  Executor& executor_;
  const CertReach reach_;
  Log& log_;
  tls::Keyrings keyrings_;
  std::vector<std::unique_ptr<Store>> stores_;
  std::vector<Listener> listeners_;
  size_t listener_count_ = 0;
  sluice::Event look_;
  sluice::Event complete_;
};

}  // namespace sluice::proxy
