// The two ways to load: requests for a time, and connections that only stay open.
#pragma once

namespace load {

/// The connections and what they will ask, by the flags.
void set_up();
/// The exit code.
int run_load();
/// One request each, so that the proxy has seen the connection, then nothing, until its input ends.
int stay_idle();

}  // namespace load
