// What comes back: an HTTP response with a Content-Length, or the echo of a websocket message.
#pragma once

#include <string_view>

#include "bench/load/state.h"

namespace load {

/// Takes what came in. True while there may be more to do for this request.
bool take(Conn& c, std::string_view bytes);

}  // namespace load
