#include "drivers/embedded/dns_server.h"

#include <utility>

namespace sluice::drivers {

namespace {

constexpr int64_t kPauseMs = 100;   // after a failure of the socket itself
constexpr size_t kLengthBytes = 2;  // before each message on TCP

/// Where the first message ends, as far as one knows.
size_t message_end(std::string_view unread) {
  if (unread.size() < kLengthBytes) return kLengthBytes;
  const auto byte = [&](size_t at) { return static_cast<unsigned char>(unread[at]); };
  return kLengthBytes + static_cast<size_t>(byte(0) << 8 | byte(1));
}

}  // namespace

DnsServer::DnsServer(Env env, std::unique_ptr<Datagrams> datagrams,
                     std::unique_ptr<Listener> listener, const CatalogTable& table, ReadNode node,
                     DnsServerOptions options)
    : env_(env),
      datagrams_(std::move(datagrams)),
      listener_(std::move(listener)),
      table_(table),
      node_(std::move(node)),
      options_(options),
      slot_free_(env.executor),
      connections_(env.executor) {}

std::string DnsServer::reply_to(std::string_view packet, bool tcp) {
  const std::optional<DnsRequest> request = parse_dns_request(packet);
  if (!request) return "";
  const DnsZone zone{.table = table_,
                     .node = node_,
                     .serial = static_cast<uint32_t>(env_.executor.wall_ns() / 1'000'000'000)};
  const DnsReply reply = answer_dns(*request, zone, env_.random);
  return write_dns_reply(*request, reply, tcp ? kDnsTcpBytes : request->udp_bytes);
}

Task<void> DnsServer::run_udp() {
  for (;;) {
    const Result<Datagram> datagram = co_await datagrams_->receive(kDnsRequestBytes);
    if (!datagram) {
      co_await sleep_for(env_.executor, kPauseMs);
      continue;
    }
    const std::string reply = reply_to(datagram->bytes, false);
    if (!reply.empty()) (void)datagrams_->send(reply, datagram->from);
  }
}

Task<void> DnsServer::run_tcp() {
  for (;;) {
    while (connections_.running() >= options_.connections) co_await slot_free_.wait();
    Result<std::unique_ptr<Stream>> stream = co_await listener_->accept();
    if (stream) {
      connections_.spawn(serve(std::move(*stream)));
    } else {
      co_await sleep_for(env_.executor, kPauseMs);
    }
  }
}

/// False at the client's end, or where it sends what is no request.
Task<Result<bool>> DnsServer::serve_one(Stream& stream, std::string& unread) {
  size_t wanted = message_end(unread);
  while (unread.size() < wanted) {
    if (wanted > kLengthBytes + kDnsRequestBytes) co_return false;
    char piece[kDnsRequestBytes];
    const Result<size_t> count = co_await stream.read(piece);
    if (!count || *count == 0) co_return false;
    unread.append(piece, *count);
    wanted = message_end(unread);
  }
  const std::string reply =
      reply_to(std::string_view(unread).substr(kLengthBytes, wanted - kLengthBytes), true);
  unread.erase(0, wanted);
  if (reply.empty()) co_return false;
  const char length[] = {static_cast<char>(reply.size() >> 8), static_cast<char>(reply.size())};
  const Result<void> sent = co_await stream.write(std::string(length, kLengthBytes) + reply);
  co_return sent.has_value();
}

Task<void> DnsServer::serve(std::unique_ptr<Stream> stream) {
  {
    const std::unique_ptr<Stream> held = std::move(stream);
    std::string unread;
    for (;;) {
      const Result<bool> served =
          co_await with_timeout(env_.executor, options_.idle_timeout_ms, serve_one(*held, unread));
      if (!served || !*served) break;
    }
  }
  slot_free_.pulse();
}

}  // namespace sluice::drivers
