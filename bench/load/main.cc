// The load of the comparison, where wrk and h2load have none: a constant rate whose latencies are
// counted from when each request was due (no coordinated omission), uploads, bodies and small
// requests over plain TCP, new TLS handshakes full and resumed, ClientHellos for SNI, websocket
// messages, and connections that only stay open.
//
//   load run  -to 127.0.0.1:80 -connections 64 -seconds 5 [-rate 10000] ...    one JSON line
//   load idle -to 127.0.0.1:80 -connections 10000        "open N", then until its input ends
//
// Owner: bench/compare. One thread, one epoll set; links OpenSSL and nothing of ours. Limits: a
// response head of 16 KiB with a Content-Length; one request at a time a connection.
#include <signal.h>

#include "bench/load/flags.h"
#include "bench/load/run.h"

int main(int argc, char** argv) {
  load::read_flags(argc, argv);
  signal(SIGPIPE, SIG_IGN);
  load::set_up();
  return load::flags.mode == "run" ? load::run_load() : load::stay_idle();
}
