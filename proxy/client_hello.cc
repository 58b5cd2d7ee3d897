#include "proxy/client_hello.h"

#include <openssl/bytestring.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <cstring>

#include "core/socket.h"

#ifndef OPENSSL_IS_BORINGSSL
#error "The headers of OpenSSL stand before BoringSSL's"
#endif

namespace sluice::proxy {

namespace {

constexpr size_t kRecordHeader = 5;
constexpr size_t kMessageHeader = 4;
constexpr uint8_t kHandshake = SSL3_RT_HANDSHAKE;
constexpr size_t kMaxRecord = SSL3_RT_MAX_PLAIN_LENGTH;

/// server_name (RFC 6066 3): one host_name at most; other types of names are passed over.
bool read_server_name(CBS extension, std::string_view& name) {
  CBS list;
  if (!CBS_get_u16_length_prefixed(&extension, &list) || CBS_len(&extension) != 0 ||
      CBS_len(&list) == 0) {
    return false;
  }
  bool found = false;
  while (CBS_len(&list) > 0) {
    uint8_t type;
    CBS text;
    if (!CBS_get_u8(&list, &type) || !CBS_get_u16_length_prefixed(&list, &text)) return false;
    if (type != TLSEXT_NAMETYPE_host_name) continue;
    if (found || CBS_len(&text) == 0 || CBS_contains_zero_byte(&text)) return false;
    found = true;
    name = {reinterpret_cast<const char*>(CBS_data(&text)), CBS_len(&text)};
  }
  return true;
}

}  // namespace

ClientHelloReader::State ClientHelloReader::walk(std::span<const uint8_t> bytes) {
  for (;;) {
    const std::span<const uint8_t> rest = bytes.subspan(record_at_);
    // What is wrong is told as soon as it shows: plain text may never send five bytes.
    if (!rest.empty() && rest[0] != kHandshake) return State::kNotTls;
    if (rest.size() > 1 && rest[1] != 3) return State::kNotTls;
    if (rest.size() < kRecordHeader) return State::kMore;
    const size_t size = size_t{rest[3]} << 8 | rest[4];
    // RFC 8446 5.1: no empty record holds a handshake message, and none is longer than 2^14.
    if (size == 0 || size > kMaxRecord) return State::kMalformed;
    const size_t here = std::min(size, rest.size() - kRecordHeader);
    for (size_t i = payload_; i < kMessageHeader && i - payload_ < here; ++i) {
      head_[i] = rest[kRecordHeader + i - payload_];
      if (i == 0 && head_[0] != SSL3_MT_CLIENT_HELLO) return State::kMalformed;
    }
    if (message_ == 0 && payload_ + here >= kMessageHeader) {
      const size_t body = size_t{head_[1]} << 16 | size_t{head_[2]} << 8 | head_[3];
      if (body > kMessageBytes) return State::kTooLarge;
      message_ = kMessageHeader + body;
    }
    if (message_ != 0 && payload_ + here >= message_) {
      one_record_ = payload_ == 0;
      return State::kDone;
    }
    if (here < size) return State::kMore;
    payload_ += size;
    record_at_ += kRecordHeader + size;
  }
}

ClientHelloReader::State ClientHelloReader::read(std::string_view text, Scratch& scratch) {
  const std::span<const uint8_t> bytes(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  const State state = walk(bytes);
  if (state != State::kDone) return state;
  if (one_record_) return look(bytes.subspan(kRecordHeader + kMessageHeader, message_ - 4));
  size_t got = 0;
  for (size_t at = 0; got < message_;) {
    const size_t size = size_t{bytes[at + 3]} << 8 | bytes[at + 4];
    const size_t take = std::min(size, message_ - got);
    std::memcpy(scratch.data() + got, bytes.data() + at + kRecordHeader, take);
    got += take;
    at += kRecordHeader + size;
  }
  return look(std::span<const uint8_t>(scratch).subspan(kMessageHeader, message_ - 4));
}

ClientHelloReader::State ClientHelloReader::look(std::span<const uint8_t> message) {
  server_name_ = {};
  const State state = parse(message);
  if (state != State::kDone) server_name_ = {};  // what is broken behind it may be the name's fault
  return state;
}

ClientHelloReader::State ClientHelloReader::parse(std::span<const uint8_t> message) {
  CBS hello;
  CBS_init(&hello, message.data(), message.size());
  uint16_t version;
  CBS session_id;
  CBS ciphers;
  CBS compressions;
  CBS extensions;
  if (!CBS_get_u16(&hello, &version) || !CBS_skip(&hello, SSL3_RANDOM_SIZE) ||
      !CBS_get_u8_length_prefixed(&hello, &session_id) ||
      CBS_len(&session_id) > SSL_MAX_SSL_SESSION_ID_LENGTH ||
      !CBS_get_u16_length_prefixed(&hello, &ciphers) || CBS_len(&ciphers) < 2 ||
      CBS_len(&ciphers) % 2 != 0 || !CBS_get_u8_length_prefixed(&hello, &compressions) ||
      CBS_len(&compressions) == 0) {
    return State::kMalformed;
  }
  if (CBS_len(&hello) == 0) return State::kDone;  // before extensions (RFC 5246 7.4.1.2)
  if (!CBS_get_u16_length_prefixed(&hello, &extensions) || CBS_len(&hello) != 0) {
    return State::kMalformed;
  }
  bool found = false;
  while (CBS_len(&extensions) > 0) {
    uint16_t type;
    CBS body;
    if (!CBS_get_u16(&extensions, &type) || !CBS_get_u16_length_prefixed(&extensions, &body)) {
      return State::kMalformed;
    }
    if (type != TLSEXT_TYPE_server_name) continue;  // GREASE and all the others
    if (found || !read_server_name(body, server_name_)) return State::kMalformed;
    found = true;
  }
  const bool literal = server_name_.find(':') != std::string_view::npos ||
                       (!server_name_.empty() && SocketAddress::make(server_name_, 0).has_value());
  if (literal) server_name_ = {};
  return State::kDone;
}

}  // namespace sluice::proxy
