#include "bench/load/state.h"

#include <time.h>

namespace load {

Totals totals;
int epoll_fd = -1;
sockaddr_in to;
std::vector<std::unique_ptr<Conn>> conns;
std::deque<Conn*> free_conns;
std::deque<int64_t> due_later;
std::string upgrade_head, message;
std::vector<std::string> request_heads;
Histogram latencies;
int64_t count_from = 0, last_due = 0;
SSL_CTX* tls_context = nullptr;
SSL_SESSION* session = nullptr;
uint64_t busy = 0;

int64_t now_ns() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return int64_t{t.tv_sec} * kSecond + t.tv_nsec;
}

}  // namespace load
