#include "bench/backend/answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "bench/backend/text.h"

extern char** environ;

namespace backend {

namespace {

void wait_ms(Conn& c, int64_t ms) {
  c.phase = Phase::kWaiting;
  timers.push({now_ms() + ms, c.fd, c.generation});
}

void start_drip(Conn& c, std::string_view rest) {
  size_t slash = rest.find('/');
  c.drip_left = number(rest.substr(0, slash));
  c.drip_every_ms = static_cast<int64_t>(slash == rest.npos ? 0 : number(rest.substr(slash + 1)));
  c.drip_at = 0;
  if (!c.keep_alive || stopping || c.old_client) c.closing = true;
  c.out += "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n";
  if (c.closing) c.out += "Connection: close\r\n";
  c.out += c.old_client ? "\r\n" : "Transfer-Encoding: chunked\r\n\r\n";
  wait_ms(c, c.drip_every_ms);
}

}  // namespace

void answer(Conn& c, int status, std::string_view body, uint64_t pattern_bytes) {
  const char* reason = status == 200   ? "OK"
                       : status == 400 ? "Bad Request"
                       : status == 404 ? "Not Found"
                       : status == 413 ? "Content Too Large"
                       : status == 503 ? "Service Unavailable"
                                       : "Status";
  if (!c.keep_alive || stopping) c.closing = true;
  bool bodyless = status / 100 == 1 || status == 204 || status == 304;
  char head[256];
  int n =
      snprintf(head, sizeof head, "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\n", status, reason);
  c.out.append(head, static_cast<size_t>(n));
  if (!bodyless) {
    n = snprintf(head, sizeof head, "Content-Length: %llu\r\n",
                 static_cast<unsigned long long>(body.size() + pattern_bytes));
    c.out.append(head, static_cast<size_t>(n));
  }
  if (c.closing) c.out += "Connection: close\r\n";
  if (c.old_client && !c.closing) c.out += "Connection: keep-alive\r\n";
  c.out += "\r\n";
  if (bodyless || c.is_head) return;
  c.out += body;
  c.pattern_left = pattern_bytes;
}

void finish_process(int code) {
  fflush(stdout);
  _exit(code);
}

void respond(Conn& c) {
  requests++;
  c.phase = Phase::kHead;
  std::string_view t = c.target;
  t = t.substr(0, t.find('?'));
  auto under = [&t](std::string_view prefix) {
    if (!t.starts_with(prefix)) return false;
    t.remove_prefix(prefix.size());
    return true;
  };
  if (t == "/") return answer(c, 200, greeting[c.tls]);
  if (under("/size/")) return answer(c, 200, "", number(t));
  if (under("/status/")) {
    int status = static_cast<int>(number(t, 200));
    return answer(c, status >= 200 && status <= 599 ? status : 400, "status\n");
  }
  if (under("/sleep/")) return wait_ms(c, static_cast<int64_t>(number(t)));
  if (under("/drip/")) return start_drip(c, t);
  if (t == "/echo") return answer(c, 200, c.kept);
  if (t == "/request" || t.starts_with("/request/")) return answer(c, 200, c.head);
  if (t == "/upload") return answer(c, 200, std::to_string(c.body_bytes) + "\n");
  if (t == "/stats") {
    return answer(c, 200,
                  "requests " + std::to_string(requests) + "\nconnections " +
                      std::to_string(accepted) + "\nopen " + std::to_string(live) + "\n");
  }
  if (t == "/close") {
    c.keep_alive = false;
    return answer(c, 200, greeting[c.tls]);
  }
  if (t == "/health/fail" || t == "/health/pass") healthy = t == "/health/pass";
  if (t.starts_with("/health")) return answer(c, healthy ? 200 : 503, healthy ? "ok\n" : "bad\n");
  if (t == "/env") {
    std::string all;
    for (char** e = environ; *e; e++) all.append(*e).append("\n");
    return answer(c, 200, all);
  }
  if (under("/env/")) {
    const char* value = getenv(std::string(t).c_str());
    return value ? answer(c, 200, std::string(value) + "\n") : answer(c, 404, "unset\n");
  }
  if (under("/exit/")) finish_process(static_cast<int>(number(t)));
  if (t == "/abort") {
    linger now{1, 0};
    setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    c.closing = true;
    return;
  }
  answer(c, 200, greeting[c.tls]);
}

void answer_after_wait(Conn& c) {
  if (c.drip_left) {
    std::string line = "line " + std::to_string(++c.drip_at) + "\n";
    char size[16];
    snprintf(size, sizeof size, "%zx\r\n", line.size());
    c.out += c.old_client ? line : size + line + "\r\n";
    if (--c.drip_left) {
      wait_ms(c, c.drip_every_ms);
    } else {
      if (!c.old_client) c.out += "0\r\n\r\n";
      c.phase = Phase::kHead;
    }
  } else {
    c.phase = Phase::kHead;
    answer(c, 200, greeting[c.tls]);
  }
}

void refuse(Conn& c, int status, std::string_view why) {
  c.keep_alive = false;
  c.in_at = c.in.size();
  c.phase = Phase::kHead;
  answer(c, status, why);
}

}  // namespace backend
