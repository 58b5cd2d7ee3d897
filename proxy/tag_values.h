// The values of a tag's options that have a form of their own: address ranges and limits. For
// proxy/tag.cc; parse_address_range is in proxy/route_edit.h. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/result.h"
#include "proxy/route_edit.h"

namespace sluice::proxy {

/// A path as a request can have it: what is not ASCII is percent-encoded (RFC 3986 2.5, 6.2.2.1).
std::string encoded_path(std::string_view path);

/// `N` or `N,BURST`. `name` is for the message.
Result<Rate> parse_rate(std::string_view name, std::string_view value);

/// nullopt: the name is not one of a limit.
std::optional<Result<void>> set_limit(std::string_view name, std::string_view value,
                                      LimitOptions& limits);

}  // namespace sluice::proxy
