// Constraints: resolving `${attr.kernel.name}` against a node, and the operators.
//
// Pure functions over values; any thread. distinct_hosts and distinct_property depend on where the
// job's other allocations are: orchestrator/feasible.h decides those.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/result.h"
#include "orchestrator/job.h"
#include "orchestrator/records.h"

namespace sluice::orchestrator {

/// Whether the operator is known and its operands make sense; the message names what is wrong.
Result<void> check_constraint(const Constraint& constraint);

/// The value of a target on a node: "${attr.x}", "${meta.x}", "${node.datacenter}", ... or the text
/// itself where it is no reference. nullopt: the node does not have it.
std::optional<std::string> resolve_target(std::string_view target, const Node& node);

/// Whether `l OP r` holds. nullopt: the side is not there (is_set, is_not_set and != know that).
bool operator_holds(std::string_view operand, const std::optional<std::string>& l,
                    const std::optional<std::string>& r);

inline bool constraint_holds(std::string_view l_target, std::string_view operand,
                             std::string_view r_target, const Node& node) {
  return operator_holds(operand, resolve_target(l_target, node), resolve_target(r_target, node));
}

/// As Nomad names it in a placement failure: "${attr.kernel.name} = windows".
std::string to_string(const Constraint& constraint);

/// Whether the answer may differ between nodes of the same computed class (`unique.` attributes).
bool is_unique_target(std::string_view target);

}  // namespace sluice::orchestrator
