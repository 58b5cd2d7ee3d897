#include "proxy/explain.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/json.h"
#include "proxy/host_path.h"

namespace sluice::proxy {

namespace {

constexpr size_t kShownRoutes = 200;  // of the whole answer; a host may have thousands
constexpr size_t kUrlBytes = 8 * 1024;

bool is_text(std::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

std::string_view name_of(Matcher matcher) {
  switch (matcher) {
    case Matcher::kDefault:
    case Matcher::kPrefix: return "prefix";
    case Matcher::kIprefix: return "iprefix";
    case Matcher::kGlob: return "glob";
    case Matcher::kSegment: return "segment";
    case Matcher::kRegex: return "regex";
  }
  return "?";
}

std::string_view name_of(Strategy strategy) {
  switch (strategy) {
    case Strategy::kRandom: return "rnd";
    case Strategy::kRoundRobin: return "rr";
    case Strategy::kDefault:
    case Strategy::kLeastConnections: return "leastconn";
    case Strategy::kHash: return "hash";
  }
  return "?";
}

class Explanation {
 public:
  Explanation(JsonWriter& json, const Explained& said) : json_(json), said_(said) {}

  void hosts(const RouteTable& table, const HostName& host, std::string_view path) {
    const RouteCursor::Hosts found = RouteCursor::matching_hosts(table, host);
    json_.key("hosts").begin_array();
    for (size_t i = 0; i < found.count; ++i) json_.value(found.hosts[i]->pattern());
    if (found.fallback != nullptr) json_.value("");
    json_.end_array();
    json_.key("candidates").begin_array();
    for (size_t i = 0; i < found.count; ++i) walk(*found.hosts[i], path);
    if (found.fallback != nullptr) walk(*found.fallback, path);
    json_.end_array();
  }

  void one(std::string_view pattern, const Route* route) {
    json_.key("candidates").begin_array();
    if (route != nullptr) candidate(pattern, *route, true);
    json_.end_array();
  }

 private:
  void walk(const Host& host, std::string_view path) {
    const Route* match = host.match(path);
    bool past = false;
    host.for_each_route([&](const Route& route) {
      if (shown_ >= kShownRoutes) return false;
      if (done_ || past) {
        put(host.pattern(), route, "not reached", done_ ? "" : "a longer path of the host matches");
      } else if (&route != match) {
        put(host.pattern(), route, "passed over",
            route.matcher() == Matcher::kPrefix ? "the path does not begin with it"
                                                : "the path does not match it");
      } else {
        past = true;
        candidate(host.pattern(), route, false);
      }
      return true;
    });
  }

  static std::string_view why_none(const Route& route) {
    const RouteExtra* extra = route.extra();
    if (extra != nullptr && extra->limits && extra->limits->options().wakes) {
      return "no instance of it runs; a request starts one, and waits for it";
    }
    const bool healthy = std::ranges::any_of(route.all_targets(), &Target::healthy);
    return healthy ? "no host name of it has a known address" : "no instance of it is healthy";
  }

  bool leads_there(const Route& route) const {
    if (said_.endpoint.empty() && said_.location.empty()) return true;
    return std::ranges::any_of(route.targets(), [&](const Target* target) {
      return said_.location.empty() ? target->destination() == said_.endpoint
                                    : target->endpoint() == nullptr;
    });
  }

  /// A route that matches.
  void candidate(std::string_view pattern, const Route& route, bool stream) {
    if (!leads_there(route) || said_.no_route) {
      const bool redirect = std::ranges::any_of(
          route.targets(), [](const Target* target) { return target->endpoint() == nullptr; });
      put(pattern, route, "passed over",
          stream     ? "its targets do not speak what such a connection brings"
          : redirect ? "it would redirect to where the request already is"
                     : "its targets are for connections, not for requests");
      return;
    }
    done_ = true;
    begin(pattern, route, "taken", route.targets().empty() ? why_none(route) : "");
    json_.member("strategy", name_of(route.strategy())).key("targets").begin_array();
    bool picked = false;
    const auto targets = route.all_targets();
    for (size_t i = 0; i < targets.size(); ++i) target(route, *targets[i], i, picked);
    json_.end_array().end_object();
  }

  void target(const Route& route, const Target& target, size_t index, bool& picked) {
    std::string state = "could be picked";
    const Endpoint* endpoint = target.endpoint();
    const bool live = index < route.targets().size();
    const std::string address = endpoint == nullptr ? "" : endpoint->address();
    if (target.options().limits.wakes) {
      state = "asleep";
    } else if (!target.healthy()) {
      state = "passed over: not healthy";
    } else if (!target.resolved()) {
      state = "passed over: its host name has no known address";
    } else if (!live) {
      state = "passed over: it stands behind an equal one";
    } else if (endpoint != nullptr && endpoint->ejected(said_.now_ms)) {
      state = "passed over: it failed and rests";
    } else if (!picked && said_.refuse == 0 && target.destination() == said_.endpoint &&
               address == said_.address && target.service() == said_.service) {
      state = "picked";
      picked = true;
    } else if (said_.refuse == 403) {
      state = "refused: its allow or deny";
    }
    json_.begin_object()
        .member("service", target.service())
        .member("dst", target.destination())
        .member("address", address)
        .member("opts", target.options().text)
        .member("weight", route.weight(index))
        .member("outstanding", endpoint == nullptr ? 0U : endpoint->outstanding())
        .member("state", state)
        .end_object();
  }

  void begin(std::string_view pattern, const Route& route, std::string_view verdict,
             std::string_view reason) {
    ++shown_;
    json_.begin_object()
        .member("src", fmt::format("{}{}", pattern, route.path()))
        .member("matcher", name_of(route.matcher()))
        .member("verdict", verdict)
        .member("reason", reason);
  }
  void put(std::string_view pattern, const Route& route, std::string_view verdict,
           std::string_view reason) {
    begin(pattern, route, verdict, reason);
    json_.end_object();
  }

  JsonWriter& json_;
  const Explained& said_;
  size_t shown_ = 0;
  bool done_ = false;
};

}  // namespace

Result<ExplainRequest> parse_explain(std::string_view url, std::string_view method,
                                     const std::vector<std::string>& headers,
                                     std::string_view client) {
  ExplainRequest request;
  if (url.size() > kUrlBytes || !is_text(url) || url.find(' ') != std::string_view::npos) {
    return fail(Code::kInvalid, "the URL is too long, or holds a blank or a control character");
  }
  const size_t colon = url.find("://");
  const std::string_view scheme = colon == std::string_view::npos ? "http" : url.substr(0, colon);
  std::string_view rest = colon == std::string_view::npos ? url : url.substr(colon + 3);
  const size_t slash = std::min(rest.find_first_of("/?"), rest.size());
  request.authority = rest.substr(0, slash);
  request.target = rest.substr(slash);
  request.target.resize(std::min(request.target.find('#'), request.target.size()));
  if (!request.target.starts_with('/')) request.target.insert(0, "/");
  if (scheme == "https") {
    request.tls = true;
  } else if (scheme == "tcp") {
    request.kind = ExplainRequest::Kind::kPort;
    const size_t at = request.authority.rfind(':');
    HostName name;
    if (at == std::string::npos || !parse_host("x" + request.authority.substr(at), false, name)) {
      return fail(Code::kInvalid, "{}: want tcp://:PORT", url);
    }
    request.port = name.port == 0 ? 80 : name.port;
  } else if (scheme == "tls") {
    request.kind = ExplainRequest::Kind::kServerName;
    request.authority.resize(std::min(request.authority.find(':'), request.authority.size()));
  } else if (scheme != "http") {
    return fail(Code::kInvalid, "{}: want http://, https://, tcp://:PORT or tls://NAME", url);
  }
  if (!method.empty()) request.method = method;
  for (const char c : request.method) {
    if (c < 'A' || c > 'Z') return fail(Code::kInvalid, "method {:?} is no method", method);
  }
  for (const std::string& header : headers) {
    const size_t at = header.find(':');
    if (at == std::string::npos || at == 0 || !is_text(header)) {
      return fail(Code::kInvalid, "header {:?}: want Name: value", header);
    }
    const size_t value = std::min(header.find_first_not_of(" \t", at + 1), header.size());
    const std::string name = header.substr(0, at);
    const bool host = name.size() == 4 && (name[0] | 0x20) == 'h' && (name[1] | 0x20) == 'o' &&
                      (name[2] | 0x20) == 's' && (name[3] | 0x20) == 't';
    if (host) {
      request.authority = header.substr(value);
    } else {
      request.headers.emplace_back(name, header.substr(value));
    }
  }
  Result<SocketAddress> address = SocketAddress::make(client.empty() ? "127.0.0.1" : client, 0);
  if (!address) return pass(address, "client");
  request.client = *address;
  return request;
}

std::string head_text(const ExplainRequest& request) {
  std::string text = fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\n", request.method, request.target,
                                 request.authority);
  for (const auto& [name, value] : request.headers) text += fmt::format("{}: {}\r\n", name, value);
  return text + "\r\n";
}

std::string explain_json(const RouteTable& table, const ExplainRequest& request,
                         const Explained& said, int indent) {
  using Kind = ExplainRequest::Kind;
  std::string out;
  JsonWriter json(out, indent);
  json.begin_object();
  Explanation explanation(json, said);
  HostName host;
  const bool named =
      request.kind != Kind::kPort && parse_host(request.authority, request.tls, host);
  std::string room(request.target.size(), '\0');
  const std::string_view plain =
      std::string_view(request.target).substr(0, request.target.find('?'));
  const NormalPath normal = normalise_path(plain, room.data());
  const bool pathed =
      normal.status == PathStatus::kUnchanged || normal.status == PathStatus::kChanged;
  if (request.kind == Kind::kPort) {
    json.member("matched", fmt::format(":{}", request.port));
    explanation.one(fmt::format(":{}", request.port), table.find_port(request.port));
  } else if (named && pathed) {
    const std::string_view path = request.kind == Kind::kHttp ? normal.path : "/";
    const std::string port = host.port == 0 ? "" : fmt::format(":{}", host.port);
    json.member("matched", fmt::format("{}{}{}", host.name(), port, path));
    explanation.hosts(table, host, path);
  }
  json.member("status", said.refuse)
      .member("no_route", said.no_route)
      .member("service", said.service)
      .member("endpoint", said.endpoint)
      .member("address", said.address)
      .member("location", said.location);
  if (request.kind == Kind::kHttp && said.refuse == 0) {
    json.member("sent_path", said.target)
        .member("sent_host", said.host.empty() ? request.authority : said.host);
  }
  json.end_object();
  out += '\n';
  return out;
}

}  // namespace sluice::proxy
