#include "core/reactor.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

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
    slot_ = reactor_.watch(socket_, *this);
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
}

}  // namespace sluice
