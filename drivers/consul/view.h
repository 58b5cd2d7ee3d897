// ConsulView: what is known of the catalog, which services must be fetched again, and what of a
// fetched answer is believed.
//
// Pure: no clock and no I/O. Owner: the catalog; one thread.
//
// Absence is not an order: after a gap (Consul was away, or its index went back) an instance that
// was good and is missing is held for `doubt_ms`, for a Consul that came back without its data
// forgets what still runs, until its agents say it again. So is one whose checks have merely not
// run yet. What was there after the gap and then goes, goes at once.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "drivers/consul/decode.h"
#include "orchestrator/catalog.h"

namespace sluice::drivers {

struct ConsulViewOptions {
  /// Only services with a tag that starts so are fetched; empty: all.
  std::string tag_prefix;
  int64_t doubt_ms = 60'000;     // an instance missing after a gap
  int64_t unproven_ms = 30'000;  // an instance whose checks have not run yet
  /// Up to so many services are all fetched when the list of services changed for a reason that the
  /// lists do not tell (an address, a port, meta); more of them are swept slowly.
  size_t fetch_all_services = 64;
  size_t sweep_per_second = 50;
};

class ConsulView {
 public:
  explicit ConsulView(ConsulViewOptions options = {}) : options_(std::move(options)) {}

  void set_services(ConsulServices services);
  void set_checks(const std::vector<ConsulCheckRow>& rows);
  /// What comes next is after a gap.
  void begin_gap();

  /// Services to fetch now. Each is asked for once, until it is marked again.
  std::vector<std::string> take_wanted();
  /// The fetch failed: it stays wanted.
  void want(std::string_view service);
  /// Takes what was fetched (empty: the service does not exist). The snapshot, if that changes it.
  std::optional<orchestrator::ServiceSnapshot> accept(std::string_view service,
                                                      std::vector<ConsulInstance> instances,
                                                      int64_t now_ms);
  /// Once a second: ends what was held long enough, sweeps on.
  void tick(int64_t now_ms);
  bool wants() const { return wanted_ > 0; }

  /// An instance that we ourselves took out: it is not held.
  void forget(std::string_view instance_id);

 private:
  struct Held {
    orchestrator::ServiceInstance instance;
    int64_t until_ms = 0;
    bool expired = false;
  };
  struct Service {
    bool listed = false;  // in Consul's list, with a tag that counts
    bool wanted = false;
    bool after_gap = false;  // not fetched since the last gap
    bool published = false;
    std::vector<std::string> tags;
    uint64_t checks_digest = 0;
    std::vector<orchestrator::ServiceInstance> instances;  // as last published
    std::map<std::string, Held> held;                      // by ConsulInstance::key
  };

  bool counts(const std::vector<std::string>& tags) const;
  void mark(Service& service);

  ConsulViewOptions options_;
  std::map<std::string, Service, std::less<>> services_;
  std::map<std::string, uint64_t, std::less<>> checks_digests_;
  size_t wanted_ = 0;
  bool sweeping_ = false;
  std::string swept_up_to_;
};

}  // namespace sluice::drivers
