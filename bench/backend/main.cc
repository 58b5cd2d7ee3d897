// The demo backend: the upstream of the demo job, of the tests' images and of the comparison.
// It stands for the users' own services, so it shares nothing with sluice: standard library, POSIX
// and OpenSSL (the one program that uses it), linked statically so that it runs `FROM scratch`.
// One thread, one epoll set. Limits: state.h; a connection that owes more output than the socket
// takes is not read until that is gone.
//
//   GET /            this is NAME, version: VERSION        (any path not below)
//   GET /size/N      N bytes (Content-Length)              /drip/N/MS  N chunked lines, MS apart
//   GET /sleep/MS    the greeting after MS                 /status/N   that status
//   ANY /echo        the request's body                    /request    the request's head
//   ANY /upload      how many bytes the body had           /stats      requests and connections
//   GET /env[/NAME]  the environment, or one variable      /close      closes afterwards
//   GET /health      200, or 503 after /health/fail until /health/pass
//   GET /exit/N      ends the process with code N          /abort      resets the connection
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "bench/backend/answer.h"
#include "bench/backend/connection.h"
#include "bench/backend/listen.h"
#include "bench/backend/state.h"
#include "bench/backend/text.h"

namespace backend {

namespace {

constexpr size_t kPatternBytes = 256 << 10;
constexpr int kDrainMs = 60'000;  // after SIGTERM, what is in flight may take this long

constexpr const char* kUsage =
    "usage: demo-backend [-http ADDR] [-https ADDR] [-name NAME] [-version V]\n"
    "  -http, -https  [HOST]:PORT, env (the port in NOMAD_PORT_http or _https) or off;\n"
    "                 :8081 and :7777 when not given\n"
    "  -cert, -key    PEM files; without them a self-signed certificate is made\n"
    "  -cert-name N   the name in that certificate (localhost)\n"
    "  -lines N       print N numbered lines on standard output, -lines-every MS apart\n"
    "  -exit CODE     after the lines, end with this code\n";

void read_flags(int argc, char** argv) {
  for (int i = 1; i < argc; i++) {
    std::string_view name = argv[i];
    if (name.starts_with("--")) name.remove_prefix(1);
    size_t equals = name.find('=');
    std::string value;
    if (name == "-h" || name == "-help") exit(fputs(kUsage, stdout) < 0);
    if (equals != name.npos) {
      value = name.substr(equals + 1);
      name = name.substr(0, equals);
    } else if (i + 1 < argc) {
      value = argv[++i];
    } else {
      die(std::string(name) + " wants a value\n" + kUsage);
    }
    if (name == "-http")
      flags.http = value;
    else if (name == "-https")
      flags.https = value;
    else if (name == "-name")
      flags.name = value;
    else if (name == "-version")
      flags.version = value;
    else if (name == "-cert")
      flags.cert = value;
    else if (name == "-key")
      flags.key = value;
    else if (name == "-cert-name")
      flags.cert_name = value;
    else if (name == "-lines")
      flags.lines = static_cast<int64_t>(number(value));
    else if (name == "-lines-every")
      flags.lines_every_ms = static_cast<int64_t>(number(value));
    else if (name == "-exit")
      flags.exit_code = static_cast<int64_t>(number(value));
    else
      die("unknown flag " + std::string(name) + "\n" + kUsage);
  }
}

int64_t lines_done = 0;

void print_line(const Timer& t) {
  printf("line %lld\n", static_cast<long long>(++lines_done));
  if (flags.lines_every_ms || lines_done == flags.lines) fflush(stdout);
  if (lines_done < flags.lines) return timers.push({t.at_ms + flags.lines_every_ms, -1, 0});
  if (flags.exit_code >= 0) finish_process(static_cast<int>(flags.exit_code));
}

int serve(int signals) {
  int64_t stop_by_ms = 0;
  epoll_event events[256];
  while (!stopping || (live && now_ms() < stop_by_ms)) {
    int64_t wait = timers.empty() ? -1 : std::max<int64_t>(0, timers.top().at_ms - now_ms());
    if (stopping && (wait < 0 || wait > 1000)) wait = 1000;
    int n = epoll_wait(epoll_fd, events, 256, static_cast<int>(std::min<int64_t>(wait, 60'000)));
    for (int i = 0; i < n; i++) {
      int fd = static_cast<int>(events[i].data.u64 & 0xffffffff);
      if (fd == signals) {
        signalfd_siginfo info;
        while (read(signals, &info, sizeof info) > 0) stop_by_ms = now_ms() + kDrainMs;
        begin_stop();
        continue;
      }
      auto listener = std::find_if(listeners.begin(), listeners.end(),
                                   [fd](const Listener& l) { return l.fd == fd; });
      if (listener != listeners.end() && events[i].data.u64 >> 32 == 0) {
        if (!stopping) on_accept(*listener);
        continue;
      }
      on_event(fd, static_cast<uint32_t>(events[i].data.u64 >> 32), events[i].events);
    }
    int64_t now = now_ms();
    while (!timers.empty() && timers.top().at_ms <= now) {
      Timer t = timers.top();
      timers.pop();
      if (t.fd < 0) {
        print_line(t);
      } else {
        on_wait_over(t);
      }
    }
  }
  return 0;
}

}  // namespace

}  // namespace backend

int main(int argc, char** argv) {
  using namespace backend;
  read_flags(argc, argv);
  signal(SIGPIPE, SIG_IGN);
  rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  epoll_event e{};
  e.events = EPOLLIN;
  e.data.u64 = static_cast<uint32_t>(signals);
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, signals, &e);
  for (int tls = 0; tls < 2; tls++) {
    std::string name =
        flags.name.empty() ? tls ? "httpsbackendservice" : "httpbackendservice" : flags.name;
    greeting[tls] = "this is " + name + ", version: " + flags.version + "\n";
  }
  for (size_t i = 0; i < kPatternBytes; i++) pattern += static_cast<char>('a' + i % 26);
  conns.resize(1024);
  if (flags.https != "off" && !flags.https.empty()) set_up_tls();
  listen_on(flags.http, "http", false);
  listen_on(flags.https, "https", true);
  if (flags.lines > 0) timers.push({now_ms(), -1, 0});
  return serve(signals);
}
