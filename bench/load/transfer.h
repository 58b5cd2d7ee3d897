// Bytes over a connection, plain or by TLS.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string_view>

#include "bench/load/state.h"

namespace load {

/// -1: nothing now; 0: ended; -2: failed; else bytes.
ssize_t receive(Conn& c, char* room, size_t size);
/// False when it failed; all of it, or as much as goes.
bool transmit(Conn& c, std::string_view bytes, size_t& sent);

}  // namespace load
