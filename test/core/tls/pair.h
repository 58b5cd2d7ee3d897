// A client's and a server's Session over real sockets, with a relay between them that passes bytes
// in pieces of a chosen size.
//
// Thread: the test's alone.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/buffer.h"
#include "core/socket.h"
#include "core/tls/session.h"

namespace sluice::tls::test {

struct Side {
  Socket socket;
  std::unique_ptr<Session> session;
  std::string got;
  bool ended = false;
  bool failed = false;

  /// What a reactor would tell it now, then what there is to read.
  void turn();
  /// As a connection writes: the rest again once the socket takes more.
  size_t write(std::string_view bytes);
};

class Pair {
 public:
  Pair(std::shared_ptr<const ServerContext> server, std::shared_ptr<const ClientContext> client,
       const ConnectOptions& options, size_t piece = 64 * 1024);
  ~Pair();

  /// Turns of both sides and the relay until nothing moves.
  void run();
  /// Writes all of it, with turns.
  void send(Side& from, std::string_view bytes);
  /// True if both sides are done with the handshake.
  bool shake();
  /// What one side said so far goes no further, and neither does its end.
  void cut(Side& from);

  Side client;
  Side server;

 private:
  bool relay(Socket& from, Socket& to, std::string& held);

  BufferPool pool_;
  Socket near_client_;
  Socket near_server_;
  std::string up_;
  std::string down_;
  size_t piece_;
};

}  // namespace sluice::tls::test
