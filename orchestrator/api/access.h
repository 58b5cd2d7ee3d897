// Which rights a call needs. One table for all of them, so that none is forgotten: what it does not
// name needs a management token.
//
// Pure; any thread.
#pragma once

#include <optional>
#include <string_view>

#include "orchestrator/acl.h"

namespace sluice::orchestrator::api {

struct Need {
  /// nullopt: anyone may call, or the handler itself looks.
  std::optional<AclArea> area;
  AclLevel level = AclLevel::kRead;
};

/// By the route's own method ("GET", "PUT", "DELETE") and pattern.
Need need_of(std::string_view method, std::string_view pattern);

}  // namespace sluice::orchestrator::api
