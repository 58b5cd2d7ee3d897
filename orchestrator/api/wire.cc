#include "orchestrator/api/wire.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/duration.h"

namespace sluice::orchestrator::api {
namespace {

/// "[::1]:4646" -> "::1", "localhost:4646" -> "localhost".
std::string_view host_of(std::string_view authority) {
  if (authority.starts_with('[')) return authority.substr(1, authority.find(']') - 1);
  return authority.substr(0, authority.rfind(':'));
}

bool is_ip(std::string_view host) {
  if (host.find(':') != std::string_view::npos) return true;
  return !host.empty() && host.find_first_not_of("0123456789.") == std::string_view::npos;
}

}  // namespace

std::string refuse_origin(const HttpServerRequest& request, const std::vector<std::string>& hosts) {
  const std::string_view host = host_of(request.host);
  const auto is_host = [&](const std::string& each) { return http1::iequals(host, each); };
  if (!is_ip(host) && !http1::iequals(host, "localhost") &&
      std::none_of(hosts.begin(), hosts.end(), is_host)) {
    return fmt::format(
        "Host {} is not one of this agent's; use its IP address, localhost or a name of this "
        "machine, of the agent (name = ...) or of its certificate",
        host);
  }
  const std::string* origin = request.headers.find("Origin");
  if (origin == nullptr) return "";
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (origin->starts_with(scheme) &&
        http1::iequals(std::string_view(*origin).substr(scheme.size()), request.host)) {
      return "";
    }
  }
  return fmt::format("pages of {} may not use this API", *origin);
}

Result<int64_t> read_duration(const Json& body, std::string_view name) {
  const Json* value = body.find(name);
  if (value == nullptr || value->is_null() || *value == Json("")) return 0;
  if (value->is_int()) return value->as_int();
  Result<int64_t> read = value->is_string() ? parse_go_duration(value->as_string())
                                            : fail(Code::kInvalid, "it is no duration");
  if (!read) return pass(read, "{}", name);
  return read;
}

Result<std::map<std::string, std::string>> read_texts(const Json& body, std::string_view name) {
  std::map<std::string, std::string> texts;
  const Json* member = body.find(name);
  if (member == nullptr || member->is_null()) return texts;
  if (!member->is_object()) {
    return fail(Code::kInvalid, "{}: expected an object, not {}", name, to_json(*member));
  }
  for (const auto& [key, value] : member->as_object()) {
    if (!value.is_string()) return fail(Code::kInvalid, "{}: {} is not a text", name, key);
    texts[key] = value.as_string();
  }
  return texts;
}

int status_of(Code code) {
  switch (code) {
    case Code::kInvalid: return 400;
    case Code::kNotFound: return 404;
    case Code::kConflict: return 500;
    case Code::kDenied: return 403;
    case Code::kLimit: return 429;
    case Code::kTimeout: return 504;
    case Code::kUnavailable: return 503;
    case Code::kClosed: return 500;
    case Code::kIo: return 500;
    case Code::kUnsupported: return 501;
    case Code::kInternal: return 500;
  }
  return 500;
}

std::optional<int64_t> parse_wait_ms(std::string_view text) {
  if (text.empty()) return kDefaultWaitMs;
  const Result<int64_t> ns = parse_go_duration(text);
  if (!ns) return std::nullopt;
  return std::clamp<int64_t>(*ns / 1'000'000, 0, kDefaultWaitMs);
}

Result<void> check_kinds(const Json& body, std::span<const MemberKind> members) {
  for (const auto& [name, kind] : members) {
    const Json* member = body.find(name);
    if (member == nullptr || member->is_null() || member->kind() == kind) continue;
    return fail(Code::kInvalid, "{}: expected {}, not {}", name,
                kind == Json::Kind::kBool     ? "true or false"
                : kind == Json::Kind::kInt    ? "a whole number"
                : kind == Json::Kind::kString ? "a text"
                : kind == Json::Kind::kObject ? "an object"
                                              : "a list",
                to_json(*member));
  }
  return {};
}

}  // namespace sluice::orchestrator::api
