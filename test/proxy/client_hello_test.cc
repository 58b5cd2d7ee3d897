// Real hellos (BoringSSL's own, with GREASE, ECH GREASE and key shares) cut at every byte and over
// records, and hellos made by hand for what no library sends.
#include "proxy/client_hello.h"

#include <openssl/bio.h>
#include <openssl/ssl.h>

#ifndef OPENSSL_IS_BORINGSSL
#error "The headers of OpenSSL stand before BoringSSL's"
#endif

#include <memory>
#include <string>
#include <vector>

#include "test/test.h"

namespace sluice::proxy {

namespace {

using State = ClientHelloReader::State;

/// What BoringSSL says first to a server of that name.
std::string real_hello(const char* name, bool tls13 = true) {
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_method()),
                                                                  SSL_CTX_free);
  SSL_CTX_set_grease_enabled(context.get(), 1);
  SSL_CTX_set_max_proto_version(context.get(), tls13 ? TLS1_3_VERSION : TLS1_2_VERSION);
  const std::unique_ptr<SSL, decltype(&SSL_free)> ssl(SSL_new(context.get()), SSL_free);
  if (name != nullptr) SSL_set_tlsext_host_name(ssl.get(), name);
  BIO* out = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), out);
  SSL_set_connect_state(ssl.get());
  REQUIRE(SSL_do_handshake(ssl.get()) == -1);
  const uint8_t* bytes = nullptr;
  size_t size = 0;
  REQUIRE(BIO_mem_contents(out, &bytes, &size) == 1);
  return {reinterpret_cast<const char*>(bytes), size};
}

std::string u8(size_t n) {
  return std::string(1, static_cast<char>(n));
}
std::string u16(size_t n) {
  return u8(n >> 8) + u8(n);
}
std::string u24(size_t n) {
  return u8(n >> 16) + u16(n);
}
std::string with16(const std::string& text) {
  return u16(text.size()) + text;
}

std::string extension(size_t type, const std::string& body) {
  return u16(type) + with16(body);
}
std::string name_entry(size_t type, const std::string& name) {
  return u8(type) + with16(name);
}
std::string server_name(const std::string& name) {
  return extension(0, with16(name_entry(0, name)));
}

std::string message_of(const std::string& extensions) {
  const std::string body = u16(0x0303) + std::string(32, 'r') + u8(0) + with16(u16(0x1301)) +
                           u8(1) + u8(0) + with16(extensions);
  return u8(1) + u24(body.size()) + body;
}

/// The message in records of at most `size` bytes.
std::string records(const std::string& message, size_t size) {
  std::string out;
  for (size_t at = 0; at < message.size(); at += size) {
    out += u8(22) + u16(0x0301) + with16(message.substr(at, size));
  }
  return out;
}

struct Outcome {
  State state;
  std::string name;
  bool operator==(const Outcome&) const = default;
};

Outcome read_whole(const std::string& bytes) {
  ClientHelloReader reader;
  ClientHelloReader::Scratch scratch;
  const State state = reader.read(bytes, scratch);
  return {state, std::string(reader.server_name())};
}

/// Two segments, cut at `at`; the first must not be enough unless the second adds nothing.
Outcome read_cut(const std::string& bytes, size_t at) {
  ClientHelloReader reader;
  ClientHelloReader::Scratch scratch;
  State state = reader.read(std::string_view(bytes).substr(0, at), scratch);
  if (state == State::kMore) state = reader.read(bytes, scratch);
  return {state, std::string(reader.server_name())};
}

Outcome read_pieces(const std::string& bytes, size_t piece) {
  ClientHelloReader reader;
  ClientHelloReader::Scratch scratch;
  State state = State::kMore;
  for (size_t size = piece; state == State::kMore; size += piece) {
    state = reader.read(std::string_view(bytes).substr(0, size), scratch);
    if (size >= bytes.size()) break;
  }
  return {state, std::string(reader.server_name())};
}

}  // namespace

TEST_CASE("a real hello routes the same however it is cut") {
  for (const bool tls13 : {true, false}) {
    const std::string hello = real_hello("shop.example.com", tls13);
    const Outcome wanted{State::kDone, "shop.example.com"};
    for (size_t at = 0; at <= hello.size(); ++at) {
      CAPTURE(at);
      EXPECT(read_cut(hello, at) == wanted);
    }
    // The record layer is ours to cut, too.
    const std::string message = hello.substr(5);
    for (size_t size = 1; size <= message.size(); ++size) {
      CAPTURE(size);
      EXPECT(read_whole(records(message, size)) == wanted);
    }
    for (const size_t size : {1, 2, 3, 4, 5, 7, 100}) {
      const std::string cut = records(message, size);
      for (size_t piece = 1; piece < 32; ++piece) EXPECT(read_pieces(cut, piece) == wanted);
      EXPECT(read_whole(cut.substr(0, cut.size() - 1)).state == State::kMore);
    }
    // What follows in the same segment changes nothing.
    EXPECT(read_whole(hello + "early data") == wanted);
  }
}

TEST_CASE("no server name, an odd one, and an IP literal") {
  EXPECT(read_whole(real_hello(nullptr)) == Outcome{State::kDone, ""});
  const auto name_of = [](const std::string& name) {
    return read_whole(records(message_of(server_name(name)), 16384));
  };
  EXPECT(name_of("under_score.example.com") == Outcome{State::kDone, "under_score.example.com"});
  EXPECT(name_of("MiXed.Example.COM.") == Outcome{State::kDone, "MiXed.Example.COM."});
  EXPECT(name_of("192.0.2.1") == Outcome{State::kDone, ""});
  EXPECT(name_of("2001:db8::1") == Outcome{State::kDone, ""});
  EXPECT(name_of("").state == State::kMalformed);
  EXPECT(name_of(std::string("a\0b", 3)).state == State::kMalformed);
  // Before TLS 1.2 there may be no extensions at all.
  const std::string bare =
      u16(0x0301) + std::string(32, 'r') + u8(0) + with16(u16(0x2f)) + u8(1) + u8(0);
  EXPECT(read_whole(records(u8(1) + u24(bare.size()) + bare, 16384)) == Outcome{State::kDone, ""});
}

TEST_CASE("extensions around the name: GREASE, ECH, other types of names, repeats") {
  const std::string name = server_name("outer.example");
  const auto read = [](const std::string& extensions) {
    return read_whole(records(message_of(extensions), 16384));
  };
  const Outcome outer{State::kDone, "outer.example"};
  EXPECT(read(extension(0x3a3a, "") + name + extension(0xfafa, u8(0))) == outer);
  EXPECT(read(extension(0xfe0d, std::string(300, 'e')) + name) == outer);
  EXPECT(read(extension(0, with16(name_entry(7, "x") + name_entry(0, "outer.example")))) == outer);
  EXPECT(read(name + name) == Outcome{State::kMalformed, ""});
  EXPECT(read(extension(0, with16(name_entry(0, "a") + name_entry(0, "b")))).state ==
         State::kMalformed);
  EXPECT(read(extension(0, "")).state == State::kMalformed);
  EXPECT(read(extension(0, with16(""))).state == State::kMalformed);
  EXPECT(read(extension(0, with16(name_entry(0, "a")) + "x")).state == State::kMalformed);
  EXPECT(read(u16(0) + u16(50) + "short").state == State::kMalformed);
}

TEST_CASE("sizes: up to 16 KiB, over records, and not a byte more") {
  const std::string name = server_name("big.example");
  const size_t fixed = message_of(name + extension(21, "")).size() - 4;
  const size_t most = ClientHelloReader::kMessageBytes - fixed;
  const std::string fits = message_of(extension(21, std::string(most, '\0')) + name);
  EXPECT(read_whole(records(fits, 16384)) == Outcome{State::kDone, "big.example"});
  EXPECT(read_whole(records(fits, 1000)) == Outcome{State::kDone, "big.example"});
  const std::string more = message_of(extension(21, std::string(most + 1, '\0')) + name);
  EXPECT(read_whole(records(more, 16384)).state == State::kTooLarge);
  EXPECT(read_whole(records(more, 16384).substr(0, 9)).state == State::kTooLarge);
}

TEST_CASE("what is no ClientHello is told at the first byte that shows it") {
  const struct {
    std::string bytes;
    State state;
  } cases[] = {
      {"G", State::kNotTls},
      {"\x80\x2e\x01\x03\x01", State::kNotTls},                     // SSLv2
      {"\x15\x03\x01", State::kNotTls},                             // an alert
      {"\x16\x02", State::kNotTls},                                 // not TLS's major version
      {std::string("\x16\x03\x01\x00\x00", 5), State::kMalformed},  // an empty record
      {"\x16\x03\x01\x40\x01", State::kMalformed},                  // longer than a record may be
      {std::string("\x16\x03\x01\x00\x01\x02", 6), State::kMalformed},  // a ServerHello
      {std::string("\x16\x03\x01\x00\x04\x01\x00\x40\x01", 9), State::kTooLarge},
      {records(message_of(server_name("a")), 20).substr(0, 25) + "\x17\x03\x01", State::kNotTls},
  };
  for (const auto& each : cases) {
    CAPTURE(each.bytes);
    EXPECT(read_whole(each.bytes).state == each.state);
  }
  // Every cut of a right one is not enough, and none of its bytes read past the end.
  const std::string good = records(message_of(server_name("a.example")), 16384);
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT(read_whole(good.substr(0, size)).state == State::kMore);
  }
}

}  // namespace sluice::proxy
