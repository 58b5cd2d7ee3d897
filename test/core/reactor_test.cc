#include "core/reactor.h"

#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "core/slab.h"
#include "test/test.h"

namespace sluice {

namespace {

// Echoes, counts its events, and dies at the peer's end.
class Echo final : public EventHandler, public Reapable {
 public:
  Echo(Reactor& reactor, Socket socket, int& alive)
      : reactor_(reactor), socket_(std::move(socket)), in_(reactor.buffers()), alive_(alive) {
    ++alive_;
    slot_ = reactor_.watch(socket_, *this, Reactor::Interest::kReads);
  }
  ~Echo() { --alive_; }

  void on_ready(Ready ready) override {
    if (!ready.readable) return;
    for (;;) {
      in_.make_room(1);
      const IoResult got = socket_.read(in_.room(), in_.room_size());
      if (got.state == IoState::kBlocked) break;
      if (got.state != IoState::kOk) {
        reactor_.unwatch(slot_);
        socket_.close();
        reactor_.reap(*this);
        break;
      }
      in_.commit(got.bytes);
      socket_.write(in_.data(), in_.size());
      in_.clear();
    }
    in_.release_if_empty();
  }
  void destroy() override { delete this; }

 private:
  Reactor& reactor_;
  Socket socket_;
  Buffer in_;
  Reactor::Slot slot_;
  int& alive_;
};

struct Alarm final : Timer {
  explicit Alarm(std::vector<int>& log, int id) : log(log), id(id) {}
  void on_timer() override { log.push_back(id); }
  std::vector<int>& log;
  int id;
};

}  // namespace

TEST_CASE("a listener that another process has too wakes nobody once it is closed here") {
  struct Stop final : Timer {
    explicit Stop(Reactor& reactor) : reactor(reactor) {}
    void on_timer() override { reactor.stop(); }
    Reactor& reactor;
  };
  Reactor reactor;
  Result<Socket> listener = listen_on(*SocketAddress::make("127.0.0.1", 0), {});
  REQUIRE(listener);
  const SocketAddress at = listener->local_address();
  const Socket of_another(::dup(listener->fd()));
  const auto id = reactor.add_listener(std::move(*listener), [](Socket, const SocketAddress&) {});
  reactor.close_listener(id);
  const ConnectStart client = start_connect(at);
  REQUIRE(client.error == 0);
  Stop stop(reactor);
  reactor.timers().arm(stop, reactor.now_ms() + 200);
  reactor.run();
  EXPECT(reactor.turns() < 50);
}

TEST_CASE("a connected socket wakes nobody to say that it is writable, until a write was refused") {
  struct Peer final : EventHandler {
    void on_ready(Ready ready) override {
      ++events;
      if (ready.writable) reactor.stop();
    }
    explicit Peer(Reactor& of) : reactor(of) {}
    Reactor& reactor;
    int events = 0;
  };
  struct Alarm final : Timer {
    void on_timer() override { then(); }
    std::function<void()> then;
  };
  Reactor reactor;
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
  Socket near(ends[0]);
  Socket far(ends[1]);
  Peer peer(reactor);
  const Reactor::Slot slot = reactor.watch(near, peer, Reactor::Interest::kReads);
  char block[4096] = {};
  Alarm later;
  int before = -1;
  later.then = [&] {
    before = peer.events;
    while (near.write(block, sizeof block).state == IoState::kOk) {
    }
    reactor.refused(slot);
    while (far.read(block, sizeof block).state == IoState::kOk) {
    }
  };
  reactor.timers().arm(later, reactor.now_ms() + 100);
  reactor.run();
  EXPECT_EQ(before, 0);
  EXPECT_EQ(peer.events, 1);
  reactor.unwatch(slot);
}

TEST_CASE("a connect within the machine is done at once; a refused one keeps its error") {
  Result<Socket> listener = listen_on(*SocketAddress::make("127.0.0.1", 0), {});
  REQUIRE(listener);
  const SocketAddress at = listener->local_address();
  const ConnectStart first = start_connect(at);
  EXPECT_EQ(first.error, 0);
  EXPECT(first.done);
  const auto congestion_control = [](const Socket& of) {
    char name[16] = {};
    socklen_t size = sizeof name;
    getsockopt(of.fd(), IPPROTO_TCP, TCP_CONGESTION, name, &size);
    return std::string(name);
  };
  EXPECT_EQ(congestion_control(first.socket), "reno");
  EXPECT_EQ(congestion_control(*listener), "reno");
  Result<Socket> everywhere = listen_on(*SocketAddress::make("0.0.0.0", 0), {});
  REQUIRE(everywhere);
  const Socket untouched(::socket(AF_INET, SOCK_STREAM, 0));
  EXPECT_EQ(congestion_control(*everywhere), congestion_control(untouched));
  listener->close();
  ConnectStart second = start_connect(at);
  EXPECT_EQ(second.error, 0);
  EXPECT(!second.done);
  EXPECT_EQ(second.socket.take_error(), ECONNREFUSED);
}

TEST_CASE("a burst of connections is accepted without another event of the listener") {
  constexpr int kBurst = 50;
  Reactor reactor;
  int accepted = 0;
  Result<Socket> listener = listen_on(*SocketAddress::make("127.0.0.1", 0), {});
  REQUIRE(listener);
  std::vector<ConnectStart> clients;
  for (int i = 0; i < kBurst; ++i) clients.push_back(start_connect(listener->local_address()));
  reactor.add_listener(std::move(*listener), [&](Socket, const SocketAddress&) {
    if (++accepted == kBurst) reactor.stop();
  });
  reactor.run();
  EXPECT_EQ(accepted, kBurst);
}

TEST_CASE("a reactor accepts, echoes and reaps at the end of the turn") {
  Reactor reactor;
  int alive = 0;
  int accepted = 0;
  Result<Socket> listener = listen_on(*SocketAddress::make("127.0.0.1", 0), {});
  REQUIRE(listener);
  const SocketAddress at = listener->local_address();
  Result<void> taken = probe_address(at);
  EXPECT(!taken);
  EXPECT_EQ(taken.error().code, Code::kConflict);
  EXPECT_EQ(taken.error().message, "listen " + at.text() + ": address in use");
  reactor.add_listener(std::move(*listener), [&](Socket socket, const SocketAddress& peer) {
    ++accepted;
    EXPECT_EQ(peer.ip(), "127.0.0.1");
    new Echo(reactor, std::move(socket), alive);
  });
  std::thread client([&] {
    for (int i = 0; i < 20; ++i) {
      Socket socket(::socket(AF_INET, SOCK_STREAM, 0));
      REQUIRE(::connect(socket.fd(), at.raw(), at.size()) == 0);
      socket.write("hello", 5);
      char got[8];
      size_t n = 0;
      while (n < 5) n += socket.read(got + n, sizeof got - n).bytes;
      EXPECT_EQ(std::string(got, n), "hello");
      socket.shutdown_write();
      EXPECT(socket.read(got, sizeof got).state == IoState::kEnd);
    }
    reactor.stop();
  });
  reactor.run();
  client.join();
  EXPECT_EQ(accepted, 20);
  EXPECT_EQ(alive, 0);
  EXPECT_EQ(reactor.buffers().used(BlockSize::kSmall), 0u);
  EXPECT(!reactor.post([] {}));
}

TEST_CASE("a listener without descriptors pauses, and goes on once there are some") {
  Reactor reactor;
  Result<Socket> listener = listen_on(*SocketAddress::make("127.0.0.1", 0), {});
  REQUIRE(listener);
  const SocketAddress at = listener->local_address();
  int accepted = 0;
  uint64_t turns = 0;
  reactor.add_listener(std::move(*listener), [&](Socket, const SocketAddress&) {
    ++accepted;
    turns = reactor.turns();
    reactor.stop();
  });
  Socket client(::socket(AF_INET, SOCK_STREAM, 0));
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  // No descriptor above those in use can be had.
  const rlimit none{static_cast<rlim_t>(client.fd()), before.rlim_max};
  REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
  CHECK(::connect(client.fd(), at.raw(), at.size()) == 0);
  // The connection waits in the queue from the start: the first turn meets EMFILE.
  struct Restore final : Timer {
    std::function<void()> run;
    void on_timer() override { run(); }
  } restore;
  restore.run = [&] {
    EXPECT_EQ(accepted, 0);
    setrlimit(RLIMIT_NOFILE, &before);
  };
  reactor.timers().arm(restore, reactor.now_ms() + 2 * TimerWheel::kTickMs);
  reactor.run();
  EXPECT_EQ(accepted, 1);
  EXPECT(turns < 100);  // it waited, and did not spin
}

TEST_CASE("a reactor that has nothing to time waits for events alone") {
  Reactor reactor;
  std::thread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(400));
    reactor.stop();
  });
  reactor.run();
  other.join();
  EXPECT(reactor.turns() < 4);
}

TEST_CASE("messages of other threads run in order on the reactor") {
  Reactor reactor;
  std::vector<int> got;
  std::thread sender([&] {
    for (int i = 0; i < 1000; ++i) reactor.post([&got, i] { got.push_back(i); });
    reactor.stop();
  });
  reactor.run();
  sender.join();
  REQUIRE(got.size() == 1000);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(got[static_cast<size_t>(i)], i);
}

TEST_CASE(
    "the timer wheel fires late by a tick at most, never early, and forgets what was disarmed") {
  TimerWheel wheel;
  std::vector<int> log;
  Alarm a(log, 1);
  Alarm b(log, 2);
  Alarm far(log, 3);
  wheel.advance(1000);
  wheel.arm(a, 1200);
  wheel.arm(b, 1200);
  wheel.arm(far, 100'000);
  wheel.arm(b, 5000);  // later: only a number changes
  wheel.advance(1199);
  EXPECT(log.empty());
  wheel.advance(1250);
  EXPECT_EQ(log, std::vector<int>{1});
  wheel.arm(b, 1400);  // earlier
  wheel.advance(1450);
  EXPECT_EQ(log, std::vector<int>{1, 2});
  wheel.arm(a, 1500);
  wheel.disarm(a);
  for (int64_t now = 1450; now <= 99'950; now += 50) wheel.advance(now);
  EXPECT_EQ(log, std::vector<int>{1, 2});
  wheel.advance(100'050);
  EXPECT_EQ(log, std::vector<int>{1, 2, 3});
  EXPECT_EQ(wheel.count(), 0u);
}

TEST_CASE("a buffer grows, moves and gives its block back") {
  BufferPool pool;
  Buffer buffer(pool);
  EXPECT(buffer.append(std::string(10'000, 'a')));
  buffer.consume(9'999);
  EXPECT(buffer.append(std::string(16'000, 'b')));
  EXPECT_EQ(buffer.size(), 16'001u);
  EXPECT_EQ(pool.used(BlockSize::kSmall), 1u);
  EXPECT(buffer.append(std::string(40'000, 'c')));
  EXPECT_EQ(pool.used(BlockSize::kSmall), 0u);
  EXPECT_EQ(pool.used(BlockSize::kLarge), 1u);
  EXPECT(!buffer.append(std::string(10'000, 'd')));
  EXPECT_EQ(buffer.view().substr(0, 2), "ab");
  EXPECT_EQ(buffer.view().back(), 'c');
  buffer.consume(buffer.size());
  buffer.release_if_empty();
  EXPECT_EQ(pool.used(BlockSize::kLarge), 0u);
}

TEST_CASE("a slab reuses, and refuses past its limit") {
  Slab<std::string> slab(4, 2);
  std::vector<std::string*> made;
  for (int i = 0; i < 4; ++i) made.push_back(slab.make("x"));
  EXPECT(slab.make("y") == nullptr);
  slab.free(made[3]);
  EXPECT_EQ(slab.make("z"), made[3]);
  for (std::string* s : made) slab.free(s);
}

TEST_CASE("socket addresses") {
  char text[SocketAddress::kMaxText];
  const SocketAddress v4 = *SocketAddress::make("203.0.113.9", 81);
  EXPECT_EQ(std::string(text, v4.write_ip(text)), "203.0.113.9");
  EXPECT_EQ(v4.text(), "203.0.113.9:81");
  EXPECT_EQ(SocketAddress::make("::1", 80)->text(), "[::1]:80");
  const SocketAddress mapped = *SocketAddress::make("::ffff:10.0.0.1", 80);
  EXPECT_EQ(mapped.text(), "10.0.0.1:80");
  EXPECT(!SocketAddress::make("10.0.0", 1));
  EXPECT(!SocketAddress::make("localhost", 1));
  for (const char* ip : {"127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"})
    EXPECT(SocketAddress::make(ip, 1)->is_loopback());
  for (const char* ip : {"128.0.0.1", "", "::", "::2", "::7f00:1", "0.0.0.0"})
    EXPECT(!SocketAddress::make(ip, 1)->is_loopback());
}

}  // namespace sluice
