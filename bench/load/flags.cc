#include "bench/load/flags.h"

#include <stdio.h>
#include <stdlib.h>

namespace load {

namespace {

constexpr const char* kUsage =
    "usage: load run|idle -to IP:PORT [flags]\n"
    "  -connections N  -seconds S   how many at once, how long\n"
    "  -rate N         requests a second, constant; without it as fast as the answers come\n"
    "  -path /P  -host H            what is asked for\n"
    "  -hosts N        one of host-0.example.com and so on at random, each request\n"
    "  -upload N       POST with a body of N bytes\n"
    "  -new            a new connection each request\n"
    "  -tls  -sni NAME  -resume     TLS, its server name, with the last session\n"
    "  -message N      websocket messages of N bytes (125 at most)\n"
    "  -errors         count errors and go on; else the first one ends the run\n";

}  // namespace

Flags flags;

void die(const std::string& why) {
  fprintf(stderr, "load: %s\n", why.c_str());
  exit(1);
}

void read_flags(int argc, char** argv) {
  flags.mode = argc > 1 ? argv[1] : "";
  if (flags.mode != "run" && flags.mode != "idle") die(std::string("run or idle?\n") + kUsage);
  for (int i = 2; i < argc; ++i) {
    const std::string name = argv[i];
    const auto value = [&] {
      if (i + 1 >= argc) die(name + " wants a value\n" + kUsage);
      return std::string(argv[++i]);
    };
    const auto number = [&] { return strtoull(value().c_str(), nullptr, 10); };
    if (name == "-to")
      flags.to = value();
    else if (name == "-connections")
      flags.connections = number();
    else if (name == "-seconds")
      flags.seconds = atof(value().c_str());
    else if (name == "-rate")
      flags.rate = number();
    else if (name == "-path")
      flags.path = value();
    else if (name == "-host")
      flags.host = value();
    else if (name == "-hosts")
      flags.hosts = number();
    else if (name == "-upload")
      flags.upload = number();
    else if (name == "-new")
      flags.fresh = true;
    else if (name == "-tls")
      flags.tls = true;
    else if (name == "-sni")
      flags.sni = value();
    else if (name == "-resume")
      flags.resume = true;
    else if (name == "-message")
      flags.message = number();
    else if (name == "-errors")
      flags.errors = true;
    else
      die("unknown flag " + name + "\n" + kUsage);
  }
}

}  // namespace load
