#include "orchestrator/acl.h"

#include <algorithm>

#include "core/hcl/eval.h"
#include "core/hcl/parser.h"
#include "core/hcl/schema.h"

namespace sluice::orchestrator {

namespace {

using hcl::ArgumentSchema;
using hcl::BlockSchema;
using hcl::BodySchema;
using hcl::one_of;
using enum hcl::ArgumentType;
using enum hcl::BlockUse;

constexpr std::string_view kPolicies[] = {"deny", "read", "write"};
constexpr ArgumentSchema kAreaArguments[] = {one_of("policy", "policy", kPolicies)};
constexpr BodySchema kArea = {kAreaArguments, {}};
constexpr BlockSchema kTopBlocks[] = {
    {"namespace", "namespace", kRepeated, &kArea, "name"},
    {"node", "node", kOnce, &kArea},
    {"agent", "agent", kOnce, &kArea},
    {"operator", "operator", kOnce, &kArea},
};
constexpr BodySchema kTop = {{}, kTopBlocks};

/// `*` is any run of characters.
bool glob_matches(std::string_view pattern, std::string_view text) {
  const size_t star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == text;
  if (!text.starts_with(pattern.substr(0, star))) return false;
  for (size_t at = star; at <= text.size(); ++at) {
    if (glob_matches(pattern.substr(star + 1), text.substr(at))) return true;
  }
  return false;
}

AclLevel level_of(std::string_view policy) {
  if (policy == "write") return AclLevel::kWrite;
  return policy == "read" ? AclLevel::kRead : AclLevel::kDeny;
}

}  // namespace

AclRights AclRights::all() {
  AclRights rights;
  rights.all_ = true;
  return rights;
}

Result<void> AclRights::add(std::string_view policy_name, std::string_view rules) {
  Result<hcl::File> file = hcl::parse_file(std::string(policy_name), std::string(rules));
  if (!file) return pass(file);
  hcl::Evaluator evaluator(hcl::EvalOptions{});
  const hcl::Scope scope;
  Result<Json> json = hcl::decode_body(file->body, kTop, file->body.end, evaluator, scope);
  if (!json) return pass(json);
  const auto merge = [](SpaceRule& rule, std::string_view policy) {
    rule.deny |= policy == "deny";
    rule.level = std::max(rule.level, level_of(policy));
  };
  if (const Json* spaces = json->find("namespace")) {
    for (const Json& space : spaces->as_array()) {
      const std::string pattern(space.get_string("name"));
      auto found = std::find_if(spaces_.begin(), spaces_.end(),
                                [&](const SpaceRule& rule) { return rule.pattern == pattern; });
      if (found == spaces_.end()) {
        found = spaces_.insert(spaces_.end(), SpaceRule{.pattern = pattern});
      }
      merge(*found, space.get_string("policy"));
    }
  }
  constexpr std::pair<std::string_view, AclArea> kAreas[] = {
      {"node", AclArea::kNode}, {"agent", AclArea::kAgent}, {"operator", AclArea::kOperator}};
  for (const auto& [name, area] : kAreas) {
    if (const Json* block = json->find(name)) merge(areas_[area], block->get_string("policy"));
  }
  return {};
}

bool AclRights::allows(AclArea area, AclLevel level, std::string_view space) const {
  if (all_) return true;
  if (area == AclArea::kManagement) return false;
  if (area != AclArea::kNamespace) {
    const auto found = areas_.find(area);
    return found != areas_.end() && !found->second.deny && found->second.level >= level;
  }
  // The most specific pattern counts: the one with the fewest characters left to a star.
  const SpaceRule* best = nullptr;
  for (const SpaceRule& rule : spaces_) {
    if (!glob_matches(rule.pattern, space)) continue;
    if (best == nullptr || rule.pattern == space ||
        (best->pattern != space && rule.pattern.size() > best->pattern.size())) {
      best = &rule;
    }
  }
  return best != nullptr && !best->deny && best->level >= level;
}

const AclToken* find_token(const AclRecords& records, std::string_view secret) {
  const AclToken* token = nullptr;
  for (const auto& [id, one] : records.tokens) {
    // Of equal length always, so that the time tells nothing of a part.
    if (one.secret_id.size() != secret.size()) continue;
    unsigned char differs = 0;
    for (size_t i = 0; i < secret.size(); ++i) {
      differs = static_cast<unsigned char>(differs | (one.secret_id[i] ^ secret[i]));
    }
    if (differs == 0) token = &one;
  }
  return token;
}

Result<AclRights> acl_rights(const AclRecords& records, std::string_view secret, int64_t now_ns) {
  std::vector<std::string> names;
  if (secret.empty()) {
    names = {"anonymous"};
  } else {
    const AclToken* token = find_token(records, secret);
    const bool expired =
        token != nullptr && token->expiration_time.ns != 0 && token->expiration_time.ns <= now_ns;
    if (token == nullptr || expired) return fail(Code::kDenied, "ACL token not found");
    if (token->type == "management") return AclRights::all();
    names = token->policies;
  }
  AclRights rights;
  for (const std::string& name : names) {
    const auto policy = records.policies.find(name);
    if (policy == records.policies.end()) continue;  // removed since: it gives nothing
    if (auto added = rights.add(name, policy->second.rules); !added) return pass(added);
  }
  return rights;
}

}  // namespace sluice::orchestrator
