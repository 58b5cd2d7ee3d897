// Worker: the data plane of one reactor: its connections, its idle upstream connections, its
// counters.
//
// Owner: Proxy, one a reactor. Thread: the reactor's, but for construction. Limits: WorkerOptions.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/gzip.h"
#include "core/http1.h"
#include "core/reactor.h"
#include "core/regex.h"
#include "core/slab.h"
#include "core/tls/context.h"
#include "proxy/access_record.h"
#include "proxy/address_ranges.h"
#include "proxy/aside.h"
#include "proxy/auth_gate.h"
#include "proxy/explain.h"
#include "proxy/headers.h"
#include "proxy/http1_client.h"
#include "proxy/http1_upstream.h"
#include "proxy/listen_spec.h"
#include "proxy/pool.h"
#include "proxy/preface.h"
#include "proxy/retry_budget.h"
#include "proxy/router.h"
#include "proxy/service_stats.h"
#include "proxy/splice.h"
#include "proxy/traffic_limits.h"
#include "proxy/tunnel.h"
#include "proxy/wait_queue.h"

namespace sluice {
class Log;
}

namespace sluice::proxy {

struct Timeouts {
  int64_t handshake_ms = 10'000;   // TLS, of a client and of an upstream
  int64_t head_ms = 10'000;        // from a request's first byte to its head's last
  int64_t keep_alive_ms = 60'000;  // between requests
  int64_t connect_ms = 2'000;
  int64_t response_ms = 60'000;  // from the request's end to the response's head, and between bytes
  int64_t client_ms = 60'000;    // between bytes of an upload
  int64_t client_write_ms = 60'000;  // between bytes of a response that the client takes
  int64_t linger_ms = 5'000;         // after a last answer, for the client to read it
  int64_t abandoned_ms = 3'000;      // a client that ended its direction, while it is sent nothing
  int64_t pooled_ms = 30'000;        // an idle upstream connection
  int64_t queue_ms = 10'000;         // for an endpoint at its connection limit
  int64_t wake_ms = 60'000;          // for the first instance of a service that sleeps
  int64_t half_closed_ms = 30'000;
  int64_t tunnel_ms = 3'600'000;
};

/// What the process shares and each worker looks at; each may be null. They outlive the proxy.
struct SharedGuards {
  AuthRegistry* auth = nullptr;
  AddressLimits* addresses = nullptr;
  std::array<uint64_t, 2> secret{};  // of this process: cache keys, request ids
};

struct WorkerOptions {
  http1::Limits head;
  Timeouts timeouts;
  uint32_t max_clients = 100'000;  // a reactor
  uint32_t max_upstreams = 100'000;
  uint32_t max_tunnels = 100'000;
  uint32_t max_pipes = 1024;
  uint32_t kept_pipes = 64;
  uint32_t pooled_an_endpoint = 1024;
  std::vector<int64_t> time_bounds_ms;  // of the histograms, rising
  uint64_t max_body_bytes = 0;          // of a request; 0: any. Beyond it: 413
  HeaderPolicy headers;
  const Regex* gzip_types = nullptr;  // of Content-Type; null: nothing is compressed
  SharedGuards guards;
  std::vector<AddressRange> trusted;            // peers whose forwarding headers are believed
  const AccessFormat* access_format = nullptr;  // both or neither; they outlive the proxy
  LineWriter* access_writer = nullptr;
  std::shared_ptr<const tls::ClientContext> upstream_tls;  // for endpoints that speak https
  tls::Signer* signer = nullptr;  // Proxy's; nullptr: RSA signatures are made in place
  Log* log = nullptr;  // for upstreams whose TLS is wrong or that are ejected; outlives the proxy
};

/// What a listener's connections share.
struct ListenerInfo {
  ListenProtocol protocol = ListenProtocol::kHttp;
  uint16_t port = 0;
  std::string port_text;
  bool tls = false;    // ended here
  uint32_t index = 0;  // of a listener with TLS
  bool proxy_protocol = false;
  int64_t proxy_timeout_ms = 250;
  Timeouts timeouts;    // with rt, wt and it of this listener
  int64_t read_ms = 0;  // rt and wt of a tunnel: 0 is no limit but the idle one
  int64_t write_ms = 0;

  bool reads_hello() const {
    return protocol == ListenProtocol::kTcpSni || protocol == ListenProtocol::kHttpsTcpSni;
  }
  bool has_preface() const { return proxy_protocol || reads_hello(); }
};

/// Written by the reactor alone; read by others through a message.
struct Counters {
  uint64_t connections = 0;
  uint64_t requests = 0;
  uint64_t upstream_connections = 0;
  uint64_t upstream_reused = 0;
  uint64_t answers = 0;       // of our own
  uint64_t tls_failures = 0;  // of upstreams
  uint64_t limited = 0;       // connections that an address had too many of
  uint64_t retries = 0;
  uint64_t ejections = 0;

  void add(const Counters& other) {
    connections += other.connections;
    requests += other.requests;
    upstream_connections += other.upstream_connections;
    upstream_reused += other.upstream_reused;
    answers += other.answers;
    tls_failures += other.tls_failures;
    limited += other.limited;
    retries += other.retries;
    ejections += other.ejections;
  }
};

/// What a drain does to connections between two requests.
enum class IdleClients : uint8_t {
  kClose,  // now
  kKeep,   // after one request more, or at their idle timeout: a client that just sends one would
           // get nothing
};

/// Not valid for an endpoint that has a name in place of an address.
SocketAddress address_of(const Endpoint& endpoint);

class Worker {
 public:
  Worker(Reactor& reactor, const WorkerOptions& options, Router& router);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker();

  /// A listener's certificates and rules from now on; connections that are open keep theirs.
  void set_tls(uint32_t listener, std::shared_ptr<const tls::ServerContext> context);
  void accept(Socket socket, const SocketAddress& peer, const ListenerInfo& listener);
  /// After a preface: takes the socket and copies the bytes that came; closes where nothing is to
  /// be had.
  void begin(Channel& channel, std::string_view bytes, const SocketAddress& peer,
             const ListenerInfo& listener);

  RouteDecision route(const RouteQuery& query) { return router_.route(query); }

  RouteDecision route_stream(const StreamQuery& query) { return router_.route_stream(query); }
  Explained explain(const ExplainRequest& request);

  struct Opened {
    UpstreamStream* stream = nullptr;
    bool ready = false;  // else Forward is told
    bool fresh = false;  // not of the pool
  };
  /// How the connection may be had.
  enum class Reuse : uint8_t {
    kAny,
    kChecked,  // an idle one only if the upstream has not just closed it
    kNone,
  };
  /// stream is nullptr if no connection could be started.
  Opened open_upstream(const Endpoint& endpoint, Forward& forward, Reuse reuse);
  /// A gateway error of the endpoint's.
  void note_failure(const Endpoint& endpoint);

  Reactor& reactor() { return reactor_; }
  const WorkerOptions& options() const { return options_; }
  Pool& pool() { return pool_; }
  const Pool& pool() const { return pool_; }
  Counters& counters() { return counters_; }
  const Counters& counters() const { return counters_; }
  ServiceStats& services() { return services_; }
  const ServiceStats& services() const { return services_; }
  /// Heads are parsed here and used up within the turn.
  http1::Head& scratch_head() { return scratch_head_; }
  void free(Http1Client& client);
  void free(Http1Upstream& upstream) { upstreams_.free(&upstream); }
  void free(Tunnel& tunnel);
  /// For an exchange; nullptr at the limit.
  Forward* make_forward(ClientStream& client) { return forwards_.make(*this, client); }
  /// Its exchange is over: freed at the end of the turn.
  void retire(Forward& forward) { reactor_.reap(forward); }
  void free(Forward& forward) { forwards_.free(&forward); }
  Aside& make_aside(Forward& forward);
  void free(Aside& aside) { asides_.free(&aside); }
  GzipPool& gzip_pool() { return gzip_pool_; }
  WaitQueue& waiters() { return waiters_; }
  RetryBudget& retry_budget() { return retry_budget_; }
  /// nullptr: there are no auth schemes.
  AuthGate* auth() { return auth_.get(); }
  TableReader::Pin pin() { return router_.pin(); }
  /// False: the address sends more than it may.
  bool admit_request(const SocketAddress& peer) {
    AddressLimits* limits = options_.guards.addresses;
    return limits == nullptr || limits->request(hash_address(peer), reactor_.now_ms());
  }
  static constexpr size_t kRequestIdBytes = 36;
  /// 0 is none.
  uint64_t next_request_number() { return ++request_number_; }
  /// A UUID (RFC 9562 5.4) that no other request of any process has.
  void write_request_id(uint64_t number, char* out) const;
  /// For an upgraded connection; nullptr at the limit.
  Tunnel* make_tunnel();
  void free(Preface& preface) {
    prefaces_.free(&preface);
    note_gone();
  }
  ClientHelloReader::Scratch& hello_scratch() { return hello_scratch_; }
  PipePool& pipes() { return pipes_; }
  AccessRecorder& access() { return access_; }
  void note_route(AccessRecord* record, const http1::Head* head, const RouteDecision& decision) {
    access_.note_route(record, head, decision, router_.pin());
  }
  void note_tls_failure(const Endpoint& endpoint, const char* reason);
  bool draining() const { return draining_; }
  size_t client_count() const { return clients_.used(); }
  size_t tunnel_count() const { return tunnels_.used(); }
  /// Connections close after their exchange. `drained` is called once none is left.
  void drain(IdleClients idle, std::function<void()> drained);
  /// Resets the tunnels that lead to one of these.
  void close_tunnels(std::span<const EndpointRef> to);
  /// Closes what is left.
  void close_all();

  /// The body for requests without a route; null or empty: our own.
  void set_no_route_page(std::shared_ptr<const std::string> html) {
    no_route_page_ = std::move(html);
  }
  std::string_view no_route_page() const {
    return no_route_page_ ? std::string_view(*no_route_page_) : std::string_view();
  }

  IntrusiveList<Http1Client, &Http1Client::all_node>& clients() { return client_list_; }

 private:
  void start_tunnel(Socket socket, const SocketAddress& peer, const ListenerInfo& listener);
  void start_client(Channel& channel, std::string_view bytes, const SocketAddress& peer,
                    const ListenerInfo& listener);
  /// False: the address has as many connections as it may.
  bool take_place(const SocketAddress& peer, const ListenerInfo& listener);
  void leave_place(const SocketAddress& peer);
  /// nullptr: no memory.
  std::unique_ptr<tls::Session> new_session(const ListenerInfo& listener);
  void note_gone() {
    if (!draining_ || !drained_) return;
    if (clients_.used() == 0 && tunnels_.used() == 0 && prefaces_.used() == 0) drained_();
  }

  Reactor& reactor_;
  const WorkerOptions& options_;
  Router& router_;
  Slab<Http1Client> clients_;
  Slab<Http1Upstream> upstreams_;
  Slab<Tunnel> tunnels_;
  Slab<Preface> prefaces_;
  IntrusiveList<Http1Client, &Http1Client::all_node> client_list_;
  IntrusiveList<Tunnel, &Tunnel::all_node> tunnel_list_;
  IntrusiveList<Preface, &Preface::all_node> preface_list_;
  ClientHelloReader::Scratch hello_scratch_;
  PipePool pipes_;
  AccessRecorder access_;
  Pool pool_;
  Slab<Forward> forwards_;
  Slab<Aside> asides_;
  WaitQueue waiters_;
  RetryBudget retry_budget_;
  GzipPool gzip_pool_;
  std::unique_ptr<AuthGate> auth_;
  uint64_t request_number_;
  Counters counters_;
  ServiceStats services_;
  http1::Head scratch_head_;
  std::shared_ptr<const std::string> no_route_page_;
  std::function<void()> drained_;
  std::vector<std::shared_ptr<const tls::ServerContext>> tls_;  // by listener
  int64_t tls_failure_logged_ms_ = 0;
  bool draining_ = false;
};

}  // namespace sluice::proxy
