#include "proxy/redirect.h"

#include <algorithm>

#include "core/http1_text.h"

namespace sluice::proxy {

namespace {

constexpr std::string_view kHost = "$host", kPath = "$path";

std::string_view trim(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '"'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

bool says_https(std::string_view scheme, bool otherwise) {
  if (http1::iequals(scheme, "https") || http1::iequals(scheme, "wss")) return true;
  if (http1::iequals(scheme, "http") || http1::iequals(scheme, "ws")) return false;
  return otherwise;
}

/// Where the authority of an absolute URL ends. $path may follow it without a slash.
size_t authority_end(std::string_view url) {
  const size_t begin = url.find("://") + 3;
  const size_t end = std::min(url.find_first_of("/?#", begin), url.find(kPath, begin));
  return std::min(end, url.size());
}

/// True if $path was in it.
bool expand(HeadWriter& out, std::string_view text, const RedirectedRequest& request) {
  bool with_path = false;
  while (!text.empty()) {
    if (text.starts_with(kHost)) {
      out.add(request.authority);
      text.remove_prefix(kHost.size());
    } else if (text.starts_with(kPath)) {
      out.add(request.path);
      with_path = true;
      text.remove_prefix(kPath.size());
    } else {
      // A path begins with a slash of its own.
      if (!text.substr(1).starts_with(kPath) || text[0] != '/') out.add(text.substr(0, 1));
      text.remove_prefix(1);
    }
  }
  return with_path;
}

}  // namespace

bool forwarded_says_https(std::string_view forwarded, bool otherwise) {
  std::string_view element = forwarded.substr(0, forwarded.find(','));
  while (!element.empty()) {
    const size_t end = std::min(element.find(';'), element.size());
    const std::string_view pair = element.substr(0, end);
    const size_t equals = pair.find('=');
    if (equals != pair.npos && http1::iequals(trim(pair.substr(0, equals)), "proto")) {
      return says_https(trim(pair.substr(equals + 1)), otherwise);
    }
    element.remove_prefix(std::min(end + 1, element.size()));
  }
  return otherwise;
}

bool asked_for_https(const http1::Head& head, const ClientFacts& client) {
  if (!client.trusted) return client.tls;
  if (const http1::Header* proto = head.find(http1::Name::kXForwardedProto)) {
    return says_https(proto->value, client.tls);
  }
  const http1::Header* forwarded = head.find(http1::Name::kForwarded);
  return forwarded == nullptr ? client.tls : forwarded_says_https(forwarded->value, client.tls);
}

void write_redirect(HeadWriter& out, std::string_view url, std::string_view strip,
                    const RedirectedRequest& request) {
  const size_t end = authority_end(url);
  expand(out, url.substr(0, end), request);
  const std::string_view rest = url.substr(end);
  const size_t question = std::min(rest.find_first_of("?#"), rest.size());
  const size_t at = out.size();
  const bool with_path = expand(out, rest.substr(0, question), request);
  if (!out.ok()) return;
  if (with_path && !strip.empty() && out.written(at).starts_with(strip)) {
    out.erase(at, strip.size());
  }
  if (!out.written(at).starts_with('/')) out.insert(at, '/');
  expand(out, rest.substr(question), request);
  if (with_path && rest.find('?') == rest.npos) out.add(request.query);
}

bool leads_to_itself(std::string_view location, const RedirectedRequest& request, bool https) {
  const std::string_view scheme = https ? "https://" : "http://";
  if (!location.starts_with(scheme)) return false;
  location.remove_prefix(scheme.size());
  if (!location.starts_with(request.authority)) return false;
  location.remove_prefix(request.authority.size());
  return location.substr(0, location.find_first_of("?#")) == request.path;
}

}  // namespace sluice::proxy
