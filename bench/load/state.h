// What a load holds: its connections, what they ask, and what was counted.
//
// Owner: the program, whose one thread it is.
#pragma once

#include <netinet/in.h>
#include <openssl/ssl.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "bench/load/histogram.h"

namespace load {

constexpr int64_t kSecond = 1'000'000'000;

enum class State : uint8_t { kClosed, kConnecting, kHandshake, kUpgrade, kReady, kBusy };

/// A connection of the load: one request at a time.
struct Conn {
  int fd = -1;
  SSL* ssl = nullptr;
  State state = State::kClosed;
  size_t sent = 0;           // of the request's head, or of the message
  uint64_t upload_left = 0;  // of its body
  std::string head;          // of the response, until it is whole
  bool in_body = false, close_after = false, out_of_data = true, full = false;
  uint64_t body_left = 0;
  int64_t due = 0;
  uint32_t index = 0;
  uint32_t head_index = 0;  // in request_heads
};

struct Totals {
  uint64_t requests = 0, counted = 0, errors = 0, bad_status = 0, bytes = 0, opened = 0,
           resumed = 0, late = 0;
  std::string first_error;
};

extern Totals totals;
extern int epoll_fd;
extern sockaddr_in to;
extern std::vector<std::unique_ptr<Conn>> conns;
extern std::deque<Conn*> free_conns;
extern std::deque<int64_t> due_later;  // requests that wait for a connection
extern std::string upgrade_head, message;
extern std::vector<std::string> request_heads;  // one, or one a host
extern Histogram latencies;
extern int64_t count_from, last_due;
extern SSL_CTX* tls_context;
extern SSL_SESSION* session;  // of the last connection, for the next
extern uint64_t busy;

int64_t now_ns();

}  // namespace load
