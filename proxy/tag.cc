// The parsers behind proxy/route_edit.h: tags, options, sources, destinations, address ranges.
// Pure.
#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

#include "core/ascii.h"
#include "proxy/route_edit.h"
#include "proxy/tag_values.h"

namespace sluice::proxy {

namespace {

constexpr std::string_view kSpaces = " \t\r\n\v\f";

std::string_view trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(kSpaces);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpaces) - begin + 1);
}

/// The first word of `text`, which moves on behind it; empty at the end.
std::string_view next_word(std::string_view& text) {
  const size_t begin = text.find_first_not_of(kSpaces);
  if (begin == std::string_view::npos) {
    text = {};
    return {};
  }
  const size_t end = std::min(text.find_first_of(kSpaces, begin), text.size());
  const std::string_view word = text.substr(begin, end - begin);
  text.remove_prefix(end);
  return word;
}

bool name_byte(char c) {
  return ascii::is_alphanumeric(c) || c == '_';
}

/// Replaces $DC and ${DC}. Any other name stays as written: a path may well hold a dollar sign.
std::string expand(std::string_view text, std::string_view datacenter) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const std::string_view rest = text.substr(at);
    if (rest.starts_with("${DC}")) {
      out += datacenter;
      at += 5;
    } else if (rest.starts_with("$DC") && (rest.size() == 3 || !name_byte(rest[3]))) {
      out += datacenter;
      at += 3;
    } else {
      out += text[at++];
    }
  }
  return out;
}

std::optional<uint16_t> parse_port(std::string_view text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value == 0 || value > 65535) {
    return std::nullopt;
  }
  return static_cast<uint16_t>(value);
}

/// A control byte in a host, path or header value could end a line of a request or of a log.
bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

Result<std::vector<AddressRange>> parse_ranges(std::string_view name, std::string_view text,
                                               const TagLimits& limits) {
  std::vector<AddressRange> out;
  for (;;) {
    const size_t comma = text.find(',');
    const std::string_view item = trim(text.substr(0, comma));
    if (ascii::lower(item.substr(0, 3)) != "ip:") {
      return fail(Code::kInvalid, "{}={:?}: expected ip:ADDRESS or ip:ADDRESS/BITS", name, item);
    }
    auto range = parse_address_range(trim(item.substr(3)));
    if (!range) return pass(range, "{}=", name);
    out.push_back(*range);
    if (out.size() > limits.ranges) {
      return fail(Code::kLimit, "{}= holds more than {} ranges", name, limits.ranges);
    }
    if (comma == std::string_view::npos) return out;
    text.remove_prefix(comma + 1);
  }
}

std::string with_slash(std::string_view path) {
  std::string out = encoded_path(path);
  if (!out.starts_with('/')) out.insert(out.begin(), '/');
  return out;
}

Result<bool> parse_bool(std::string_view name, std::string_view value) {
  if (value == "true") return true;
  if (value == "false" || value.empty()) return false;
  return fail(Code::kInvalid, "{}={:?}: expected true or false", name, value);
}

Result<void> parse_redirect(std::string_view value, RouteOptions& options) {
  const size_t comma = value.find(',');
  const std::string_view code = value.substr(0, comma);
  unsigned number = 0;
  const auto [end, error] = std::from_chars(code.data(), code.data() + code.size(), number);
  if (error != std::errc() || end != code.data() + code.size() || number < 300 || number > 399) {
    return fail(Code::kInvalid,
                "redirect={:?}: expected redirect=CODE,URL with a code from 300 to 399", value);
  }
  options.redirect_code = static_cast<uint16_t>(number);
  if (comma == std::string_view::npos) return {};
  const std::string_view url = value.substr(comma + 1);
  if (!url.starts_with("http://") && !url.starts_with("https://")) {
    return fail(Code::kInvalid, "redirect={:?}: the URL must begin with http:// or https://",
                value);
  }
  options.redirect_url = url;
  return {};
}

Result<void> parse_strategy(std::string_view value, RouteOptions& options) {
  if (value == "rnd") {
    options.strategy = Strategy::kRandom;
  } else if (value == "rr") {
    options.strategy = Strategy::kRoundRobin;
  } else if (value == "least" || value == "leastconn" || value == "p2c") {
    options.strategy = Strategy::kLeastConnections;
  } else if (value == "hash" || value == "hash:ip") {
    options.strategy = Strategy::kHash;
    options.hash_input = HashInput::kAddress;
  } else if (value.starts_with("hash:header:") && value.size() > 12) {
    options.strategy = Strategy::kHash;
    options.hash_input = HashInput::kHeader;
    options.hash_name = value.substr(12);
  } else if (value.starts_with("hash:cookie:") && value.size() > 12) {
    options.strategy = Strategy::kHash;
    options.hash_input = HashInput::kCookie;
    options.hash_name = value.substr(12);
  } else {
    return fail(Code::kInvalid,
                "strategy={:?}: expected rnd, rr, least, hash:ip, hash:header:NAME or "
                "hash:cookie:NAME",
                value);
  }
  return {};
}

Result<void> parse_matcher(std::string_view value, RouteOptions& options) {
  if (value == "prefix") {
    options.matcher = Matcher::kPrefix;
  } else if (value == "iprefix") {
    options.matcher = Matcher::kIprefix;
  } else if (value == "glob") {
    options.matcher = Matcher::kGlob;
  } else if (value == "segment") {
    options.matcher = Matcher::kSegment;
  } else if (value == "regex") {
    options.matcher = Matcher::kRegex;
  } else {
    return fail(Code::kInvalid, "matcher={:?}: expected prefix, iprefix, glob, segment or regex",
                value);
  }
  return {};
}

Result<void> set_weight(std::string_view value, RouteOptions& options) {
  double weight = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), weight);
  if (error != std::errc() || end != value.data() + value.size() || !std::isfinite(weight) ||
      weight > kMaxWeight) {
    return fail(Code::kInvalid, "weight={:?}: expected a number such as 0.2", value);
  }
  options.weight = std::max(weight, 0.0);  // as fabio: not above 0 is not fixed
  return {};
}

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return name_byte(c) || std::string_view("!#$%&'*+-.^`|~").find(c) != std::string_view::npos;
  });
}

/// One `name=value`. False: the name is not known.
Result<bool> set_option(std::string_view name, std::string_view value, RouteOptions& options,
                        const TagLimits& limits) {
  Result<void> done;
  if (name == "strip") {
    if (!value.empty()) options.strip = with_slash(value);
  } else if (name == "prepend") {
    if (!value.empty()) options.prepend = with_slash(value);
  } else if (name == "host") {
    options.host = value;
  } else if (name == "tlsskipverify" || name == "pxyproto") {
    auto on = parse_bool(name, value);
    if (!on) return pass(on);
    (name == "pxyproto" ? options.proxy_protocol : options.tls_skip_verify) = *on;
  } else if (name == "grpcservername") {
    options.grpc_server_name = value;
  } else if (name == "auth") {
    options.auth = value;
  } else if (name == "register") {
    // It becomes a service's name and a part of an id.
    if (!is_token(value)) {
      return fail(Code::kInvalid, "register={:?}: expected the name of a service", value);
    }
    options.register_name = value;
  } else if (name == "sticky") {
    if (!is_token(value)) {
      return fail(Code::kInvalid, "sticky={:?}: expected the name of a cookie", value);
    }
    options.sticky_cookie = value;
  } else if (name == "ondown") {
    if (value != "close" && value != "keep") {
      return fail(Code::kInvalid, "ondown={:?}: expected close or keep", value);
    }
    options.close_on_down = value == "close";
  } else if (name == "redirect") {
    done = parse_redirect(value, options);
  } else if (name == "allow" || name == "deny") {
    auto ranges = parse_ranges(name, value, limits);
    if (!ranges) return pass(ranges);
    (name == "allow" ? options.allow : options.deny) = std::move(*ranges);
    if (!options.allow.empty() && !options.deny.empty()) {
      return fail(Code::kInvalid, "a route has either allow= or deny=, not both");
    }
  } else if (name == "strategy") {
    done = parse_strategy(value, options);
  } else if (name == "matcher") {
    done = parse_matcher(value, options);
  } else if (name == "weight") {
    done = set_weight(value, options);
  } else if (auto limit = set_limit(name, value, options.limits)) {
    done = std::move(*limit);
  } else {
    return false;
  }
  if (!done) return pass(done);
  return true;
}

void append_word(std::string& text, std::string_view word) {
  if (!text.empty()) text += ' ';
  text += word;
}

}  // namespace

Result<RouteOptions> parse_options(std::string_view text, Scheme& scheme, const TagLimits& limits) {
  RouteOptions options;
  bool has_queue = false;
  if (text.size() > limits.tag_bytes) {
    return fail(Code::kLimit, "the options are longer than {} bytes", limits.tag_bytes);
  }
  for (std::string_view word; !(word = next_word(text)).empty();) {
    if (has_control(word)) return fail(Code::kInvalid, "control character in option {:?}", word);
    const size_t equals = word.find('=');
    const std::string_view name = word.substr(0, equals);
    const std::string_view value =
        equals == std::string_view::npos ? std::string_view() : word.substr(equals + 1);
    if (name == "proto") {
      const auto parsed = parse_scheme(value);
      if (!parsed) {
        return fail(Code::kInvalid, "proto={:?}: expected http, https, tcp, tcp+sni, grpc or grpcs",
                    value);
      }
      scheme = *parsed;
      // The scheme shows in the destination; only what it does not tell stays among the options.
      if (value == "tcp+sni") append_word(options.text, word);
      continue;
    }
    auto known = set_option(name, value, options, limits);
    if (!known) return pass(known);
    if (!*known) append_word(options.ignored, word);
    has_queue = has_queue || name == "maxqueue";
    if (name == "redirect") {
      append_word(options.text, word.substr(0, word.find(',')));
    } else if (name != "weight") {
      append_word(options.text, word);
    }
  }
  if (options.limits.connections != 0 && !has_queue) options.limits.queue = kDefaultQueue;
  return options;
}

Result<HostPath> parse_source(std::string_view text) {
  if (text.empty()) return fail(Code::kInvalid, "the source is empty: expected host/path or :port");
  if (has_control(text) || text.find_first_of(kSpaces) != std::string_view::npos) {
    return fail(Code::kInvalid, "space or control character in source {:?}", text);
  }
  const size_t slash = text.find('/');
  HostPath out;
  out.host = ascii::lower(text.substr(0, slash));
  if (out.host.starts_with(':')) {
    if (slash != std::string_view::npos || !parse_port(text.substr(1))) {
      return fail(Code::kInvalid, "{:?} is not :PORT with a port from 1 to 65535", text);
    }
    return out;  // no path
  }
  out.path = slash == std::string_view::npos ? "/" : encoded_path(text.substr(slash));
  // The colon of a port, not one inside the brackets of an IPv6 literal.
  const size_t bracket = out.host.rfind(']');
  const size_t colon = out.host.rfind(':');
  if (colon != std::string::npos && (bracket == std::string::npos || colon > bracket)) {
    const std::string_view port = std::string_view(out.host).substr(colon + 1);
    if (!parse_port(port) && port != "*") {
      return fail(Code::kInvalid, "{:?} has no valid port after its host", text);
    }
  }
  // A root dot names the same host, and a request's is dropped too.
  const size_t name_end = colon == std::string::npos ? out.host.size() : colon;
  if (name_end > 1 && out.host[name_end - 1] == '.') out.host.erase(name_end - 1, 1);
  return out;
}

Result<Destination> parse_destination(std::string_view text) {
  const size_t mark = text.find("://");
  if (mark == std::string_view::npos) {
    return fail(Code::kInvalid, "{:?} is not a destination: expected scheme://host:port", text);
  }
  const auto scheme = parse_scheme(text.substr(0, mark));
  if (!scheme) return fail(Code::kInvalid, "{:?} has an unknown scheme", text);
  std::string_view authority = text.substr(mark + 3);
  if (authority.find_first_of("?#") != std::string_view::npos) {
    return fail(Code::kInvalid, "{:?}: a destination has no query", text);
  }
  authority = authority.substr(0, authority.find('/'));
  if (authority.find_first_of("@ \t") != std::string_view::npos || has_control(authority)) {
    return fail(Code::kInvalid, "{:?} is not a destination: expected scheme://host:port", text);
  }
  Destination out;
  out.scheme = *scheme;
  std::string_view port;
  if (authority.starts_with('[')) {
    const size_t end = authority.find(']');
    if (end == std::string_view::npos) return fail(Code::kInvalid, "{:?} lacks a ]", text);
    out.host = ascii::lower(authority.substr(1, end - 1));
    const std::string_view rest = authority.substr(end + 1);
    if (!rest.empty() && rest[0] != ':')
      return fail(Code::kInvalid, "{:?} has no valid port", text);
    port = rest.empty() ? rest : rest.substr(1);
  } else {
    const size_t colon = authority.find(':');
    out.host = ascii::lower(authority.substr(0, colon));
    if (colon != std::string_view::npos) port = authority.substr(colon + 1);
  }
  if (out.host.empty()) return fail(Code::kInvalid, "{:?} has no host", text);
  if (!port.empty()) {
    const auto number = parse_port(port);
    if (!number) return fail(Code::kInvalid, "{:?} has no valid port", text);
    out.port = *number;
  } else if (*scheme == Scheme::kHttp || *scheme == Scheme::kGrpc) {
    out.port = 80;
  } else if (*scheme == Scheme::kHttps || *scheme == Scheme::kGrpcs) {
    out.port = 443;
  } else {
    return fail(Code::kInvalid, "{:?} has no port", text);
  }
  return out;
}

Result<std::optional<RouteSpec>> parse_tag(std::string_view tag, const TagContext& context,
                                           const TagLimits& limits) {
  tag = trim(tag);
  if (!tag.starts_with(context.prefix)) return std::nullopt;
  if (tag.size() > limits.tag_bytes) {
    return fail(Code::kLimit, "the tag is longer than {} bytes", limits.tag_bytes);
  }
  std::string_view rest = tag.substr(context.prefix.size());
  const std::string_view source = next_word(rest);
  // Expanded after it is split, so that a datacenter's name cannot end the host.
  const size_t slash = source.find('/');
  const std::string whole =
      ascii::lower(expand(source.substr(0, slash), context.datacenter)) +
      (slash == std::string_view::npos ? std::string()
                                       : expand(source.substr(slash), context.datacenter));
  auto host_path = parse_source(whole);
  if (!host_path) return pass(host_path);

  RouteSpec spec;
  auto options = parse_options(rest, spec.destination.scheme, limits);
  if (!options) return pass(options);
  spec.options = std::move(*options);
  spec.service = context.service;
  spec.instance = context.instance;
  spec.host = std::move(host_path->host);
  spec.path = std::move(host_path->path);
  if (spec.options.redirect_code != 0) {
    if (spec.options.redirect_url.empty()) {
      return fail(Code::kInvalid, "redirect={}: expected redirect=CODE,URL",
                  spec.options.redirect_code);
    }
  } else {
    if (context.address.empty() || context.port == 0) {
      return fail(Code::kInvalid, "service {:?} has no {}", context.service,
                  context.address.empty() ? "address" : "port");
    }
    spec.destination.host = ascii::lower(context.address);
    spec.destination.port = context.port;
  }
  for (const std::string& each : context.tags) {
    const std::string_view other = trim(each);
    if (!other.starts_with(context.prefix)) spec.tags.emplace_back(other);
  }
  return spec;
}

}  // namespace sluice::proxy
