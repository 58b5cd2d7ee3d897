// What the demo backend holds: its flags, its connections and timers, what it counts.
//
// Owner: the program, whose one thread it is. Limits: the constants.
#pragma once

#include <openssl/ssl.h>
#include <sys/epoll.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <queue>
#include <string>
#include <vector>

namespace backend {

constexpr size_t kMaxHead = 64 << 10;    // bytes of a request head
constexpr size_t kMaxEcho = 64 << 20;    // bytes that /echo keeps
constexpr size_t kReadBytes = 64 << 10;  // bytes taken from a socket at once

struct Flags {
  std::string http = ":8081", https = ":7777", name, version = "v1.0.0", cert, key;
  std::string cert_name = "localhost";
  int64_t lines = 0, lines_every_ms = 0, exit_code = -1;
};

enum class Body : uint8_t { kNone, kLength, kChunkSize, kChunkData, kChunkEnd, kTrailer };
enum class Sink : uint8_t { kDrop, kKeep };
enum class Phase : uint8_t { kHead, kBody, kWaiting };

/// A client's connection. Bytes come into `in`, requests are taken out of it one at a time, what is
/// owed is `out` and then `pattern_left` bytes of the pattern.
struct Conn {
  int fd = -1;
  uint32_t generation = 0;
  SSL* ssl = nullptr;
  bool tls = false, handshaken = true;
  std::string in, out, kept, target, head;
  size_t in_at = 0, out_at = 0;
  uint64_t pattern_left = 0, body_left = 0, body_bytes = 0, drip_left = 0, drip_at = 0;
  int64_t drip_every_ms = 0;
  Phase phase = Phase::kHead;
  Body body = Body::kNone;
  Sink sink = Sink::kDrop;
  bool is_head = false, keep_alive = true, closing = false, eof = false, old_client = false;
  uint32_t interest = EPOLLIN;
  Conn() = default;
  Conn(const Conn&) = delete;
  ~Conn();
};

struct Timer {
  int64_t at_ms;
  int fd;  // -1: the next numbered line
  uint32_t generation;
  bool operator<(const Timer& other) const { return at_ms > other.at_ms; }
};

struct Listener {
  int fd;
  bool tls;
};

extern Flags flags;
extern int epoll_fd;
extern uint64_t requests, accepted, live;
extern bool healthy, stopping;
extern std::vector<std::unique_ptr<Conn>> conns;  // by descriptor
extern std::priority_queue<Timer> timers;
extern std::string pattern, greeting[2];  // [1] is the TLS one
extern SSL_CTX* tls_context;
extern std::vector<Listener> listeners;

int64_t now_ms();

}  // namespace backend
