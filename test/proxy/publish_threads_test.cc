// The publisher with real threads for reactors.
#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "proxy/pick.h"
#include "test/proxy/publishing.h"
#include "test/test.h"

namespace sluice::proxy::test {
namespace {

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
}  // namespace sluice::proxy::test
