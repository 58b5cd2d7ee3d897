// A client's connection from accept to close: TLS handshake, reading, the requests that are whole,
// writing what is owed.
#pragma once

#include "bench/backend/state.h"

namespace backend {

void on_accept(const Listener& listener);
void on_event(int fd, uint32_t generation, uint32_t events);
/// The connection that a timer was set for, if it still waits.
void on_wait_over(const Timer& timer);
/// In flight stays; what is idle, also after a last look at its socket, goes.
void begin_stop();

}  // namespace backend
