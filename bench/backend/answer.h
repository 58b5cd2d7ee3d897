// What the demo backend answers, path by path (main.cc lists them), at once or after a wait.
#pragma once

#include <string_view>

#include "bench/backend/state.h"

namespace backend {

/// Puts the answer into what the connection owes; `pattern_bytes` of the pattern follow the body.
void answer(Conn& c, int status, std::string_view body, uint64_t pattern_bytes = 0);
/// The request is complete: the answer, or the wait before it.
void respond(Conn& c);
/// The wait is over: the answer, or its next line.
void answer_after_wait(Conn& c);
/// An answer to what is no request, the last one of the connection.
void refuse(Conn& c, int status, std::string_view why);

[[noreturn]] void finish_process(int code);

}  // namespace backend
