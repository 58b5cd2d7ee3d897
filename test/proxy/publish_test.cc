// long: one protocol, from one thread to real ones
#include "proxy/publish.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "proxy/pick.h"
#include "test/test.h"

namespace sluice::proxy {
namespace {

using Closure = std::move_only_function<void()>;

/// Runs closures when the test says so.
struct FakeLoop {
  std::deque<Closure> queue;
  Publisher::Post post() {
    return [this](Closure closure) { queue.push_back(std::move(closure)); };
  }
  void run() {
    while (!queue.empty()) {
      Closure next = std::move(queue.front());
      queue.pop_front();
      next();
    }
  }
};

RouteSpec spec(std::string service, std::string host, std::string path, uint16_t port,
               std::string instance = "") {
  RouteSpec out;
  out.service = std::move(service);
  out.instance = std::move(instance);
  out.host = std::move(host);
  out.path = std::move(path);
  out.destination = {Scheme::kHttp, "10.0.0.1", port};
  return out;
}

std::vector<RouteEdit> edit(std::string key, std::vector<RouteSpec> routes) {
  std::vector<RouteEdit> out;
  out.push_back({std::move(key), std::move(routes), {}});
  return out;
}

/// "service port weight" of each target that can be picked, in order.
std::vector<std::string> targets_of(const RouteTable& table, std::string_view host,
                                    std::string_view path) {
  std::vector<std::string> out;
  const Host* found = table.find_host(host);
  if (found == nullptr) return out;
  const Route* route = found->find({path, Matcher::kPrefix});
  if (route == nullptr) return out;
  for (size_t i = 0; i < route->targets().size(); ++i) {
    const Target& target = *route->targets()[i];
    out.push_back(
        fmt::format("{} {} {:.2f}", target.service(), target.endpoint()->port(), route->weight(i)));
  }
  return out;
}

using Lines = std::vector<std::string>;

TEST_CASE("an edit replaces its key, leaves others alone, and what is equal changes nothing") {
  FakeLoop control;
  Publisher publisher({}, control.post(), nullptr);
  EXPECT_EQ(
      publisher.apply(edit("web", {spec("web", "a.com", "/", 1), spec("web", "a.com", "/", 2)})),
      1u);
  EXPECT_EQ(
      publisher.apply(edit("api", {spec("api", "a.com", "/", 3), spec("api", "", "/api", 3)})), 2u);
  EXPECT_EQ(targets_of(publisher.table(), "a.com", "/"),
            Lines{"api 3 0.33", "web 1 0.33", "web 2 0.33"});
  EXPECT_EQ(
      publisher.apply(edit("web", {spec("web", "a.com", "/", 1), spec("web", "a.com", "/", 2)})),
      2u);
  EXPECT_EQ(
      publisher.apply(edit("web", {spec("web", "a.com", "/", 2), spec("web", "a.com", "/", 1)})),
      2u);  // the order of the instances is nobody's business
  const Host* untouched = publisher.table().find_host("");
  EXPECT_EQ(publisher.apply(edit("web", {spec("web", "a.com", "/", 2)})), 3u);
  EXPECT_EQ(targets_of(publisher.table(), "a.com", "/"), Lines{"api 3 0.50", "web 2 0.50"});
  EXPECT(publisher.table().find_host("") == untouched);
  EXPECT_EQ(publisher.apply(edit("api", {})), 4u);
  EXPECT_EQ(publisher.apply(edit("web", {})), 5u);
  EXPECT_EQ(publisher.apply(edit("never", {})), 5u);
  EXPECT_EQ(publisher.table().route_count(), 0u);
  control.run();
  EXPECT_EQ(publisher.endpoint_count(), 0u);
  EXPECT_EQ(publisher.tables_held(), 1u);
}

TEST_CASE("two edits of one key in one call: the last counts") {
  FakeLoop control;
  Publisher publisher({}, control.post(), nullptr);
  std::vector<RouteEdit> edits = edit("web", {spec("web", "a.com", "/", 1, "i1")});
  edits.push_back({"web", {spec("web", "a.com", "/", 2, "i1")}, {}});
  EXPECT_EQ(publisher.apply(std::move(edits)), 1u);
  EXPECT_EQ(targets_of(publisher.table(), "a.com", "/"), Lines{"web 2 1.00"});
}

TEST_CASE("equal targets share one part; unhealthy ones keep the route and get nothing") {
  FakeLoop control;
  Publisher publisher({}, control.post(), nullptr);
  RouteSpec sick = spec("web", "a.com", "/", 2);
  sick.healthy = false;
  publisher.apply(
      edit("web", {spec("web", "a.com", "/", 1, "x"), spec("web", "a.com", "/", 1, "y"), sick}));
  EXPECT_EQ(targets_of(publisher.table(), "a.com", "/"), Lines{"web 1 1.00"});
  publisher.apply(edit("web", {sick}));
  const Route* route = publisher.table().find_host("a.com")->match("/");
  REQUIRE(route != nullptr);
  EXPECT(pick(*route, {}).outcome == PickOutcome::kNoneHealthy);
}

TEST_CASE("weights, strategies and options reach the route") {
  FakeLoop control;
  Publisher publisher({}, control.post(), nullptr);
  RouteSpec one = spec("web", "a.com", "/", 1);
  one.options.weight = 0.2;
  publisher.apply(edit("web", {one, spec("web", "a.com", "/", 2)}));
  EXPECT_EQ(targets_of(publisher.table(), "a.com", "/"), Lines{"web 1 0.20", "web 2 0.80"});
  EXPECT(publisher.table().find_host("a.com")->match("/")->strategy() == Strategy::kRandom);
  one.options.strategy = Strategy::kRoundRobin;
  one.options.weight = 0;
  one.options.strip = "/x";
  publisher.apply(edit("web", {one}));
  const Route* route = publisher.table().find_host("a.com")->match("/");
  EXPECT(route->strategy() == Strategy::kRoundRobin);
  EXPECT_EQ(route->targets()[0]->options().strip, "/x");
}

TEST_CASE("a bad route is left out with its reason and blocks nobody") {
  FakeLoop control;
  Publisher publisher({.host_bytes = 32}, control.post(), nullptr);
  std::vector<RouteEdit> edits =
      edit("web", {spec("web", "a.com", "/", 1), spec("web", std::string(33, 'x'), "/", 1),
                   spec("web", "[a", "/", 1), spec("web", "{a", "/", 1)});
  edits[0].rejected.push_back({"web", "urlprefix-:x", "no port"});
  publisher.apply(std::move(edits));
  EXPECT_EQ(publisher.table().route_count(), 1u);
  const std::vector<RejectedRoute> rejected = publisher.rejected();
  REQUIRE(rejected.size() == 4);
  EXPECT_EQ(rejected[0].reason, "no port");
  EXPECT_EQ(rejected[3].tag, "{a/");
  publisher.apply(edit("web", {spec("web", "a.com", "/", 1)}));
  EXPECT(publisher.rejected().empty());
}

TEST_CASE("general globs are bounded") {
  FakeLoop control;
  Publisher publisher({}, control.post(), nullptr);
  std::vector<RouteSpec> specs;
  for (size_t i = 0; i < PublisherOptions().glob_hosts + 5; ++i) {
    specs.push_back(spec("web", "a*" + std::to_string(i) + ".com", "/", 1));
  }
  publisher.apply(edit("web", std::move(specs)));
  EXPECT_EQ(publisher.table().host_count(), PublisherOptions().glob_hosts);
  EXPECT_EQ(publisher.rejected().size(), 5u);
}

TEST_CASE("readers see each version when they run; tables are freed when none looks") {
  FakeLoop control;
  FakeLoop reactor;
  FakeLoop other;
  Publisher publisher({}, control.post(), nullptr);
  TableReader& reader = publisher.add_reader(reactor.post());
  TableReader& slow = publisher.add_reader(other.post());
  publisher.apply(edit("web", {spec("web", "a.com", "/", 1)}));
  EXPECT_EQ(reader.table().version(), 0u);
  reactor.run();
  control.run();
  EXPECT_EQ(reader.table().version(), 1u);
  EXPECT_EQ(publisher.tables_held(), 2u);  // the slow one still has version 0
  other.run();
  control.run();
  EXPECT_EQ(publisher.tables_held(), 1u);

  TableReader::Pin pin = reader.pin();
  const Route* route = reader.table().find_host("a.com")->match("/");
  publisher.apply(edit("web", {spec("web", "a.com", "/", 2)}));
  publisher.apply(edit("web", {}));
  reactor.run();
  other.run();
  control.run();
  EXPECT_EQ(publisher.tables_held(), 2u);  // the pinned one and the newest, not the one between
  EXPECT_EQ(route->targets()[0]->service(), "web");
  pin = {};
  control.run();
  EXPECT_EQ(publisher.tables_held(), 1u);
  EXPECT_EQ(publisher.endpoint_count(), 0u);
  publisher.remove_reader(reader);
  publisher.remove_reader(slow);
}

TEST_CASE("drained: acknowledged by every reactor, and nothing under way") {
  FakeLoop control;
  FakeLoop reactor;
  FakeLoop other;
  Publisher publisher({}, control.post(), nullptr);
  TableReader& reader = publisher.add_reader(reactor.post());
  TableReader& slow = publisher.add_reader(other.post());
  const auto settle = [&] {
    reactor.run();
    other.run();
    control.run();
  };
  publisher.apply(
      edit("web", {spec("web", "a.com", "/", 1, "i1"), spec("web", "a.com", "/", 2, "i2")}));
  settle();
  const Route* route = reader.table().find_host("a.com")->match("/");
  const Endpoint& first = *route->targets()[0]->endpoint();
  REQUIRE(first.port() == 1);
  first.begin();
  first.begin();

  bool done = false;
  const uint64_t version = publisher.apply(edit("web", {spec("web", "a.com", "/", 2, "i2")}));
  EXPECT(first.retired());
  publisher.when_drained({"i1"}, version, [&] { done = true; });
  EXPECT(!done);
  settle();
  EXPECT(!done);  // two are under way
  first.end();
  control.run();
  EXPECT(!done);
  first.end();
  control.run();
  EXPECT(done);
  EXPECT_EQ(publisher.endpoint_count(), 1u);

  // Nothing under way, but one reactor has not acknowledged: it could still pick.
  done = false;
  const uint64_t next = publisher.apply(edit("web", {}));
  publisher.when_drained({"i2"}, next, [&] { done = true; });
  reactor.run();
  control.run();
  EXPECT(!done);
  slow.table().find_host("a.com")->match("/")->targets()[0]->endpoint()->begin();
  const Endpoint& second = *slow.table().find_host("a.com")->match("/")->targets()[0]->endpoint();
  other.run();
  control.run();
  EXPECT(!done);
  second.end();
  control.run();
  EXPECT(done);
  EXPECT_EQ(publisher.endpoint_count(), 0u);

  // An instance that is not there is drained at the version; one that still has a route is not.
  int calls = 0;
  publisher.when_drained({"never", "i1"}, next, [&] { ++calls; });
  EXPECT_EQ(calls, 0);  // never inside the call
  control.run();
  EXPECT_EQ(calls, 1);
  publisher.apply(edit("web", {spec("web", "a.com", "/", 3, "i3")}));
  publisher.when_drained({"i3"}, next, [&] { ++calls; });
  settle();
  EXPECT_EQ(calls, 1);
  publisher.apply(edit("web", {}));
  settle();
  EXPECT_EQ(calls, 2);
  publisher.remove_reader(reader);
  publisher.remove_reader(slow);
}

TEST_CASE("an instance that is listed but gets nothing is drained, once what is under way ends") {
  FakeLoop control;
  FakeLoop reactor;
  Publisher publisher({}, control.post(), nullptr);
  TableReader& reader = publisher.add_reader(reactor.post());
  const auto settle = [&] {
    reactor.run();
    control.run();
  };
  publisher.apply(edit("web", {spec("web", "a.com", "/", 1, "i1")}));
  settle();
  const Endpoint& endpoint =
      *reader.table().find_host("a.com")->match("/")->targets()[0]->endpoint();
  endpoint.begin();
  const auto listed = [&] {
    RouteSpec marked = spec("web", "a.com", "/", 1, "i1");
    marked.healthy = false;
    return edit("web", {marked});
  };
  int calls = 0;
  const uint64_t version = publisher.apply(listed());
  publisher.when_drained({"i1"}, version, [&] { ++calls; });
  EXPECT(endpoint.retired());
  settle();
  EXPECT_EQ(calls, 0);
  endpoint.end();
  control.run();
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(reader.table().find_host("a.com")->match("/")->all_targets().size(), 1u);

  // Back for a moment: it counts again. Never healthy: it never counts.
  publisher.apply(edit("web", {spec("web", "a.com", "/", 1, "i1")}));
  publisher.when_drained({"i1"}, version, [&] { ++calls; });
  settle();
  EXPECT_EQ(calls, 1);
  publisher.apply(edit("web", {}));
  settle();
  EXPECT_EQ(calls, 2);
  publisher.when_drained({"i1"}, publisher.apply(listed()), [&] { ++calls; });
  settle();
  EXPECT_EQ(calls, 3);
  publisher.apply(edit("web", {}));
  settle();
  EXPECT_EQ(publisher.endpoint_count(), 0u);
  publisher.remove_reader(reader);
}

TEST_CASE("endpoints of ondown=close are told of when they fail, not when they leave or rest") {
  FakeLoop control;
  Publisher publisher({}, control.post(), nullptr);
  std::vector<uint16_t> down;
  publisher.set_on_down([&](const Publisher::Down& endpoints) {
    for (const EndpointRef& each : *endpoints) down.push_back(each->port());
  });
  const auto state = [&](bool closes, bool healthy, bool draining) {
    RouteSpec one = spec("web", "a.com", "/", 1, "i1");
    one.options.close_on_down = closes;
    one.healthy = healthy;
    one.draining = draining;
    return edit("web", {one});
  };
  publisher.apply(state(true, true, false));
  const Endpoint& endpoint =
      *publisher.table().find_host("a.com")->match("/")->targets()[0]->endpoint();
  publisher.apply(state(true, false, false));
  EXPECT_EQ(down.size(), 0u);  // nothing was under way
  publisher.apply(state(true, true, false));
  endpoint.begin();
  publisher.apply(state(true, false, true));
  publisher.apply(state(true, true, false));
  publisher.apply(state(false, false, false));
  publisher.apply(state(true, true, false));
  publisher.apply(edit("web", {}));
  publisher.apply(state(true, true, false));
  // Another route still leads there.
  publisher.apply(edit("too", {spec("too", "b.com", "/", 1, "i1")}));
  publisher.apply(state(true, false, false));
  EXPECT_EQ(down.size(), 0u);
  publisher.apply(edit("too", {}));
  publisher.apply(state(true, true, false));
  publisher.apply(state(true, false, false));
  EXPECT_EQ(down, std::vector<uint16_t>{1});
  endpoint.end();
  publisher.apply(edit("web", {}));
}

TEST_CASE("an endpoint that comes back keeps its counts") {
  FakeLoop control;
  Publisher publisher({}, control.post(), nullptr);
  publisher.apply(edit("web", {spec("web", "a.com", "/", 1, "i1")}));
  const Endpoint* before =
      publisher.table().find_host("a.com")->match("/")->targets()[0]->endpoint();
  before->begin();
  for (int i = 0; i < 5; ++i) before->note_failure(1000);
  publisher.apply(edit("web", {}));
  control.run();
  EXPECT_EQ(publisher.endpoint_count(), 1u);  // one is under way
  publisher.apply(edit("web", {spec("web", "b.com", "/", 1, "i1")}));
  const Endpoint* after =
      publisher.table().find_host("b.com")->match("/")->targets()[0]->endpoint();
  EXPECT(before == after);
  EXPECT(after->ejected(1000));
  EXPECT_EQ(after->outstanding(), 1u);
  after->end();
}

/// A thread with a queue: a reactor, as far as the publisher is concerned.
class ThreadLoop {
 public:
  ThreadLoop() : thread_([this] { run(); }) {}
  ~ThreadLoop() { stop(); }
  Publisher::Post post() {
    return [this](Closure closure) { push(std::move(closure)); };
  }
  void push(Closure closure) {
    {
      const std::lock_guard lock(mutex_);
      queue_.push_back(std::move(closure));
    }
    wake_.notify_one();
  }
  void stop() {
    if (!thread_.joinable()) return;
    push(nullptr);
    thread_.join();
  }

 private:
  void run() {
    for (;;) {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return !queue_.empty(); });
      Closure next = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      if (!next) return;
      next();
    }
  }
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Closure> queue_;
  std::thread thread_;
};

TEST_CASE("real threads: routes change under picks, every instance drains, nothing is left") {
  constexpr int kReactors = 2;
  constexpr int kRounds = 300;
  constexpr uint16_t kPorts = 8;
  std::atomic<int> drained{0};
  std::atomic<uint64_t> picks{0};
  std::atomic<bool> stopping{false};
  // Written before an instance is taken for drained, read by reactors when they pick: a pick of a
  // drained instance is the fault that the protocol must exclude.
  std::array<std::atomic<bool>, 65536> gone{};
  {
    ThreadLoop control;
    std::unique_ptr<Publisher> publisher;
    std::vector<std::unique_ptr<ThreadLoop>> loops;
    std::vector<TableReader*> readers;
    std::promise<void> ready;
    control.push([&] {
      publisher = std::make_unique<Publisher>(PublisherOptions{}, control.post(), nullptr);
      for (int i = 0; i < kReactors; ++i) {
        loops.push_back(std::make_unique<ThreadLoop>());
        readers.push_back(&publisher->add_reader(loops.back()->post()));
      }
      ready.set_value();
    });
    ready.get_future().wait();

    struct Worker {
      ThreadLoop* loop;
      TableReader* reader;
      uint64_t random;
      std::vector<std::pair<const Endpoint*, TableReader::Pin>> under_way;
      std::promise<void> finished;
    };
    std::vector<std::unique_ptr<Worker>> workers;
    std::function<void(Worker&)> turn = [&](Worker& worker) {
      for (int i = 0; i < 20; ++i) {
        worker.random = worker.random * 6364136223846793005u + 1442695040888963407u;
        HostName host;
        REQUIRE(parse_host("a.com", false, host));
        RouteCursor cursor(worker.reader->table(), host, "/");
        const Route* route = cursor.next();
        if (route != nullptr) {
          const Pick picked = pick(*route, {.random = worker.random});
          REQUIRE(picked.outcome == PickOutcome::kPicked);
          picked.target->endpoint()->begin();
          REQUIRE(!gone[picked.target->endpoint()->port()]);
          worker.under_way.emplace_back(picked.target->endpoint(), worker.reader->pin());
          picks.fetch_add(1, std::memory_order_relaxed);
        }
        while (worker.under_way.size() > (worker.random >> 40) % 10) {
          REQUIRE(!gone[worker.under_way.front().first->port()]);
          worker.under_way.front().first->end();
          worker.under_way.erase(worker.under_way.begin());
        }
      }
      if (stopping) {
        for (auto& [endpoint, pin] : worker.under_way) endpoint->end();
        worker.under_way.clear();
        worker.finished.set_value();
        return;
      }
      worker.loop->push([&turn, &worker] { turn(worker); });
    };
    for (int i = 0; i < kReactors; ++i) {
      workers.push_back(std::make_unique<Worker>(loops[i].get(), readers[i], i + 1));
      Worker& worker = *workers.back();
      worker.loop->push([&turn, &worker] { turn(worker); });
    }

    // Each round replaces one instance by one on a fresh port, and waits for nothing.
    std::promise<void> all_drained;
    std::deque<uint16_t> ports;
    uint16_t next_port = 1000;
    std::function<void(int)> change = [&](int round) {
      if (round == 1 && picks == 0) {  // a loaded machine would run all rounds before any pick
        control.push([&change] { change(1); });
        return;
      }
      std::vector<std::string> leaving;
      if (ports.size() >= kPorts || round >= kRounds) {
        leaving.push_back(std::to_string(ports.front()));
        ports.pop_front();
      }
      if (round < kRounds) ports.push_back(next_port++);
      std::vector<RouteSpec> specs;
      for (const uint16_t port : ports) {
        specs.push_back(spec("web", "a.com", "/", port, std::to_string(port)));
      }
      const uint64_t version = publisher->apply(edit("web", std::move(specs)));
      for (const std::string& id : leaving) {
        publisher->when_drained({id}, version, [&, id] {
          gone[static_cast<size_t>(std::stoi(id))] = true;
          if (++drained == kRounds) all_drained.set_value();
        });
      }
      if (round >= kRounds && ports.empty()) return;
      control.push([&change, round] { change(round + 1); });
    };
    control.push([&change] { change(0); });
    all_drained.get_future().wait();
    stopping = true;
    for (auto& worker : workers) worker->finished.get_future().wait();
    for (auto& loop : loops) loop->stop();
    std::promise<void> closed;
    control.push([&] {
      for (TableReader* reader : readers) publisher->remove_reader(*reader);
      control.push([&] {
        EXPECT_EQ(publisher->tables_held(), 1u);
        EXPECT_EQ(publisher->endpoint_count(), 0u);
        publisher.reset();
        closed.set_value();
      });
    });
    closed.get_future().wait();
    control.stop();
  }
  EXPECT_EQ(drained.load(), kRounds);
  EXPECT(picks.load() > 0);
}

}  // namespace
}  // namespace sluice::proxy
