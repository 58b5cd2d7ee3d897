// Address ranges: whether an address lies in one of a list, for allow= and deny=, and for the peers
// whose forwarding headers are believed. Pure; any thread.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "core/socket.h"
#include "proxy/route_edit.h"

namespace sluice::proxy {

[[nodiscard]] bool contains(std::span<const AddressRange> ranges, const SocketAddress& address);

/// -proxy.trusted: CIDRs and addresses, and the words `private` (loopback, link-local and the
/// networks that nobody routes: RFC 1918, RFC 4193), `all` and `none`; a comma between them.
Result<std::vector<AddressRange>> parse_trusted(std::string_view text);

}  // namespace sluice::proxy
