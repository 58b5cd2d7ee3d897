// ClientHelloReader: finds the server name in a TLS ClientHello (RFC 8446 4.1.2, RFC 6066 3),
// however it is cut into segments and records.
//
// Pure; any thread. Looks at each byte of the record layer once; the message itself is looked at
// when it is whole. Limits: a message of kMessageBytes, which is what fits the buffer behind it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace sluice::proxy {

class ClientHelloReader {
 public:
  static constexpr size_t kMessageBytes = 16 * 1024;
  /// Room in which a message that is spread over records is put together.
  using Scratch = std::array<uint8_t, kMessageBytes + 4>;

  enum class State : uint8_t {
    kMore,       // not whole yet
    kDone,       // server_name() is known
    kNotTls,     // plain text, SSLv2, or another record than a handshake
    kMalformed,  // TLS, and not a ClientHello as the RFC has it
    kTooLarge,
  };

  /// `bytes`: all that came so far, from the connection's first; call again when there are more.
  State read(std::string_view bytes, Scratch& scratch);

  /// After kDone: as it was sent, in `bytes` or in the scratch; "" if there is none or it is an IP
  /// literal (which RFC 6066 does not allow). Of a hello with ECH it is the outer name.
  std::string_view server_name() const { return server_name_; }

 private:
  State walk(std::span<const uint8_t> bytes);
  State look(std::span<const uint8_t> message);
  State parse(std::span<const uint8_t> message);

  size_t record_at_ = 0;    // of the record that is not whole yet
  size_t payload_ = 0;      // handshake bytes in the whole records before it
  size_t message_ = 0;      // size of the message with its header; 0: not known yet
  uint8_t head_[4] = {};    // of the message
  bool one_record_ = true;  // it lies in the first record
  std::string_view server_name_;
};

}  // namespace sluice::proxy
