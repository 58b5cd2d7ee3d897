// Evaluating operators, conditionals, lists, maps and for-expressions.
#include <algorithm>

#include "core/check.h"
#include "core/hcl/eval.h"

namespace sluice::hcl {

static std::string kind_of(const Value& value) {
  return value.is_null() ? "null" : value.type().name();
}

// ---- operators ----

namespace {

// The operand as that type; an error at its expression.
Result<Value> operand(const Expr& expr, const Value& value, const Type& type) {
  if (value.is_null()) return fail_at(expr.span, "{}, this is null", required_type(type));
  Result<Value> converted = convert(value, type);
  if (!converted) return fail_at(expr.span, "{}", converted.error().message);
  return converted;
}

}  // namespace

Result<Value> Evaluator::evaluate_unary(const Expr& expr, const Scope& scope) {
  Result<Value> value = evaluate(*expr.children[0], scope);
  if (!value) return value;
  bool negates = expr.op == Op::kNegate;
  Result<Value> converted =
      operand(*expr.children[0], *value, negates ? Type::number() : Type::boolean());
  if (!converted) return converted;
  if (negates) return Value::number(negate(converted->as_number()));
  return Value::boolean(!converted->as_bool());
}

Result<Value> Evaluator::evaluate_arithmetic(const Expr& expr, const Value& left,
                                             const Value& right) {
  const Number& a = left.as_number();
  const Number& b = right.as_number();
  std::optional<Number> result;
  switch (expr.op) {
    case Op::kLess: return Value::boolean(compare(a, b) < 0);
    case Op::kLessEqual: return Value::boolean(compare(a, b) <= 0);
    case Op::kGreater: return Value::boolean(compare(a, b) > 0);
    case Op::kGreaterEqual: return Value::boolean(compare(a, b) >= 0);
    case Op::kAdd: result = add(a, b); break;
    case Op::kSubtract: result = subtract(a, b); break;
    case Op::kMultiply: result = multiply(a, b); break;
    case Op::kDivide:
    case Op::kRemainder:
      if (b.sign() == 0) return fail_at(expr.children[1]->span, "division by zero");
      result = expr.op == Op::kDivide ? divide(a, b) : remainder(a, b);
      break;
    case Op::kNone:
    case Op::kOr:
    case Op::kAnd:
    case Op::kEqual:
    case Op::kNotEqual:
    case Op::kNegate:
    case Op::kNot: CHECK(false);
  }
  if (!result) return fail_at(expr.span, "the number that this makes is too large or too small");
  return Value::number(*result);
}

Result<Value> Evaluator::evaluate_binary(const Expr& expr, const Scope& scope) {
  Result<Value> left = evaluate(*expr.children[0], scope);
  if (!left) return left;
  Result<Value> right = evaluate(*expr.children[1], scope);
  if (!right) return right;
  if (expr.op == Op::kEqual || expr.op == Op::kNotEqual) {
    // Comparing walks both.
    if (!budget_.spend_steps(left->size() + right->size())) return exhausted(expr);
    return Value::boolean((*left == *right) == (expr.op == Op::kEqual));
  }
  bool logical = expr.op == Op::kOr || expr.op == Op::kAnd;
  Type type = logical ? Type::boolean() : Type::number();
  left = operand(*expr.children[0], *left, type);
  if (!left) return left;
  right = operand(*expr.children[1], *right, type);
  if (!right) return right;
  if (!logical) return evaluate_arithmetic(expr, *left, *right);
  bool both = left->as_bool() && right->as_bool();
  bool any = left->as_bool() || right->as_bool();
  return Value::boolean(expr.op == Op::kAnd ? both : any);
}

// Both arms are evaluated, because the type of the result is one that both can become; an error in
// the arm not taken does not count, and then there is nothing to agree with.
Result<Value> Evaluator::evaluate_conditional(const Expr& expr, const Scope& scope) {
  Result<Value> arms[2] = {evaluate(*expr.children[1], scope), evaluate(*expr.children[2], scope)};
  for (const Result<Value>& arm : arms) {
    if (!arm && arm.error().code == Code::kLimit) return arm;
  }
  Result<Value> condition = evaluate(*expr.children[0], scope);
  if (!condition) return condition;
  condition = operand(*expr.children[0], *condition, Type::boolean());
  if (!condition) return condition;
  Result<Value>& taken = arms[condition->as_bool() ? 0 : 1];
  if (!arms[0] || !arms[1]) {
    ++forgiven_arms_;
    return std::move(taken);
  }
  // A bare null takes the other's type, whatever that is.
  auto bare_null = [](const Value& value) {
    return value.is_null() && value.kind() == Type::Kind::kDynamic;
  };
  std::optional<Type> type;
  if (bare_null(*arms[0])) {
    type = arms[1]->type();
  } else if (bare_null(*arms[1])) {
    type = arms[0]->type();
  } else {
    type = unify({arms[0]->type(), arms[1]->type()}, Strictness::kUnsafe);
  }
  if (!type) {
    return fail_at(expr.children[1]->span,
                   "the two values of a conditional must be of one type, they are {} and {}",
                   kind_of(*arms[0]), kind_of(*arms[1]));
  }
  Result<Value> converted = convert(*taken, *type);
  if (!converted) {
    return fail_at(expr.children[condition->as_bool() ? 1 : 2]->span, "{}",
                   converted.error().message);
  }
  return converted;
}

// ---- lists, maps and for ----

Result<Value> Evaluator::evaluate_tuple(const Expr& expr, const Scope& scope) {
  Value::Items items;
  items.reserve(expr.children.size());
  for (const ExprPtr& child : expr.children) {
    Result<Value> value = evaluate(*child, scope);
    if (!value) return value;
    items.push_back(std::move(*value));
  }
  return Value::tuple(std::move(items));
}

Result<Value> Evaluator::evaluate_object(const Expr& expr, const Scope& scope) {
  Value::Members members;
  for (size_t i = 0; i + 1 < expr.children.size(); i += 2) {
    Result<Value> key = evaluate(*expr.children[i], scope);
    if (!key) return key;
    key = operand(*expr.children[i], *key, Type::string());
    if (!key) return key;
    Result<Value> value = evaluate(*expr.children[i + 1], scope);
    if (!value) return value;
    members.push_back({key->as_string(), std::move(*value)});
  }
  return Value::object(std::move(members));
}

struct Evaluator::ForState {
  bool object = false;
  Value::Items items;
  Value::Members members;
  // With grouping: the values of each key, in the order of the keys' first appearance.
  std::vector<std::pair<std::string, Value::Items>> groups;
};

Result<void> Evaluator::evaluate_for_element(const Expr& expr, const Scope& outer, Value key,
                                             Value value, ForState& state) {
  if (!budget_.spend_steps(1)) return exhausted(expr);
  Scope scope(&outer);
  if (!expr.other_name.empty()) scope.set(expr.other_name, std::move(key));
  scope.set(expr.name, std::move(value));
  if (const Expr* condition_expr = expr.children[3].get()) {
    Result<Value> condition = evaluate(*condition_expr, scope);
    if (!condition) return pass(condition);
    condition = operand(*condition_expr, *condition, Type::boolean());
    if (!condition) return pass(condition);
    if (!condition->as_bool()) return {};
  }
  std::string made_key;
  if (state.object) {
    Result<Value> made = evaluate(*expr.children[1], scope);
    if (!made) return pass(made);
    made = operand(*expr.children[1], *made, Type::string());
    if (!made) return pass(made);
    made_key = made->as_string();
  }
  Result<Value> made = evaluate(*expr.children[2], scope);
  if (!made) return pass(made);
  if (!state.object) {
    state.items.push_back(std::move(*made));
    return {};
  }
  if (expr.flag) {
    auto group =
        std::ranges::find(state.groups, made_key, &std::pair<std::string, Value::Items>::first);
    if (!budget_.spend_steps(state.groups.size() / 16)) return exhausted(expr);
    if (group == state.groups.end()) {
      state.groups.emplace_back(std::move(made_key), Value::Items{});
      group = state.groups.end() - 1;
    }
    group->second.push_back(std::move(*made));
    return {};
  }
  state.members.push_back({std::move(made_key), std::move(*made)});
  return {};
}

Result<Value> Evaluator::evaluate_for(const Expr& expr, const Scope& scope) {
  const Expr& source_expr = *expr.children[0];
  Result<Value> source = evaluate(source_expr, scope);
  if (!source) return source;
  if (source->is_null() || (!source->type().is_sequence() && !source->type().is_mapping())) {
    return fail_at(source_expr.span, "\"for\" goes over a list, set, map or object, this is {}",
                   kind_of(*source));
  }
  ForState state{.object = expr.children[1] != nullptr};
  Result<void> done;
  if (source->type().is_mapping()) {
    for (const NamedValue& member : source->members()) {
      done = evaluate_for_element(expr, scope, Value::string(member.name), member.value, state);
      if (!done) return pass(done);
    }
  } else {
    bool set = source->kind() == Type::Kind::kSet;
    int64_t index = 0;
    for (const Value& item : source->items()) {
      Value key = set ? item : Value::number(index);
      ++index;
      done = evaluate_for_element(expr, scope, std::move(key), item, state);
      if (!done) return pass(done);
    }
  }
  if (!state.object) return Value::tuple(std::move(state.items));
  for (auto& [key, items] : state.groups) {
    state.members.push_back({key, Value::tuple(std::move(items))});
  }
  size_t made = state.members.size();
  std::vector<std::string_view> keys;
  for (const NamedValue& member : state.members) keys.push_back(member.name);
  std::ranges::sort(keys);
  auto twice = std::ranges::adjacent_find(keys);
  if (twice != keys.end()) {
    return fail_at(expr.children[1]->span,
                   "the key \"{}\" comes twice (to collect the values of a key "
                   "write \"...\" after the value)",
                   *twice);
  }
  Value object = Value::object(std::move(state.members));
  CHECK(object.size() == made);
  return object;
}

}  // namespace sluice::hcl
