// The HTTP API: Nomad's calls (its client library and command line work against them).
//
// Owner: main.cc, which hands handle() to an HttpServer on the loopback address. Thread: the
// control loop; large lists are written on the pool. Handlers take the Server and, for what lives
// on a node, the NodeAgent of the same process, and read snapshots; they hold no state of their
// own.
//
// A browser must not be able to drive it from a foreign page: the Host header must be an IP
// address, localhost or one of ApiOptions::hosts (DNS rebinding), and an Origin the Host's own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/env.h"
#include "core/http_server.h"
#include "core/log.h"
#include "orchestrator/server.h"

namespace sluice::orchestrator {

class NodeAgent;

struct ApiOptions {
  std::string name;                   // of this agent; empty: its node's, else "sluice"
  std::string address = "127.0.0.1";  // where it is reached
  uint16_t port = 4646;
  std::vector<std::string> hosts;  // more names that the Host header may hold
  bool dev = false;
  bool acl_enabled = false;
  Metrics* metrics = nullptr;
};

/// What the handlers work with.
struct ApiParts {
  Env env;
  Log& log;
  Server& server;
  NodeAgent* node;  // nullptr: no client in this process
  ApiOptions options;
};

class Api {
 public:
  Api(Env env, Log& log, Server& server, NodeAgent* node, ApiOptions options = {})
      : parts_{env, log, server, node, std::move(options)} {}

  void set_hosts(std::vector<std::string> hosts) { parts_.options.hosts = std::move(hosts); }

  Task<void> handle(const HttpServerRequest& request, HttpResponseWriter& writer);

 private:
  ApiParts parts_;
};

}  // namespace sluice::orchestrator
