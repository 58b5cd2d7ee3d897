#include "core/dns.h"

#include <ares.h>
#include <arpa/inet.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <uv.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <utility>

#include "core/ascii.h"
#include "core/check.h"
#include "core/scope.h"

namespace sluice {

namespace {

constexpr const char* kResolvConf = "/etc/resolv.conf";
constexpr size_t kNameBytes = 253;         // RFC 1035, 2.3.4, without the root's label
constexpr int64_t kLongestWaitMs = 1'000;  // between two looks at what has timed out

/// Letters, digits, hyphens, and the underscores of service names. What is none is not asked of a
/// server.
bool is_host_name(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.empty() || name.size() > kNameBytes) return false;
  size_t label = 0;
  for (const char c : name) {
    const bool good = ascii::is_alphanumeric(c) || c == '-' || c == '_';
    if (c == '.' ? label == 0 : !good || label == 63) return false;
    label = c == '.' ? 0 : label + 1;
  }
  return label > 0;
}

Error error_of(const std::string& name, int status) {
  switch (status) {
    case ARES_ENOTFOUND: return {Code::kNotFound, fmt::format("{}: there is no such name", name)};
    case ARES_ENODATA: return {Code::kNotFound, fmt::format("{}: it has no address", name)};
    case ARES_ETIMEOUT: return {Code::kTimeout, fmt::format("{}: no server answered", name)};
    default: return {Code::kUnavailable, fmt::format("{}: {}", name, ares_strerror(status))};
  }
}

std::string ip_of(const sockaddr& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* ip = nullptr;
  if (address.sa_family == AF_INET) ip = &reinterpret_cast<const sockaddr_in&>(address).sin_addr;
  if (address.sa_family == AF_INET6) {
    ip = &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
  }
  if (ip == nullptr || inet_ntop(address.sa_family, ip, text.data(), text.size()) == nullptr) {
    return {};
  }
  return text.data();
}

/// In the order of families and then of bytes, so that the same answer reads the same each time.
HostAddresses read_answer(const ares_addrinfo& found, size_t most) {
  HostAddresses out;
  std::optional<int> ttl;
  for (const auto* each = found.cnames; each != nullptr; each = each->next) {
    ttl = std::min(ttl.value_or(each->ttl), each->ttl);
  }
  for (const auto* each = found.nodes; each != nullptr; each = each->ai_next) {
    ttl = std::min(ttl.value_or(each->ai_ttl), each->ai_ttl);
    std::string ip = ip_of(*each->ai_addr);
    if (!ip.empty()) out.ips.push_back(std::move(ip));
  }
  std::ranges::sort(out.ips, [](const std::string& a, const std::string& b) {
    const bool v6 = a.find(':') != std::string::npos;
    return v6 != (b.find(':') != std::string::npos) ? !v6 : a < b;
  });
  out.ips.erase(std::unique(out.ips.begin(), out.ips.end()), out.ips.end());
  if (out.ips.size() > most) out.ips.resize(most);
  out.ttl_ms = int64_t{std::max(ttl.value_or(0), 0)} * 1'000;
  return out;
}

/// What identifies a version of a file; zeros: it is not there.
struct FileMark {
  int64_t seconds = 0;
  int64_t nanoseconds = 0;
  uint64_t inode = 0;
  bool operator==(const FileMark&) const = default;

  static FileMark of(const char* path) {
    struct stat status{};
    if (::stat(path, &status) != 0) return {};
    return {status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ino};
  }
};

}  // namespace

/// c-ares' channel and what it waits for.
struct DnsLookup::Channel {
  /// Shared with the callback: the task may be gone before it.
  struct Asked {
    explicit Asked(Executor& executor) : done(executor) {}
    Event done;
    std::string name;
    std::optional<Result<HostAddresses>> result;
    Channel* channel = nullptr;
  };
  struct Watched {
    uv_poll_t poll;
    Channel* channel;
    ares_socket_t fd;
  };

  Channel(UvLoop& on, DnsOptions with) : loop(on), options(std::move(with)) {}
  ~Channel() { close(); }

  Result<void> open();
  void close();
  Result<void> reopen_if_changed();
  void ask(std::shared_ptr<Asked> asked);
  void watch(ares_socket_t fd, bool readable, bool writable);
  void arm_timer();
  void process(ares_socket_t readable, ares_socket_t writable);

  UvLoop& loop;
  const DnsOptions options;
  ares_channel ares = nullptr;
  FileMark configured;
  std::map<ares_socket_t, Watched*> sockets;
  Executor::Ticket timer = Executor::Ticket::kNone;
  size_t asking = 0;
};

Result<void> DnsLookup::Channel::open() {
  ares_options wanted{};
  wanted.timeout = options.timeout_ms;
  wanted.tries = options.tries;
  wanted.sock_state_cb = [](void* self, ares_socket_t fd, int readable, int writable) {
    static_cast<Channel*>(self)->watch(fd, readable != 0, writable != 0);
  };
  wanted.sock_state_cb_data = this;
  configured = FileMark::of(kResolvConf);
  const int opened = ares_init_options(
      &ares, &wanted, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
  if (opened != ARES_SUCCESS) {
    ares = nullptr;
    return fail(Code::kUnavailable, "DNS: {}", ares_strerror(opened));
  }
  if (options.servers.empty()) return {};
  const int set = ares_set_servers_ports_csv(ares, options.servers.c_str());
  if (set == ARES_SUCCESS) return {};
  return fail(Code::kInvalid, "DNS servers {:?}: want addresses, perhaps with ports, by commas",
              options.servers);
}

void DnsLookup::Channel::close() {
  loop.cancel(std::exchange(timer, Executor::Ticket::kNone));
  if (ares != nullptr) ares_destroy(std::exchange(ares, nullptr));
  CHECK(sockets.empty());
}

/// c-ares reads its settings once. Not while it asks: the answers would be lost.
Result<void> DnsLookup::Channel::reopen_if_changed() {
  if (ares != nullptr && (asking > 0 || FileMark::of(kResolvConf) == configured)) return {};
  close();
  return open();
}

void DnsLookup::Channel::ask(std::shared_ptr<Asked> asked) {
  const ares_addrinfo_hints hints{
      .ai_flags = ARES_AI_NOSORT, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
  asked->channel = this;
  const std::string name = asked->name;
  ++asking;
  ares_getaddrinfo(
      ares, name.c_str(), nullptr, &hints,
      [](void* argument, int status, int, ares_addrinfo* found) {
        const std::unique_ptr<std::shared_ptr<Asked>> owned(
            static_cast<std::shared_ptr<Asked>*>(argument));
        Asked& mine = **owned;
        --mine.channel->asking;
        if (status == ARES_SUCCESS) {
          mine.result = read_answer(*found, mine.channel->options.addresses);
          if ((*mine.result)->ips.empty()) {
            mine.result = std::unexpected(error_of(mine.name, ARES_ENODATA));
          }
        } else {
          mine.result = std::unexpected(error_of(mine.name, status));
        }
        if (found != nullptr) ares_freeaddrinfo(found);
        mine.done.set();
      },
      new std::shared_ptr<Asked>(std::move(asked)));
  arm_timer();
}

void DnsLookup::Channel::watch(ares_socket_t fd, bool readable, bool writable) {
  const auto found = sockets.find(fd);
  if (!readable && !writable) {
    if (found == sockets.end()) return;
    Watched* gone = found->second;
    sockets.erase(found);
    uv_poll_stop(&gone->poll);  // at once: c-ares closes the socket when this returns
    uv_close(reinterpret_cast<uv_handle_t*>(&gone->poll),
             [](uv_handle_t* handle) { delete static_cast<Watched*>(handle->data); });
    return;
  }
  Watched* watched = nullptr;
  if (found == sockets.end()) {
    watched = new Watched{{}, this, fd};
    CHECK(uv_poll_init_socket(loop.raw(), &watched->poll, fd) == 0);
    watched->poll.data = watched;
    sockets.emplace(fd, watched);
  } else {
    watched = found->second;
  }
  const int events = (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0);
  CHECK(uv_poll_start(&watched->poll, events, [](uv_poll_t* poll, int status, int seen) {
          auto* on = static_cast<Watched*>(poll->data);
          // An error is c-ares' to read off the socket.
          if (status < 0) seen = UV_READABLE | UV_WRITABLE;
          // Last: it may close this very socket.
          on->channel->process((seen & UV_READABLE) != 0 ? on->fd : ARES_SOCKET_BAD,
                               (seen & UV_WRITABLE) != 0 ? on->fd : ARES_SOCKET_BAD);
        }) == 0);
}

void DnsLookup::Channel::process(ares_socket_t readable, ares_socket_t writable) {
  ares_process_fd(ares, readable, writable);
  arm_timer();
}

void DnsLookup::Channel::arm_timer() {
  loop.cancel(std::exchange(timer, Executor::Ticket::kNone));
  if (asking == 0) return;
  timeval longest{.tv_sec = kLongestWaitMs / 1'000, .tv_usec = 0};
  timeval room{};
  const timeval* next = ares_timeout(ares, &longest, &room);
  const int64_t wait_ms = int64_t{next->tv_sec} * 1'000 + next->tv_usec / 1'000 + 1;
  timer = loop.post_after(wait_ms, [this] {
    timer = Executor::Ticket::kNone;
    process(ARES_SOCKET_BAD, ARES_SOCKET_BAD);
  });
}

Result<std::unique_ptr<DnsLookup>> DnsLookup::open(UvLoop& loop, DnsOptions options) {
  static const int initialised = ares_library_init(ARES_LIB_INIT_ALL);
  if (initialised != ARES_SUCCESS) {
    return fail(Code::kUnavailable, "DNS: {}", ares_strerror(initialised));
  }
  auto channel = std::make_unique<Channel>(loop, std::move(options));
  Result<void> opened = channel->open();
  if (!opened) return pass(opened);
  return std::unique_ptr<DnsLookup>(new DnsLookup(std::move(channel)));
}

DnsLookup::DnsLookup(std::unique_ptr<Channel> channel) : channel_(std::move(channel)) {}
DnsLookup::~DnsLookup() = default;

Task<Result<HostAddresses>> DnsLookup::look_up(std::string name) {
  if (!is_host_name(name)) co_return fail(Code::kInvalid, "{:?} can be no host name", name);
  Result<void> ready = channel_->reopen_if_changed();
  if (!ready) co_return pass(ready);
  auto asked = std::make_shared<Channel::Asked>(channel_->loop);
  asked->name = std::move(name);
  channel_->ask(asked);
  co_await asked->done.wait();
  co_return std::move(*asked->result);
}

}  // namespace sluice
