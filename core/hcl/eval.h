// Evaluating expressions.
//
// What for: job files, variables, agent configuration. An Evaluator belongs to one evaluation on
// one thread; it borrows the functions and the scopes. Pure but for what the functions are given.
// Limits: HclLimits::max_steps and max_made_bytes, spent over the evaluator's whole life, so that
// no input doubles itself into all memory.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/hcl/ast.h"
#include "core/hcl/value.h"
#include "core/result.h"

namespace sluice {
class Disk;
class Random;
}  // namespace sluice

namespace sluice::hcl {

class Budget {
 public:
  explicit Budget(const HclLimits& limits)
      : steps_left_(limits.max_steps), bytes_left_(limits.max_made_bytes) {}

  /// One step an expression evaluated or an element made. False once they are used up.
  bool spend_steps(uint64_t count) { return spend(steps_left_, count); }
  bool spend_bytes(uint64_t count) { return spend(bytes_left_, count); }

 private:
  static bool spend(uint64_t& left, uint64_t count) {
    if (count > left) {
      left = 0;
      return false;
    }
    left -= count;
    return true;
  }

  uint64_t steps_left_;
  uint64_t bytes_left_;
};

/// What functions may use of the world. What is missing makes the functions that need it fail.
struct FunctionHost {
  Disk* disk = nullptr;
  std::string base_folder = ".";  // of the job file; the file functions stay in it
  std::string working_folder;     // for abspath
  std::string home_folder;        // for pathexpand
  Random* random = nullptr;
};

/// What a function is given beside its arguments.
struct CallContext {
  Budget& budget;
  const FunctionHost& host;
};

struct Parameter {
  std::string_view name;
  Type type;  // the argument is converted to it; dynamic takes anything
  bool takes_null = false;
};

struct Function {
  std::string_view name;
  std::vector<Parameter> parameters;
  bool repeats_last = false;  // the last parameter takes any number of arguments, also none
  // Its error is a plain message; the evaluator adds function and place.
  Result<Value> (*call)(std::span<const Value> arguments, CallContext& context);
};

/// Looks functions up by name. Immutable once built; threads may share it.
class FunctionTable {
 public:
  explicit FunctionTable(std::vector<Function> functions);
  [[nodiscard]] const Function* find(std::string_view name) const;
  [[nodiscard]] const std::vector<Function>& all() const { return functions_; }

 private:
  std::vector<Function> functions_;  // sorted by name
};

/// Names and their values; looks in the parent where it has none itself. Borrows the parent.
class Scope {
 public:
  Scope() = default;
  explicit Scope(const Scope* parent) : parent_(parent) {}
  void set(std::string name, Value value);
  [[nodiscard]] const Value* find(std::string_view name) const;
  /// All names in sight, for "did you mean".
  void names(std::vector<std::string_view>& out) const;

 private:
  const Scope* parent_ = nullptr;
  std::vector<NamedValue> values_;
};

struct EvalOptions {
  const FunctionTable* functions = nullptr;
  const FunctionHost* host = nullptr;  // null: nothing of the world
  // A reference to a variable that no scope has stays text, "${attr.kernel.name}", for whoever
  // knows it later. False: it is an error.
  bool keeps_unknown_references = false;
  HclLimits limits = {};
};

class Evaluator {
 public:
  explicit Evaluator(const EvalOptions& options) : options_(options), budget_(options.limits) {}
  Evaluator(const Evaluator&) = delete;
  Evaluator& operator=(const Evaluator&) = delete;

  /// The error is a whole message with its place (source.h). kInvalid or kLimit.
  Result<Value> evaluate(const Expr& expr, const Scope& scope);

  /// The value converted; the error stands at the expression: "count: a number is required, ...".
  Result<Value> evaluate_as(const Expr& expr, const Scope& scope, const Type& type,
                            std::string_view what);

  [[nodiscard]] Budget& budget() { return budget_; }
  [[nodiscard]] const HclLimits& limits() const { return options_.limits; }

  /// How many arms of conditionals failed and were not taken, which is no error.
  [[nodiscard]] uint64_t forgiven_arms() const { return forgiven_arms_; }

 private:
  Result<Value> dispatch(const Expr& expr, const Scope& scope);
  Result<Value> evaluate_variable(const Expr& expr, const Scope& scope);
  Result<Value> evaluate_template(const Expr& expr, const Scope& scope);
  Result<Value> evaluate_template_for(const Expr& expr, const Scope& scope);
  Result<Value> evaluate_member(const Expr& expr, const Scope& scope);
  Result<Value> evaluate_index(const Expr& expr, const Scope& scope);
  Result<Value> evaluate_splat(const Expr& expr, const Scope& scope);
  Result<Value> evaluate_call(const Expr& expr, const Scope& scope);
  Result<Value> evaluate_convert(const Expr& expr, const Scope& scope);
  Result<Value> evaluate_try(const Expr& expr, const Scope& scope);
  Result<std::vector<Value>> evaluate_arguments(const Expr& expr, const Scope& scope);
  Result<Value> evaluate_unary(const Expr& expr, const Scope& scope);
  Result<Value> evaluate_binary(const Expr& expr, const Scope& scope);
  Result<Value> evaluate_arithmetic(const Expr& expr, const Value& left, const Value& right);
  Result<Value> evaluate_conditional(const Expr& expr, const Scope& scope);
  Result<Value> evaluate_tuple(const Expr& expr, const Scope& scope);
  Result<Value> evaluate_object(const Expr& expr, const Scope& scope);
  Result<Value> evaluate_for(const Expr& expr, const Scope& scope);
  struct ForState;
  Result<void> evaluate_for_element(const Expr& expr, const Scope& scope, Value key, Value value,
                                    ForState& state);
  Result<void> append_text(const Expr& expr, const Value& value, std::string& out);
  [[nodiscard]] bool is_unknown_reference(const Expr& expr, const Scope& scope) const;
  Result<Value> unknown_reference(const Expr& expr);
  std::unexpected<Error> exhausted(const Expr& expr) const;

  const EvalOptions options_;
  Budget budget_;
  const Value* splat_item_ = nullptr;
  uint64_t forgiven_arms_ = 0;
};

}  // namespace sluice::hcl
