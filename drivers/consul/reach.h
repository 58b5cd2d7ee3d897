// Where Consul is and how it is spoken to, as an operator says it: an address with or without a
// scheme and a port, and the files of TLS.
//
// Reads files: at the start.
#pragma once

#include <string>

#include "core/disk.h"
#include "core/result.h"
#include "core/tls/client_files.h"
#include "drivers/consul/api.h"

namespace sluice::drivers {

struct ConsulReach {
  std::string address;  // "consul.internal", "10.0.0.1:8500", "https://consul.internal:8501"
  bool tls = false;     // as "https://" says it
  tls::ClientFiles files;
  bool skip_verify = false;
};

/// Fills in the address and TLS of `api`. kInvalid for an address that is none, and for files of
/// TLS without TLS; the errors of load_client().
Result<void> reach_consul(Disk& disk, const ConsulReach& reach, ConsulApiOptions& api);

}  // namespace sluice::drivers
