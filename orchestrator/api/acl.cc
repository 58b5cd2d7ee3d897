// The calls on access policies and tokens.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>
#include <string_view>

#include "core/hex.h"
#include "orchestrator/api/call.h"
#include "orchestrator/api/routes.h"
#include "orchestrator/api/wire.h"
#include "orchestrator/fields_json.h"

namespace sluice::orchestrator::api {
namespace {

constexpr std::string_view kManagement = "management";
constexpr std::string_view kClient = "client";
constexpr size_t kMaxNameBytes = 128;

std::string nonces(Call& call) {
  return make_uuid(call.parts().env.random);
}

/// The calls of this file are there with `acl { enabled = true }` alone.
template <Task<void> (*handler)(Call&)>
Task<void> when_on(Call& call) {
  if (!call.parts().options.acl_enabled) return call.refuse(400, "ACL support disabled");
  return handler(call);
}

void write_policy_stub(JsonWriter& out, const AclPolicy& policy) {
  out.begin_object();
  out.member("Name", policy.name).member("Description", policy.description);
  out.member("CreateIndex", policy.create_index).member("ModifyIndex", policy.modify_index);
  out.end_object();
}

void write_token(JsonWriter& out, const AclToken& token, bool with_secret) {
  out.begin_object();
  out.member("AccessorID", token.accessor_id);
  if (with_secret) out.member("SecretID", token.secret_id);
  out.member("Name", token.name).member("Type", token.type);
  out.key("Policies");
  encode(out, token.policies, EncodeOptions{});
  out.key("Roles").null();
  out.member("Global", token.global);
  out.member("CreateTime", format_time(token.create_time));
  out.key("ExpirationTime");
  if (token.expiration_time.ns != 0) {
    out.value(format_time(token.expiration_time));
  } else {
    out.null();
  }
  out.member("CreateIndex", token.create_index).member("ModifyIndex", token.modify_index);
  out.end_object();
}

Task<void> answer_change(Call& call, Result<uint64_t> done) {
  if (!done) {
    co_await call.refuse(done.error());
    co_return;
  }
  call.set_index(*done);
  co_await call.reply_empty();
}

AclToken new_token(Call& call, uint64_t index) {
  AclToken token;
  token.accessor_id = nonces(call);
  token.secret_id = nonces(call);
  token.create_time.ns = call.executor().wall_ns();
  token.create_index = token.modify_index = index;
  return token;
}

Task<void> reply_token(Call& call, const Result<uint64_t>& done, const AclToken& token) {
  if (!done) {
    co_await call.refuse(done.error());
    co_return;
  }
  call.set_index(*done);
  co_await call.reply_with([&](JsonWriter& out) { write_token(out, token, true); });
}

/// As make_uuid writes them: what a secret of the operator's own has to look like.
bool is_uuid(std::string_view text) {
  constexpr std::string_view kForm = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
  return std::ranges::equal(
      text, kForm, [](char c, char form) { return form == '-' ? c == '-' : hex_digit(c) >= 0; });
}

constexpr MemberKind kBootstrapBody[] = {{"BootstrapSecret", Json::Kind::kString}};

Task<void> bootstrap(Call& call, const Json& body) {
  const std::string secret(body.get_string("BootstrapSecret"));
  if (!secret.empty() && !is_uuid(secret)) {
    co_return co_await call.refuse(400, "invalid acl token");
  }
  AclToken token;
  Result<uint64_t> done =
      co_await call.server().change_acl([&](AclRecords& records, uint64_t index) -> Result<void> {
        if (records.bootstrapped) {
          return fail(Code::kInvalid, "ACL bootstrap already done (reset index: {})", index);
        }
        token = new_token(call, index);
        if (!secret.empty()) token.secret_id = secret;
        token.name = "Bootstrap Token";
        token.type = kManagement;
        token.global = true;
        records.bootstrapped = true;
        records.tokens[token.accessor_id] = token;
        return {};
      });
  co_await reply_token(call, done, token);
}

// --------------------------------------------------------- what both kinds of record have

/// Those whose key begins with the query's prefix.
template <class Record, class Write>
Task<void> list(Call& call, const std::map<std::string, Record> AclRecords::* table, Write write) {
  const Snapshot now = call.server().snapshot();
  call.set_index(now.index());
  const std::string prefix = call.query("prefix");
  co_await call.reply_with([&](JsonWriter& out) {
    out.begin_array();
    for (const auto& [key, record] : now.meta().acl.*table) {
      if (key.starts_with(prefix)) write(out, record);
    }
    out.end_array();
  });
}

std::string not_found(std::string_view kind) {
  return fmt::format("ACL {} not found", kind);
}

/// The one whose key stands in the path.
template <class Record, class Write>
Task<void> read(Call& call, const std::map<std::string, Record> AclRecords::* table,
                std::string_view kind, Write write) {
  const Snapshot now = call.server().snapshot();
  const auto& records = now.meta().acl.*table;
  const auto found = records.find(call.param(0));
  if (found == records.end()) co_return co_await call.refuse(404, not_found(kind));
  call.set_index(now.index());
  co_await call.reply_with([&](JsonWriter& out) { write(out, found->second); });
}

template <class Record>
Task<void> remove(Call& call, std::map<std::string, Record> AclRecords::* table,
                  std::string_view kind) {
  Result<uint64_t> done =
      co_await call.server().change_acl([&](AclRecords& records, uint64_t) -> Result<void> {
        if ((records.*table).erase(call.param(0)) > 0) return {};
        return fail(Code::kNotFound, "{}", not_found(kind));
      });
  co_await answer_change(call, std::move(done));
}

// ------------------------------------------------------------------------------- policies

Task<void> list_policies(Call& call) {
  return list(call, &AclRecords::policies, write_policy_stub);
}

Task<void> read_policy(Call& call) {
  return read(call, &AclRecords::policies, "policy", [](JsonWriter& out, const AclPolicy& policy) {
    encode(out, policy, EncodeOptions{});
  });
}

Task<void> put_policy(Call& call, const Json& body) {
  AclPolicy policy{.name = call.param(0),
                   .description = std::string(body.get_string("Description")),
                   .rules = std::string(body.get_string("Rules"))};
  if (policy.name.empty() || policy.name.size() > kMaxNameBytes ||
      policy.name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                    "0123456789-") != std::string::npos) {
    co_return co_await call.refuse(400, fmt::format("invalid name '{}'", policy.name));
  }
  AclRights rights;
  if (auto checked = rights.add(policy.name, policy.rules); !checked) {
    co_return co_await call.refuse(400, "failed to parse rules: " + checked.error().message);
  }
  Result<uint64_t> done =
      co_await call.server().change_acl([&](AclRecords& records, uint64_t index) -> Result<void> {
        AclPolicy& kept = records.policies[policy.name];
        policy.create_index = kept.create_index != 0 ? kept.create_index : index;
        policy.modify_index = index;
        kept = policy;
        return {};
      });
  co_await answer_change(call, std::move(done));
}

Task<void> delete_policy(Call& call) {
  return remove(call, &AclRecords::policies, "policy");
}

// --------------------------------------------------------------------------------- tokens

Task<void> list_tokens(Call& call) {
  return list(call, &AclRecords::tokens,
              [](JsonWriter& out, const AclToken& token) { write_token(out, token, false); });
}

Task<void> read_token(Call& call) {
  return read(call, &AclRecords::tokens, "token",
              [](JsonWriter& out, const AclToken& token) { write_token(out, token, true); });
}

Task<void> own_token(Call& call) {
  const Snapshot now = call.server().snapshot();
  for (const auto& [id, token] : now.meta().acl.tokens) {
    if (token.secret_id != call.token()) continue;
    co_await call.reply_with([&](JsonWriter& out) { write_token(out, token, true); });
    co_return;
  }
  co_await call.refuse(403, not_found("token"));
}

/// A new token without an accessor in the path, else a change of that one.
Task<void> put_token(Call& call, const Json& body) {
  const Result<int64_t> ttl_ns = read_duration(body, "ExpirationTTL");
  if (!ttl_ns) co_return co_await call.refuse(ttl_ns.error());
  const std::string accessor = call.param_count() > 0 ? call.param(0) : "";
  const std::string type(body.get_string("Type"));
  std::vector<std::string> policies;
  if (const Json* names = body.find("Policies"); names != nullptr && names->is_array()) {
    for (const Json& name : names->as_array()) {
      if (name.is_string()) policies.push_back(name.as_string());
    }
  }
  if (type != kManagement && type != kClient) {
    co_return co_await call.refuse(400, "token type must be client or management");
  }
  if (type == kClient && policies.empty()) {
    co_return co_await call.refuse(400, "client token missing policies");
  }
  if (type == kManagement && !policies.empty()) {
    co_return co_await call.refuse(400, "management token cannot be associated with policies");
  }
  if (const Json* roles = body.find("Roles"); roles != nullptr && roles->size() > 0) {
    co_return co_await call.refuse(501, "Roles: not supported by sluice");
  }
  if (!accessor.empty() && *ttl_ns != 0) {
    co_return co_await call.refuse(400, "cannot update expiration TTL");
  }
  AclToken token;
  Result<uint64_t> done =
      co_await call.server().change_acl([&](AclRecords& records, uint64_t index) -> Result<void> {
        const auto known = records.tokens.find(accessor);
        if (!accessor.empty() && known == records.tokens.end()) {
          return fail(Code::kNotFound, "{}", not_found("token"));
        }
        token = accessor.empty() ? new_token(call, index) : known->second;
        if (!accessor.empty() && token.type != type) {
          return fail(Code::kInvalid, "cannot toggle the type of a token");
        }
        token.name = body.get_string("Name");
        token.type = type;
        token.policies = policies;
        token.global = body.get_bool("Global");
        if (*ttl_ns > 0) token.expiration_time.ns = call.executor().wall_ns() + *ttl_ns;
        token.modify_index = index;
        records.tokens[token.accessor_id] = token;
        return {};
      });
  co_await reply_token(call, done, token);
}

Task<void> delete_token(Call& call) {
  return remove(call, &AclRecords::tokens, "token");
}

/// Of the token that asks; a management token has none of its own.
Task<void> own_policies(Call& call) {
  const Snapshot now = call.server().snapshot();
  const AclRecords& records = now.meta().acl;
  const AclToken* token = find_token(records, call.token());
  if (!acl_rights(records, call.token(), call.executor().wall_ns()) || token == nullptr) {
    co_return co_await call.refuse(403, "ACL token not found");
  }
  call.set_index(now.index());
  co_await call.reply_with([&](JsonWriter& out) {
    out.begin_array();
    for (const std::string& name : token->policies) {
      const auto found = records.policies.find(name);
      if (found != records.policies.end()) write_policy_stub(out, found->second);
    }
    out.end_array();
  });
}

constexpr Route kRoutes[] = {
    {"PUT", "/v1/acl/bootstrap", when_on<with_body<bootstrap, kBootstrapBody>>},
    {"GET", "/v1/acl/policies", when_on<list_policies>},
    {"GET", "/v1/acl/policy/self", when_on<own_policies>},
    {"GET", "/v1/acl/policy/:name", when_on<read_policy>},
    {"PUT", "/v1/acl/policy/:name", when_on<with_body<put_policy>>},
    {"DELETE", "/v1/acl/policy/:name", when_on<delete_policy>},
    {"GET", "/v1/acl/tokens", when_on<list_tokens>},
    {"GET", "/v1/acl/token/self", when_on<own_token>},
    {"PUT", "/v1/acl/token", when_on<with_body<put_token>>},
    {"GET", "/v1/acl/token/:accessor", when_on<read_token>},
    {"PUT", "/v1/acl/token/:accessor", when_on<with_body<put_token>>},
    {"DELETE", "/v1/acl/token/:accessor", when_on<delete_token>},
};

}  // namespace

std::span<const Route> acl_routes() {
  return kRoutes;
}

}  // namespace sluice::orchestrator::api
