// TlsNetwork: a Network whose connections are a client's TLS ones: for the control plane's
// conversations with servers that speak https (certificate stores). The data plane has Channel.
//
// Owner: its user; outlives the streams. Thread: the executor's. A stream has one call at a time,
// read or write: TLS may have to write in order to read.
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

}  // namespace sluice::tls
