#include "test/sim/sim_network.h"

#include <algorithm>
#include <deque>
#include <utility>

namespace sluice::sim {

/// One direction of a connection.
struct SimNetwork::Pipe {
  explicit Pipe(Executor& executor) : news(executor) {}
  std::string bytes;
  bool ended = false;   // no byte comes any more
  bool broken = false;  // nobody reads
  Event news;
};

class SimNetwork::SimStream final : public Stream {
 public:
  SimStream(SimNetwork& network, std::shared_ptr<Pipe> in, std::shared_ptr<Pipe> out, Address peer)
      : network_(network), in_(std::move(in)), out_(std::move(out)), peer_(std::move(peer)) {}
  ~SimStream() override {
    in_->broken = true;
    out_->ended = true;
    out_->news.pulse();
  }

  Task<Result<size_t>> read(std::span<char> into) override {
    while (in_->bytes.empty() && !in_->ended) co_await in_->news.wait();
    if (in_->bytes.empty()) co_return size_t{0};
    const size_t most = std::min(into.size(), in_->bytes.size());
    const size_t count = 1 + network_.random_.below(most);
    std::copy_n(in_->bytes.begin(), count, into.begin());
    in_->bytes.erase(0, count);
    co_return count;
  }
  Task<Result<void>> write(std::string_view bytes) override {
    std::string kept(bytes);
    co_await sleep_for(network_.executor_, network_.delay_ms());
    if (out_->broken || out_->ended) co_return fail(Code::kClosed, "the peer has closed");
    out_->bytes += kept;
    out_->news.pulse();
    co_return Result<void>();
  }
  Result<void> shutdown_write() override {
    out_->ended = true;
    out_->news.pulse();
    return {};
  }
  Address peer() const override { return peer_; }

 private:
  SimNetwork& network_;
  std::shared_ptr<Pipe> in_, out_;
  Address peer_;
};

class SimNetwork::SimListener final : public Listener {
 public:
  SimListener(SimNetwork& network, Address at)
      : network_(network), at_(std::move(at)), news_(network.executor_) {}
  ~SimListener() override { network_.listeners_.erase(to_string(at_)); }

  Task<Result<std::unique_ptr<Stream>>> accept() override {
    while (waiting_.empty()) co_await news_.wait();
    std::unique_ptr<Stream> stream = std::move(waiting_.front());
    waiting_.pop_front();
    co_return stream;
  }
  Address local() const override { return at_; }
  void add(std::unique_ptr<Stream> stream) {
    waiting_.push_back(std::move(stream));
    news_.pulse();
  }

 private:
  SimNetwork& network_;
  Address at_;
  Event news_;
  std::deque<std::unique_ptr<Stream>> waiting_;
};

Task<Result<std::unique_ptr<Stream>>> SimNetwork::connect(Address to, int64_t) {
  co_await sleep_for(executor_, delay_ms());
  const auto found = listeners_.find(to_string(to));
  if (found == listeners_.end()) {
    co_return fail(Code::kUnavailable, "connect {}: connection refused", to_string(to));
  }
  auto there = std::make_shared<Pipe>(executor_);
  auto back = std::make_shared<Pipe>(executor_);
  found->second->add(std::make_unique<SimStream>(*this, there, back, Address{.ip = "10.0.0.99"}));
  co_return std::make_unique<SimStream>(*this, back, there, to);
}

Result<std::unique_ptr<Listener>> SimNetwork::listen(const Address& at) {
  const std::string name = to_string(at);
  if (listeners_.contains(name)) return fail(Code::kConflict, "{} is in use", name);
  auto listener = std::make_unique<SimListener>(*this, at);
  listeners_[name] = listener.get();
  return listener;
}

}  // namespace sluice::sim
