// CatalogTable: what is registered in the embedded catalog, with the indexes by which its readers
// (the HTTP calls, the DNS) wait for the next change.
//
// Owner: EmbeddedCatalog, which alone changes it; readers outlive no turn with what they look at.
// Thread: the control loop. Indexes begin at the time of the start in milliseconds, so that they
// rise over a restart of the agent too: a client that waits for what comes after an older index
// gets the new agent's answer at once.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/scope.h"
#include "orchestrator/catalog.h"

namespace sluice::drivers {

/// The service that a Consul's servers are in its own catalog, by which readers see that they have
/// all of it. Clients expect its port; nothing listens there.
inline constexpr std::string_view kServerService = "consul";
inline constexpr uint16_t kServerPort = 8300;

struct CatalogRecord {
  orchestrator::ServiceRegistration registration;
  std::vector<orchestrator::CheckState> states;  // of its checks, in their order
  std::vector<uint64_t> check_indexes;           // when each of them last changed
  uint64_t create_index = 0;
  uint64_t modify_index = 0;

  /// The worst of its checks' words; passing without any, as in Consul.
  orchestrator::CheckStatus status() const;
};

class CatalogTable {
 public:
  explicit CatalogTable(Executor& executor);
  CatalogTable(const CatalogTable&) = delete;

  // What readers see.
  /// By id; with kServerService, which is registered from the begin on.
  const std::map<std::string, CatalogRecord>& records() const { return records_; }
  /// The service's; names compare without case, in Consul as in DNS, and so do tags. Of one that is
  /// not there: when one last went.
  uint64_t service_index(std::string_view name) const;
  uint64_t services_index() const { return services_index_; }  // any registration
  uint64_t checks_index() const { return checks_index_; }      // any check's status
  uint64_t begin_index() const { return begin_index_; }        // the node's: it does not change
  /// Pulsed after each change.
  Event& news() const { return news_; }

  // What the catalog does. The record stays where it is until it is erased.
  CatalogRecord& put(orchestrator::ServiceRegistration registration,
                     std::vector<orchestrator::CheckState> states);
  /// With the same name and checks.
  void replace(CatalogRecord& record, orchestrator::ServiceRegistration registration);
  void set_status(CatalogRecord& record, size_t check, orchestrator::CheckStatus status);
  void erase(const std::string& id);

 private:
  void touch(const std::string& service, uint64_t& of_all);

  std::map<std::string, CatalogRecord> records_;
  std::map<std::string, uint64_t, std::less<>> by_service_;  // by the name in lower case
  uint64_t begin_index_;
  uint64_t newest_index_;
  uint64_t services_index_;
  uint64_t checks_index_;
  uint64_t extinction_index_;  // the last end of a service's last instance
  mutable Event news_;
};

}  // namespace sluice::drivers
