// The blocks of a body with `dynamic` ones expanded (schema.cc). Not for others.
#pragma once

#include <deque>
#include <string_view>
#include <vector>

#include "core/hcl/ast.h"
#include "core/hcl/eval.h"
#include "core/result.h"

namespace sluice::hcl {

// A block that stands in the file, or one that a `dynamic` block made.
struct PlacedBlock {
  std::string_view type;
  Span place;
  Span header;
  std::vector<Label> labels;
  const Body* body = nullptr;
  const Scope* scope = nullptr;
};

/// Owns the scopes that the expanded blocks are evaluated in.
class PlacedBlocks {
 public:
  Result<void> collect(const Body& body, Evaluator& evaluator, const Scope& scope);
  [[nodiscard]] const std::deque<PlacedBlock>& all() const { return blocks_; }

 private:
  Result<void> expand(const Block& dynamic, Evaluator& evaluator, const Scope& scope);
  Result<void> expand_element(const Block& dynamic, const Block& content, Value key, Value value,
                              Evaluator& evaluator, const Scope& scope);

  std::deque<PlacedBlock> blocks_;
  std::deque<Scope> scopes_;
};

}  // namespace sluice::hcl
