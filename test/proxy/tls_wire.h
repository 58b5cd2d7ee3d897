// A TLS peer as a test scripts it: a client or an upstream over a Wire, blocking, with a time limit
// on every wait. What it says is real BoringSSL.
//
// Thread: the test's.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/buffer.h"
#include "core/tls/session.h"
#include "test/proxy/wire.h"

namespace sluice::proxy::test {

class TlsWire {
 public:
  static TlsWire connect(Wire wire, std::string_view name, const tls::Ticket* ticket = nullptr);
  static TlsWire accept(Wire wire);
  static TlsWire accept(Wire wire, std::shared_ptr<const tls::ServerContext> context);

  /// Until the handshake is done; false if it failed.
  bool shake();
  /// The first flight alone.
  void say_hello() { session_->handshake(wire_.socket()); }
  void send(std::string_view bytes);
  std::string read(size_t size);
  std::string read_head();
  /// Until the end; `clean` says whether it was a close_notify.
  std::string read_to_end(bool* clean = nullptr);
  void end() { session_->shutdown(wire_.socket()); }
  void close();  // orderly
  void cut() { wire_.close(); }
  tls::Session& session() { return *session_; }

 private:
  TlsWire(Wire wire, std::unique_ptr<BufferPool> pool, std::unique_ptr<tls::Session> session);
  IoState wait_and_read(std::string& into, size_t most);

  Wire wire_;
  std::unique_ptr<BufferPool> pool_;
  std::unique_ptr<tls::Session> session_;
};

/// With the certificate of test/core/tls/material.h, one for the whole run.
std::shared_ptr<const tls::ServerContext> any_server_context();
std::shared_ptr<const tls::ClientContext> any_client_context();

}  // namespace sluice::proxy::test
