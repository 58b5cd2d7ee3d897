// Access tokens and policies: who may do what with the API.
//
// A policy is HCL (`namespace "default" { policy = "write" }`, `node { policy = "read" }`,
// `agent`, `operator`); a token names policies, or is a management token, which may do everything.
// Off unless the agent's configuration says acl { enabled = true }.
//
// Records: plain values, part of the cluster's meta record (state.h). The rest is pure; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "orchestrator/fields.h"

namespace sluice::orchestrator {

struct AclPolicy {
  std::string name;
  std::string description;
  std::string rules;
  uint64_t create_index = 0;
  uint64_t modify_index = 0;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("Name", s.name);
    v("Description", s.description);
    v("Rules", s.rules);
    v("CreateIndex", s.create_index);
    v("ModifyIndex", s.modify_index);
  }
  bool operator==(const AclPolicy&) const = default;
};

struct AclToken {
  std::string accessor_id;
  std::string secret_id;  // given out once, and to management tokens
  std::string name;
  std::string type;  // "client", "management"
  std::vector<std::string> policies;
  bool global = false;
  TimeStamp create_time;
  TimeStamp expiration_time;  // 0: never
  uint64_t create_index = 0;
  uint64_t modify_index = 0;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("AccessorID", s.accessor_id);
    v("SecretID", s.secret_id);
    v("Name", s.name);
    v("Type", s.type);
    v("Policies", s.policies);
    v("Global", s.global);
    v("CreateTime", s.create_time);
    v("ExpirationTime", s.expiration_time);
    v("CreateIndex", s.create_index);
    v("ModifyIndex", s.modify_index);
  }
  bool operator==(const AclToken&) const = default;
};

struct AclRecords {
  std::map<std::string, AclPolicy> policies;  // by name
  std::map<std::string, AclToken> tokens;     // by accessor id
  bool bootstrapped = false;                  // the first management token was given out

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("Policies", s.policies);
    v("Tokens", s.tokens);
    v("Bootstrapped", s.bootstrapped);
  }
  bool operator==(const AclRecords&) const = default;
};

enum class AclArea : uint8_t { kNamespace, kNode, kAgent, kOperator, kManagement };
enum class AclLevel : uint8_t { kDeny, kRead, kWrite };

/// What a token may do: the most that any of its policies says of a thing, but for a deny, which
/// wins.
class AclRights {
 public:
  static AclRights all();
  /// Adds a policy's rules. kInvalid: with the place of the mistake.
  Result<void> add(std::string_view policy_name, std::string_view rules);
  /// `space`: of kNamespace.
  [[nodiscard]] bool allows(AclArea area, AclLevel level, std::string_view space = {}) const;

 private:
  struct SpaceRule {
    std::string pattern;
    AclLevel level = AclLevel::kDeny;
    bool deny = false;
  };
  bool all_ = false;
  std::vector<SpaceRule> spaces_;
  std::map<AclArea, SpaceRule> areas_;
};

/// The token with that secret, also an expired one; nullptr: there is none.
const AclToken* find_token(const AclRecords& records, std::string_view secret);

/// The rights of the token with that secret, as of now; "" is the anonymous token, which may do
/// what the policy "anonymous" says. nullopt-like kNotFound: no such token, or it has expired.
Result<AclRights> acl_rights(const AclRecords& records, std::string_view secret, int64_t now_ns);

}  // namespace sluice::orchestrator
