#include "test/core/tls/pair.h"

#include <poll.h>
#include <sys/socket.h>

#include "core/check.h"

namespace sluice::tls::test {

namespace {

void join(Socket& a, Socket& b) {
  int fds[2];
  CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
  a = Socket(fds[0]);
  b = Socket(fds[1]);
}

}  // namespace

void Side::turn() {
  if (!socket.open()) return;
  pollfd p{socket.fd(), POLLIN | POLLOUT | POLLRDHUP, 0};
  ::poll(&p, 1, 0);
  const bool closed = (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
  session->note(socket, (p.revents & POLLIN) != 0 || closed, (p.revents & POLLOUT) != 0, closed);
  while (!ended && !failed) {
    char room[5'000];
    const IoResult in = session->read(socket, room, sizeof room);
    if (in.state == IoState::kBlocked) break;
    if (in.state == IoState::kOk) got.append(room, in.bytes);
    ended |= in.state == IoState::kEnd;
    failed |= in.state == IoState::kError;
  }
}

size_t Side::write(std::string_view bytes) {
  const iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  const IoResult put = session->write(socket, &part, 1);
  if (put.state == IoState::kError) {
    failed = true;
    return bytes.size();
  }
  return put.state == IoState::kOk ? put.bytes : 0;
}

Pair::Pair(std::shared_ptr<const ServerContext> server_context,
           std::shared_ptr<const ClientContext> client_context, const ConnectOptions& options,
           size_t piece)
    : piece_(piece) {
  join(client.socket, near_client_);
  join(server.socket, near_server_);
  server.session = Session::accept(std::move(server_context), pool_);
  client.session = Session::connect(std::move(client_context), pool_, options);
  CHECK(server.session && client.session);
}

Pair::~Pair() {
  server.session.reset();
  client.session.reset();
}

bool Pair::relay(Socket& from, Socket& to, std::string& held) {
  if (!from.open() || !to.open()) return false;
  if (held.empty()) {
    held.resize(piece_);
    const IoResult in = from.read(held.data(), held.size());
    held.resize(in.state == IoState::kOk ? in.bytes : 0);
    if (in.state == IoState::kEnd) to.shutdown_write();
  }
  if (held.empty()) return false;
  const IoResult out = to.write(held.data(), held.size());
  if (out.state != IoState::kOk) return false;
  held.erase(0, out.bytes);
  return true;
}

void Pair::run() {
  bool moved = true;
  while (moved) {
    client.turn();
    server.turn();
    moved = relay(near_client_, near_server_, up_);
    moved |= relay(near_server_, near_client_, down_);
  }
}

void Pair::send(Side& from, std::string_view bytes) {
  while (!bytes.empty()) {
    bytes.remove_prefix(from.write(bytes));
    run();
  }
}

bool Pair::shake() {
  run();
  return client.session->established() && server.session->established() && !client.failed &&
         !server.failed;
}

void Pair::cut(Side& from) {
  Socket& near = &from == &client ? near_client_ : near_server_;
  near.close();
  (&from == &client ? near_server_ : near_client_).shutdown_write();
}

}  // namespace sluice::tls::test
