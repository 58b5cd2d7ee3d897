// TLS for the control plane, over any Network; the data plane has Channel. TlsNetwork: connections
// of a client, to servers that speak https (certificate stores, the jobs API). TlsListener: the
// server's side of them.
//
// Owner: its user; outlives the streams. Thread: the executor's. A client's stream has one call at
// a time, read or write: TLS may have to write in order to read. A server's may be read while it is
// written: once the handshake is done, reading writes nothing.
#pragma once

#include <memory>
#include <string>

#include "core/executor.h"
#include "core/network.h"
#include "core/tls/context.h"

namespace sluice::tls {

class TlsNetwork final : public Network {
 public:
  /// Every server must be `server_name`, a host name or an IP address, unless skip_verify.
  TlsNetwork(Executor& executor, Network& inner, std::shared_ptr<const ClientContext> context,
             std::string server_name, bool skip_verify = false)
      : executor_(executor),
        inner_(inner),
        context_(std::move(context)),
        server_name_(std::move(server_name)),
        skip_verify_(skip_verify) {}

  /// The time includes the handshake. kDenied with the reason where the server is not who it should
  /// be, or refuses us.
  Task<Result<std::unique_ptr<Stream>>> connect(Address to, int64_t timeout_ms) override;
  /// kUnsupported.
  Result<std::unique_ptr<Listener>> listen(const Address& at) override;
  Result<std::unique_ptr<Datagrams>> open_datagrams(const Address& at) override;

 private:
  Task<Result<std::unique_ptr<Stream>>> open(Address to, int64_t timeout_ms);

  Executor& executor_;
  Network& inner_;
  std::shared_ptr<const ClientContext> context_;
  std::string server_name_;
  bool skip_verify_;
};

class TlsListener final : public Listener {
 public:
  TlsListener(std::unique_ptr<Listener> inner, std::shared_ptr<const ServerContext> context)
      : inner_(std::move(inner)), context_(std::move(context)) {}

  /// The handshake is the stream's own, with its first read: one that hangs is in nobody's way.
  Task<Result<std::unique_ptr<Stream>>> accept() override;
  Address local() const override { return inner_->local(); }
  bool is_waiting() const override { return inner_->is_waiting(); }
  /// For connections from now on; those that are open keep theirs.
  void set_context(std::shared_ptr<const ServerContext> context) { context_ = std::move(context); }

 private:
  std::unique_ptr<Listener> inner_;
  std::shared_ptr<const ServerContext> context_;
};

}  // namespace sluice::tls
