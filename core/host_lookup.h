// HostLookup: what addresses a host name has, and for how long that may be believed.
//
// Thread: the executor's that the implementation runs on. core/dns.h asks the DNS; tests and the
// simulation say what they like.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/result.h"
#include "core/task.h"

namespace sluice {

struct HostAddresses {
  std::vector<std::string> ips;  // IPv4 and IPv6 literals, sorted, each once; not empty
  int64_t ttl_ms = 0;            // the least of all records that led there; 0: nobody said
};

class HostLookup {
 public:
  virtual ~HostLookup() = default;
  /// kNotFound where the name has no address, kUnavailable or kTimeout where nobody could say,
  /// kInvalid where it can be no name.
  virtual Task<Result<HostAddresses>> look_up(std::string name) = 0;
};

}  // namespace sluice
