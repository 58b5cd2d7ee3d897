// Whom a machine trusts to sign servers' certificates: its bundle of authorities, from where its
// system keeps it.
//
// Reads files: at the start, or on the pool.
#pragma once

#include <memory>
#include <string>

#include "core/disk.h"
#include "core/result.h"
#include "core/tls/certificate.h"

namespace sluice::tls {

/// `file` instead of the system's where it is not empty, or the environment's SSL_CERT_FILE where
/// that is set: an error then if it cannot be read. A machine without a bundle trusts nobody.
Result<std::shared_ptr<const Authorities>> system_authorities(Disk& disk, const std::string& file);

}  // namespace sluice::tls
