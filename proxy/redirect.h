// Where a route's redirect= sends a request, and by which scheme the client asked.
//
// Pure; any thread. The limit is the room that the caller gives.
#pragma once

#include <string_view>

#include "core/http1.h"
#include "proxy/headers.h"

namespace sluice::proxy {

/// Whether the client asked for https: of a believed peer what X-Forwarded-Proto says, else the
/// first element of Forwarded; else how the request came here.
bool asked_for_https(const http1::Head& head, const ClientFacts& client);

/// The same, of a Forwarded header alone (RFC 7239 5.4); `otherwise` where it does not say.
bool forwarded_says_https(std::string_view forwarded, bool otherwise);

struct RedirectedRequest {
  std::string_view authority;
  std::string_view path;   // as it is matched
  std::string_view query;  // with its ?, or ""
};

/// Writes the URL: `$host` and `$path` replaced, one slash where $path stands behind one, no path
/// is /. With $path, what `strip` names is cut off the front of the result's path, and the
/// request's query follows unless the URL has its own.
void write_redirect(HeadWriter& out, std::string_view url, std::string_view strip,
                    const RedirectedRequest& request);

/// A redirect to where the request already is would go round for ever. The query does not count.
bool leads_to_itself(std::string_view location, const RedirectedRequest& request, bool https);

}  // namespace sluice::proxy
