// What a load is told by its flags.
//
// Read once, at the start.
#pragma once

#include <cstdint>
#include <string>

namespace load {

struct Flags {
  std::string mode, to, path = "/", host = "bench.example.com", sni;
  uint64_t connections = 1, rate = 0, upload = 0, message = 0, hosts = 0;
  double seconds = 1;
  bool fresh = false;   // a new connection each request
  bool tls = false;     // TLS from here
  bool resume = false;  // with the session of the last connection
  bool errors = false;  // go on after errors; else the first one ends the run
};

extern Flags flags;

void read_flags(int argc, char** argv);

/// Ends the program, which has measured nothing then.
[[noreturn]] void die(const std::string& why);

}  // namespace load
