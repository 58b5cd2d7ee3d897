// The TLS of the jobs API: what the configuration's files give.
//
// Reads files: at the start and with SIGHUP. The keyrings outlive the context.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/agent_config.h"
#include "core/disk.h"
#include "core/result.h"
#include "core/tls/context.h"

namespace sluice {

struct ApiTlsContext {
  std::shared_ptr<const tls::ServerContext> context;
  std::vector<std::string> names;  // whom the certificate is for
};

/// Errors name the file.
Result<ApiTlsContext> load_api_tls(Disk& disk, const ApiTls& files, tls::Keyrings& keyrings,
                                   int64_t now_ms);

}  // namespace sluice
