// UvNetwork: Network over libuv, for the control loop.
// Owner: main.cc; outlived by the loop. Thread: the loop's.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/loop.h"
#include "core/network.h"
#include "core/socket.h"

namespace sluice {

class UvNetwork final : public Network {
 public:
  explicit UvNetwork(UvLoop& loop) : loop_(loop) {}
  Task<Result<std::unique_ptr<Stream>>> connect(Address to, int64_t timeout_ms) override;
  Result<std::unique_ptr<Listener>> listen(const Address& at) override;
  Result<std::unique_ptr<Datagrams>> open_datagrams(const Address& at) override;

  /// The next listener at that TCP address takes this socket, which listens already, in place of
  /// one of its own (core/handover.h).
  void inherit(const Address& at, Socket socket);
  /// The TCP listeners that are open, with their descriptors, which stay theirs.
  std::vector<std::pair<Address, int>> listening() const;

 private:
  UvLoop& loop_;
  std::map<std::string, Socket> inherited_;             // by address
  std::shared_ptr<std::map<int, Address>> listening_ =  // by descriptor; listeners take
      std::make_shared<std::map<int, Address>>();       // themselves out of it
};

/// UvNetwork's datagrams (core/uv_datagrams.cc).
Result<std::unique_ptr<Datagrams>> open_uv_datagrams(UvLoop& loop, const Address& at);

/// A pipe or terminal as a Stream; the descriptor becomes the stream's.
Result<std::unique_ptr<Stream>> adopt_stream(UvLoop& loop, int descriptor, std::string name);

}  // namespace sluice
