// The `locals` blocks of a job file, in the order in which they need each other.
#include <algorithm>
#include <vector>

#include "orchestrator/job_hcl_variables.h"

namespace sluice::orchestrator {

using hcl::fail_at;
using hcl::Type;
using hcl::Value;

namespace {

struct Local {
  const hcl::Attribute* attribute = nullptr;
  enum class State : uint8_t { kWaiting, kAtWork, kDone } state = State::kWaiting;
  Value value;
};

class Locals {
 public:
  Locals(hcl::Evaluator& evaluator, const hcl::Scope& scope)
      : evaluator_(evaluator), scope_(scope) {}

  Result<void> declare(const hcl::Block& block);
  Result<Value> finish();

 private:
  Result<void> settle(Local& local);
  Result<void> settle_what_it_needs(const hcl::Expr& expr);
  [[nodiscard]] Value done() const;

  hcl::Evaluator& evaluator_;
  const hcl::Scope& scope_;
  std::vector<Local> all_;
};

Result<void> Locals::declare(const hcl::Block& block) {
  if (!block.labels.empty() || !block.body.blocks.empty()) {
    return fail_at(block.type_span, "expected locals {{ name = value ... }}");
  }
  for (const hcl::Attribute& attribute : block.body.attributes) {
    for (const Local& other : all_) {
      if (other.attribute->name != attribute.name) continue;
      return fail_at(attribute.name_span,
                     "the local value \"{}\" is declared twice, first in line {}", attribute.name,
                     hcl::position_of(other.attribute->name_span).line);
    }
    // Each is computed in sight of all before it, which costs the square of their number.
    constexpr size_t kMaxLocals = 1000;
    if (all_.size() == kMaxLocals) {
      return hcl::limit_at(attribute.name_span, "more than {} local values", kMaxLocals);
    }
    all_.push_back({.attribute = &attribute});
  }
  return {};
}

Value Locals::done() const {
  Value::Members members;
  for (const Local& local : all_) {
    if (local.state == Local::State::kDone) members.push_back({local.attribute->name, local.value});
  }
  return Value::object(std::move(members));
}

// Every local.x in the expression first. The depth is bounded by the parser for each, and by the
// cycle check over all of them.
Result<void> Locals::settle_what_it_needs(const hcl::Expr& expr) {
  bool of_local = !expr.children.empty() && expr.children[0] &&
                  expr.children[0]->kind == hcl::Expr::Kind::kVariable &&
                  expr.children[0]->name == "local";
  std::string_view name;
  if (of_local && expr.kind == hcl::Expr::Kind::kMember) name = expr.name;
  if (of_local && expr.kind == hcl::Expr::Kind::kIndex &&
      expr.children[1]->literal.kind() == Type::Kind::kString &&
      !expr.children[1]->literal.is_null()) {
    name = expr.children[1]->literal.as_string();
  }
  if (!name.empty()) {
    auto at = std::ranges::find_if(all_, [&](const Local& l) { return l.attribute->name == name; });
    if (at == all_.end()) return {};  // evaluating says so
    if (at->state == Local::State::kAtWork) {
      return fail_at(expr.span, "local.{} needs itself to be computed", name);
    }
    return settle(*at);
  }
  // `local` as a whole needs all others.
  if (expr.kind == hcl::Expr::Kind::kVariable && expr.name == "local") {
    for (Local& other : all_) {
      if (other.state != Local::State::kWaiting) continue;
      Result<void> settled = settle(other);
      if (!settled) return settled;
    }
    return {};
  }
  for (const hcl::ExprPtr& child : expr.children) {
    if (!child) continue;
    Result<void> settled = settle_what_it_needs(*child);
    if (!settled) return settled;
  }
  return {};
}

Result<void> Locals::settle(Local& local) {
  constexpr size_t kMaxChain = 100;
  if (local.state == Local::State::kDone) return {};
  local.state = Local::State::kAtWork;
  auto at_work = std::ranges::count(all_, Local::State::kAtWork, &Local::state);
  if (static_cast<size_t>(at_work) > kMaxChain) {
    return hcl::limit_at(local.attribute->name_span,
                         "local values need each other in a chain longer "
                         "than {}",
                         kMaxChain);
  }
  Result<void> ready = settle_what_it_needs(*local.attribute->value);
  if (!ready) return ready;
  hcl::Scope scope(&scope_);
  scope.set("local", done());
  Result<Value> value = evaluator_.evaluate(*local.attribute->value, scope);
  if (!value) return pass(value);
  local.value = std::move(*value);
  local.state = Local::State::kDone;
  return {};
}

Result<Value> Locals::finish() {
  for (Local& local : all_) {
    Result<void> settled = settle(local);
    if (!settled) return pass(settled);
  }
  return done();
}

}  // namespace

Result<Value> compute_locals(const hcl::File& file, hcl::Evaluator& evaluator,
                             const hcl::Scope& scope) {
  Locals locals(evaluator, scope);
  for (const hcl::Block& block : file.body.blocks) {
    if (block.type != "locals") continue;
    Result<void> declared = locals.declare(block);
    if (!declared) return pass(declared);
  }
  return locals.finish();
}

}  // namespace sluice::orchestrator
