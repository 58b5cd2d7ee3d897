#include "bench/backend/state.h"

#include <time.h>
#include <unistd.h>

namespace backend {

Flags flags;
int epoll_fd = -1;
uint64_t requests = 0, accepted = 0, live = 0;
bool healthy = true, stopping = false;
std::vector<std::unique_ptr<Conn>> conns;
std::priority_queue<Timer> timers;
std::string pattern, greeting[2];
SSL_CTX* tls_context = nullptr;
std::vector<Listener> listeners;

Conn::~Conn() {
  if (ssl) SSL_free(ssl);
  if (fd >= 0) close(fd);
}

int64_t now_ms() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000LL + t.tv_nsec / 1'000'000;
}

}  // namespace backend
