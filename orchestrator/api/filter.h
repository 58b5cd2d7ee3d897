// Filter: the expressions of `?filter=`, as Nomad's clients write them:
//
//   Status == "running" and (Type != batch or "web" in Datacenters)
//   JobID matches "^ci-"    Meta.team is empty    not Stop == true    Meta["a b"] contains x
//
// Immutable once parsed; any thread. Limits: kMaxFilterBytes, kMaxFilterDepth.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "core/json.h"
#include "core/result.h"

namespace sluice::orchestrator::api {

inline constexpr size_t kMaxFilterBytes = 8 * 1024;
inline constexpr int kMaxFilterDepth = 32;

class Filter {
 public:
  /// The error names the place in the text.
  static Result<Filter> parse(std::string_view text);
  [[nodiscard]] bool matches(const Json& value) const;

  struct Node;

 private:
  std::shared_ptr<const Node> root_;
};

}  // namespace sluice::orchestrator::api
