// The files of a TLS client, as operators name them (Consul's and Nomad's ca_file, ca_path,
// cert_file, key_file), made into a context.
//
// Reads files: at the start, or on the pool.
#pragma once

#include <memory>
#include <string>

#include "core/disk.h"
#include "core/result.h"
#include "core/tls/context.h"

namespace sluice::tls {

struct ClientFiles {
  std::string ca_file;    // PEM; with no ca_path either: the system's authorities
  std::string ca_folder;  // all its *.pem, *.crt and *.cer
  std::string certificate_file;
  std::string key_file;  // empty: in certificate_file
};

/// Errors name the file: kNotFound, kInvalid with the reason; kInvalid for a key without a
/// certificate and for a folder that holds no authority.
Result<std::shared_ptr<const ClientContext>> load_client(Disk& disk, const ClientFiles& files);

}  // namespace sluice::tls
