#include "bench/load/run.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "bench/load/connection.h"
#include "bench/load/flags.h"
#include "bench/load/state.h"

namespace load {

namespace {

constexpr int64_t kGraceNs = 10 * kSecond;  // for what is under way at the end

int on_session(SSL*, SSL_SESSION* fresh) {
  // TLS 1.3 tickets are meant for one use, but servers take them again; the newest is kept.
  if (session != nullptr) SSL_SESSION_free(session);
  session = fresh;
  return 1;
}

void handle_events(int64_t wait_ns) {
  epoll_event events[512];
  timespec wait{wait_ns / kSecond, wait_ns % kSecond};
  const int n = epoll_pwait2(epoll_fd, events, 512, wait_ns < 0 ? nullptr : &wait, nullptr);
  for (int i = 0; i < n; ++i) {
    Conn& c = *conns[events[i].data.u32];
    if (c.fd < 0) continue;
    const uint32_t what = events[i].events;
    if (what & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) c.out_of_data = false;
    if (what & (EPOLLOUT | EPOLLHUP | EPOLLERR)) c.full = false;
    drive(c);
  }
}

void run_rate(int64_t from) {
  const double period = static_cast<double>(kSecond) / static_cast<double>(flags.rate);
  uint64_t made = 0;
  const auto due_at = [&](uint64_t i) {
    return from + static_cast<int64_t>(period * static_cast<double>(i));
  };
  for (auto& c : conns) free_conns.push_back(c.get());
  for (;;) {
    int64_t now = now_ns();
    if (now >= last_due) return;
    while (due_at(made) <= now) {
      const int64_t due = due_at(made++);
      if (free_conns.empty()) {
        due_later.push_back(due);
        ++totals.late;
        continue;
      }
      Conn* c = free_conns.front();
      free_conns.pop_front();
      start(*c, due);
    }
    now = now_ns();
    const int64_t next_at = due_at(made) < last_due ? due_at(made) : last_due;
    handle_events(next_at > now ? next_at - now : 0);
  }
}

void report(double seconds, double cpu) {
  printf(
      "{\"requests\": %llu, \"seconds\": %.4f, \"errors\": %llu, \"bad_status\": %llu, "
      "\"bytes\": %llu, \"opened\": %llu, \"resumed\": %llu, \"waited\": %llu, \"unsent\": %zu, "
      "\"load_cpu_s\": %.3f, \"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, "
      "\"p999_us\": %.1f, \"max_us\": %.1f, \"counted\": %llu, \"first_error\": \"%s\"}\n",
      static_cast<unsigned long long>(totals.requests), seconds,
      static_cast<unsigned long long>(totals.errors),
      static_cast<unsigned long long>(totals.bad_status),
      static_cast<unsigned long long>(totals.bytes), static_cast<unsigned long long>(totals.opened),
      static_cast<unsigned long long>(totals.resumed), static_cast<unsigned long long>(totals.late),
      due_later.size(), cpu, latencies.us(0.5), latencies.us(0.9), latencies.us(0.99),
      latencies.us(0.999), latencies.max_us(), static_cast<unsigned long long>(totals.counted),
      totals.first_error.c_str());
}

}  // namespace

void set_up() {
  const size_t colon = flags.to.rfind(':');
  to.sin_family = AF_INET;
  if (colon == std::string::npos ||
      inet_pton(AF_INET, flags.to.substr(0, colon).c_str(), &to.sin_addr) != 1) {
    die("-to " + flags.to + ": want IPV4:PORT");
  }
  to.sin_port = htons(static_cast<uint16_t>(atoi(flags.to.c_str() + colon + 1)));
  const auto head_for = [](const std::string& host) {
    std::string head =
        (flags.upload > 0 ? "POST " : "GET ") + flags.path + " HTTP/1.1\r\nHost: " + host + "\r\n";
    if (flags.upload > 0) head += "Content-Length: " + std::to_string(flags.upload) + "\r\n";
    if (flags.fresh) head += "Connection: close\r\n";
    return head + "\r\n";
  };
  if (flags.hosts == 0) request_heads.push_back(head_for(flags.host));
  for (uint64_t i = 0; i < flags.hosts; ++i) {
    request_heads.push_back(head_for("host-" + std::to_string(i) + ".example.com"));
  }
  upgrade_head = "GET " + flags.path + " HTTP/1.1\r\nHost: " + flags.host +
                 "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                 "Sec-WebSocket-Key: c2x1aWNlIGJlbmNobWFyaw==\r\n\r\n";
  if (flags.message > 0) {
    if (flags.message > 125) die("-message: 125 bytes at most");
    // A binary frame under the mask 0: allowed, if of no use (RFC 6455 5.3).
    message = {'\x82', static_cast<char>(0x80 | flags.message), 0, 0, 0, 0};
    message.append(flags.message, 'm');
  }
  rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  if (files.rlim_cur < flags.connections + 16) die("too few file descriptors");
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (flags.tls) {
    tls_context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_mode(tls_context,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (flags.resume) {
      SSL_CTX_set_session_cache_mode(tls_context,
                                     SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
      SSL_CTX_sess_set_new_cb(tls_context, on_session);
    }
  }
  for (uint64_t i = 0; i < flags.connections; ++i) {
    conns.push_back(std::make_unique<Conn>());
    conns.back()->index = static_cast<uint32_t>(i);
  }
}

int run_load() {
  const int64_t from = now_ns();
  const auto length = static_cast<int64_t>(flags.seconds * static_cast<double>(kSecond));
  last_due = from + length;
  count_from = from + length / 5;  // connections are being opened before
  if (flags.rate > 0) {
    run_rate(from);
  } else {
    for (auto& c : conns) start(*c, from);
    while (now_ns() < last_due) handle_events(last_due - now_ns());
  }
  const double seconds = static_cast<double>(now_ns() - from) / 1e9;
  const uint64_t in_time = totals.requests;
  const int64_t give_up = now_ns() + kGraceNs;
  while (busy > 0 && now_ns() < give_up) handle_events(100'000'000);
  rusage used;
  getrusage(RUSAGE_SELF, &used);
  const double cpu = static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                     static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
  report(seconds * static_cast<double>(totals.requests) /
             static_cast<double>(in_time > 0 ? in_time : 1),
         cpu);
  if (busy > 0) {
    fprintf(stderr, "load: %llu requests had no answer %lld s after the end\n",
            static_cast<unsigned long long>(busy), static_cast<long long>(kGraceNs / kSecond));
    return 1;
  }
  return 0;
}

int stay_idle() {
  last_due = 0;  // nothing follows the first request
  size_t started = 0;
  while (totals.requests + totals.errors < conns.size()) {
    while (started < conns.size() && busy < 64) start(*conns[started++], now_ns());
    handle_events(100'000'000);
  }
  printf("open %llu\n", static_cast<unsigned long long>(totals.requests));
  fflush(stdout);
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
  size_t open = 0;
  for (const auto& c : conns) {
    pollfd one{c->fd, POLLIN, 0};
    open += c->fd >= 0 && poll(&one, 1, 0) == 0;
  }
  printf("still open %zu\n", open);
  return 0;
}

}  // namespace load
