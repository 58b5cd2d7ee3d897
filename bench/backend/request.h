// Requests, taken out of what a connection has received: the head, then the body by its framing.
#pragma once

#include "bench/backend/state.h"

namespace backend {

/// One request head out of the buffer; false when it is not all there, or was refused.
bool take_head(Conn& c);
/// Consumes body bytes; true when the body is complete.
bool take_body(Conn& c);

}  // namespace backend
