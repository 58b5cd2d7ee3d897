// JsonFilter: the expressions of `?filter=` over one JSON value, as the clients of Nomad and Consul
// write them:
//
//   Status == "running" and (Type != batch or "web" in Datacenters)
//   JobID matches "^ci-"    Meta.team is empty    not Stop == true    Meta["a b"] contains x
//
// A selector that passes through a list holds where any of its items does: Checks.Status ==
// passing.
//
// Immutable once parsed; any thread. Limits: kMaxFilterBytes, kMaxFilterDepth.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/json.h"
#include "core/result.h"

namespace sluice {

inline constexpr size_t kMaxFilterBytes = 8 * 1024;
inline constexpr int kMaxFilterDepth = 32;

class JsonFilter {
 public:
  /// The error names the place in the text.
  static Result<JsonFilter> parse(std::string_view text);
  [[nodiscard]] bool matches(const Json& value) const;
  /// kInvalid where a selector names what no value like `sample` has, or compares a number or a
  /// truth value with what is none. Below a member of one of `open` any key may stand; of a list
  /// the sample holds one item.
  Result<void> check_against(const Json& sample, std::span<const std::string_view> open) const;

  struct Node;

 private:
  std::shared_ptr<const Node> root_;
};

}  // namespace sluice
