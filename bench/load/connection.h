// A request's way over its connection: opened where it is closed, written, answered, counted.
#pragma once

#include <cstdint>
#include <string>

#include "bench/load/state.h"

namespace load {

/// Begins a request that was due then.
void start(Conn& c, int64_t due);
/// Goes on as far as the socket lets it.
void drive(Conn& c);
/// The answer is whole: it is counted, and the connection takes the next request.
void done(Conn& c);
/// Ends the run, unless errors are counted; an idle connection that was closed is none.
void failed(Conn& c, const std::string& why);

}  // namespace load
