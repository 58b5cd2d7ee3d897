#include "core/hcl/eval.h"

#include <algorithm>

#include "core/check.h"
#include "core/hcl/type_expr.h"

namespace sluice::hcl {

// ---- functions and scopes ----

FunctionTable::FunctionTable(std::vector<Function> functions) : functions_(std::move(functions)) {
  std::ranges::sort(functions_, {}, &Function::name);
}

const Function* FunctionTable::find(std::string_view name) const {
  auto at = std::ranges::lower_bound(functions_, name, {}, &Function::name);
  return at != functions_.end() && at->name == name ? &*at : nullptr;
}

void Scope::set(std::string name, Value value) {
  auto at = std::ranges::find(values_, name, &NamedValue::name);
  if (at != values_.end()) {
    at->value = std::move(value);
  } else {
    values_.push_back({std::move(name), std::move(value)});
  }
}

const Value* Scope::find(std::string_view name) const {
  auto at = std::ranges::find(values_, name, &NamedValue::name);
  if (at != values_.end()) return &at->value;
  return parent_ ? parent_->find(name) : nullptr;
}

void Scope::names(std::vector<std::string_view>& out) const {
  for (const NamedValue& value : values_) out.push_back(value.name);
  if (parent_) parent_->names(out);
}

// " (did you mean ...?)", or nothing.
static std::string suggestion(std::string_view word, const std::vector<std::string_view>& names) {
  std::string_view close = closest_name(word, names.data(), names.size());
  return close.empty() ? std::string() : fmt::format("; did you mean \"{}\"?", close);
}

static std::string member_suggestion(std::string_view word, const Value& of) {
  std::vector<std::string_view> names;
  for (const NamedValue& member : of.members()) names.push_back(member.name);
  return suggestion(word, names);
}

static std::string kind_of(const Value& value) {
  return value.is_null() ? "null" : value.type().name();
}

// ---- the door ----

std::unexpected<Error> Evaluator::exhausted(const Expr& expr) const {
  return limit_at(expr.span, "this takes more than the {} steps or {} bytes that an evaluation may",
                  options_.limits.max_steps, options_.limits.max_made_bytes);
}

Result<Value> Evaluator::evaluate(const Expr& expr, const Scope& scope) {
  if (!budget_.spend_steps(1)) return exhausted(expr);
  Result<Value> value = dispatch(expr, scope);
  // Values grow deeper than any expression where one refers to another.
  if (value && value->depth() > options_.limits.max_depth) {
    return limit_at(expr.span, "the value is nested deeper than {}", options_.limits.max_depth);
  }
  // And larger than memory where it holds another many times.
  if (value && value->footprint() > options_.limits.max_made_bytes) {
    return limit_at(expr.span, "the value is larger than {} bytes", options_.limits.max_made_bytes);
  }
  return value;
}

Result<Value> Evaluator::evaluate_as(const Expr& expr, const Scope& scope, const Type& type,
                                     std::string_view what) {
  Result<Value> value = evaluate(expr, scope);
  if (!value) return value;
  Result<Value> converted = convert(*value, type);
  if (!converted) return fail_at(expr.span, "{}: {}", what, converted.error().message);
  return converted;
}

Result<Value> Evaluator::dispatch(const Expr& expr, const Scope& scope) {
  switch (expr.kind) {
    case Expr::Kind::kLiteral: return expr.literal;
    case Expr::Kind::kTemplate: return evaluate_template(expr, scope);
    case Expr::Kind::kTemplateFor: return evaluate_template_for(expr, scope);
    case Expr::Kind::kWrap:
    case Expr::Kind::kParens: return evaluate(*expr.children[0], scope);
    case Expr::Kind::kVariable: return evaluate_variable(expr, scope);
    case Expr::Kind::kSplatItem: CHECK(splat_item_); return *splat_item_;
    case Expr::Kind::kMember: return evaluate_member(expr, scope);
    case Expr::Kind::kIndex: return evaluate_index(expr, scope);
    case Expr::Kind::kSplat: return evaluate_splat(expr, scope);
    case Expr::Kind::kCall: return evaluate_call(expr, scope);
    case Expr::Kind::kUnary: return evaluate_unary(expr, scope);
    case Expr::Kind::kBinary: return evaluate_binary(expr, scope);
    case Expr::Kind::kConditional: return evaluate_conditional(expr, scope);
    case Expr::Kind::kTuple: return evaluate_tuple(expr, scope);
    case Expr::Kind::kObject: return evaluate_object(expr, scope);
    case Expr::Kind::kFor: return evaluate_for(expr, scope);
  }
  CHECK(false);
  return Value();
}

// ---- names ----

// a, a.b, a["b"], a[0], a.b.c: steps that need no evaluation, from a name that no scope has.
bool Evaluator::is_unknown_reference(const Expr& expr, const Scope& scope) const {
  const Expr* at = &expr;
  while (at->kind != Expr::Kind::kVariable) {
    bool plain_index =
        at->kind == Expr::Kind::kIndex && at->children[1]->kind == Expr::Kind::kLiteral;
    if (at->kind != Expr::Kind::kMember && !plain_index) return false;
    at = at->children[0].get();
  }
  return !scope.find(at->name);
}

Result<Value> Evaluator::unknown_reference(const Expr& expr) {
  std::string text = fmt::format("${{{}}}", expr.span.text());
  if (!budget_.spend_bytes(text.size())) return exhausted(expr);
  return Value::string(std::move(text));
}

Result<Value> Evaluator::evaluate_variable(const Expr& expr, const Scope& scope) {
  if (const Value* value = scope.find(expr.name)) return *value;
  if (options_.keeps_unknown_references) return unknown_reference(expr);
  std::vector<std::string_view> names;
  scope.names(names);
  return fail_at(expr.span, "there is no variable \"{}\"{}", expr.name,
                 suggestion(expr.name, names));
}

Result<Value> Evaluator::evaluate_member(const Expr& expr, const Scope& scope) {
  if (options_.keeps_unknown_references && is_unknown_reference(expr, scope)) {
    return unknown_reference(expr);
  }
  Result<Value> of = evaluate(*expr.children[0], scope);
  if (!of) return of;
  Span place{expr.span.source, static_cast<uint32_t>(expr.span.end - expr.name.size()),
             expr.span.end};
  if (of->is_null()) {
    return fail_at(place, "cannot take \"{}\" of a null value", expr.name);
  }
  if (!of->type().is_mapping()) {
    return fail_at(place, "cannot take \"{}\" of a {}: only a map or object has named elements",
                   expr.name, of->type().name());
  }
  if (const Value* member = of->member(expr.name)) return *member;
  const Expr& root = *expr.children[0];
  if (root.kind == Expr::Kind::kVariable && root.name == "var") {
    return fail_at(place, "there is no variable \"{}\" declared{}", expr.name,
                   member_suggestion(expr.name, *of));
  }
  if (root.kind == Expr::Kind::kVariable && root.name == "local") {
    return fail_at(place, "there is no local value \"{}\"{}", expr.name,
                   member_suggestion(expr.name, *of));
  }
  return fail_at(place, "the {} has no element \"{}\"{}", of->type().name(), expr.name,
                 member_suggestion(expr.name, *of));
}

Result<Value> Evaluator::evaluate_index(const Expr& expr, const Scope& scope) {
  if (options_.keeps_unknown_references && is_unknown_reference(expr, scope)) {
    return unknown_reference(expr);
  }
  Result<Value> of = evaluate(*expr.children[0], scope);
  if (!of) return of;
  const Expr& key_expr = *expr.children[1];
  Result<Value> key = evaluate(key_expr, scope);
  if (!key) return key;
  if (of->is_null()) return fail_at(key_expr.span, "cannot take an element of a null value");
  if (key->is_null()) return fail_at(key_expr.span, "an index must not be null");
  if (of->type().is_mapping()) {
    Result<Value> name = convert(*key, Type::string());
    if (!name) return fail_at(key_expr.span, "the key of a map: {}", name.error().message);
    if (const Value* member = of->member(name->as_string())) return *member;
    return fail_at(key_expr.span, "the {} has no element \"{}\"{}", of->type().name(),
                   name->as_string(), member_suggestion(name->as_string(), *of));
  }
  if (of->kind() != Type::Kind::kList && of->kind() != Type::Kind::kTuple) {
    return fail_at(key_expr.span, "cannot take an element of a {}", of->type().name());
  }
  Result<Value> number = convert(*key, Type::number());
  if (!number) return fail_at(key_expr.span, "the index of a list: {}", number.error().message);
  const Number& index = number->as_number();
  if (!index.is_int64()) return fail_at(key_expr.span, "the index of a list is a whole number");
  if (index.to_int64() < 0 || static_cast<uint64_t>(index.to_int64()) >= of->size()) {
    return fail_at(key_expr.span, "index {} is out of range, the list has {} element{}",
                   index.to_int64(), of->size(), of->size() == 1 ? "" : "s");
  }
  return of->items()[static_cast<size_t>(index.to_int64())];
}

Result<Value> Evaluator::evaluate_splat(const Expr& expr, const Scope& scope) {
  Result<Value> source = evaluate(*expr.children[0], scope);
  if (!source) return source;
  bool sequence = source->type().is_sequence();
  if (source->is_null()) {
    if (!sequence) return Value::tuple({});
    return fail_at(expr.children[0]->span, "cannot take the elements of a null list");
  }
  // What is no list is taken as a list of it alone.
  Value::Items one;
  if (!sequence) one.push_back(*source);
  const Value::Items& items = sequence ? source->items() : one;
  Value::Items out;
  const Value* outer = splat_item_;
  for (const Value& item : items) {
    if (!budget_.spend_steps(1)) return exhausted(expr);
    splat_item_ = &item;
    Result<Value> value = evaluate(*expr.children[1], scope);
    splat_item_ = outer;
    if (!value) return value;
    out.push_back(std::move(*value));
  }
  bool alike = std::ranges::all_of(out, [&](const Value& v) { return v.type() == out[0].type(); });
  bool from_collection = source->kind() == Type::Kind::kList || source->kind() == Type::Kind::kSet;
  if (!from_collection || !alike) return Value::tuple(std::move(out));
  Type element = out.empty() ? Type::dynamic() : out[0].type();
  return Value::list(std::move(element), std::move(out));
}

// ---- text ----

Result<void> Evaluator::append_text(const Expr& expr, const Value& value, std::string& out) {
  if (value.is_null()) return fail_at(expr.span, "a null value cannot stand in a string");
  Result<Value> text = convert(value, Type::string());
  if (!text) {
    return fail_at(expr.span, "a {} cannot stand in a string", value.type().name());
  }
  if (!budget_.spend_bytes(text->as_string().size())) return exhausted(expr);
  out += text->as_string();
  return {};
}

Result<Value> Evaluator::evaluate_template(const Expr& expr, const Scope& scope) {
  std::string out;
  for (const ExprPtr& part : expr.children) {
    Result<Value> value = evaluate(*part, scope);
    if (!value) return value;
    Result<void> appended = append_text(*part, *value, out);
    if (!appended) return pass(appended);
  }
  return Value::string(std::move(out));
}

Result<Value> Evaluator::evaluate_template_for(const Expr& expr, const Scope& scope) {
  Result<Value> parts = evaluate(*expr.children[0], scope);
  if (!parts) return parts;
  std::string out;
  for (const Value& part : parts->items()) {
    Result<void> appended = append_text(expr, part, out);
    if (!appended) return pass(appended);
  }
  return Value::string(std::move(out));
}

// ---- functions ----

Result<std::vector<Value>> Evaluator::evaluate_arguments(const Expr& expr, const Scope& scope) {
  std::vector<Value> out;
  for (const ExprPtr& child : expr.children) {
    Result<Value> value = evaluate(*child, scope);
    if (!value) return pass(value);
    bool spread = expr.flag && &child == &expr.children.back();
    if (!spread) {
      out.push_back(std::move(*value));
      continue;
    }
    if (value->is_null() || !value->type().is_sequence()) {
      return fail_at(child->span, "\"...\" spreads a list, this is {}", kind_of(*value));
    }
    if (!budget_.spend_steps(value->size())) return exhausted(*child);
    out.insert(out.end(), value->items().begin(), value->items().end());
  }
  return out;
}

// convert(value, type): the type is no value.
Result<Value> Evaluator::evaluate_convert(const Expr& expr, const Scope& scope) {
  if (expr.children.size() != 2) return fail_at(expr.span, "convert: takes 2 arguments");
  Result<Value> value = evaluate(*expr.children[0], scope);
  if (!value) return value;
  Result<Type> type = parse_type(*expr.children[1]);
  if (!type) return pass(type);
  Result<Value> converted = convert(*value, *type);
  if (!converted) {
    return fail_at(expr.children[0]->span, "convert: {}", converted.error().message);
  }
  return converted;
}

// try takes the first argument without an error; can tells whether there is none.
Result<Value> Evaluator::evaluate_try(const Expr& expr, const Scope& scope) {
  if (expr.name == "can") {
    if (expr.children.size() != 1) return fail_at(expr.span, "can: takes 1 argument");
    Result<Value> value = evaluate(*expr.children[0], scope);
    if (!value && value.error().code == Code::kLimit) return value;
    return Value::boolean(value.has_value());
  }
  if (expr.children.empty()) return fail_at(expr.span, "try: takes at least 1 argument");
  std::string errors;
  for (const ExprPtr& child : expr.children) {
    Result<Value> value = evaluate(*child, scope);
    if (value || value.error().code == Code::kLimit) return value;
    errors += '\n';
    errors += value.error().message;
  }
  return fail_at(expr.span, "try: none of the arguments could be evaluated:{}", errors);
}

Result<Value> Evaluator::evaluate_call(const Expr& expr, const Scope& scope) {
  const Function* function = options_.functions ? options_.functions->find(expr.name) : nullptr;
  if (options_.functions && (expr.name == "try" || expr.name == "can")) {
    return evaluate_try(expr, scope);
  }
  if (options_.functions && expr.name == "convert") return evaluate_convert(expr, scope);
  Span name{expr.span.source, expr.span.begin,
            static_cast<uint32_t>(expr.span.begin + expr.name.size())};
  if (!function) {
    std::vector<std::string_view> names;
    if (options_.functions) {
      for (const Function& known : options_.functions->all()) names.push_back(known.name);
    }
    return fail_at(name, "there is no function \"{}\"{}", expr.name, suggestion(expr.name, names));
  }
  Result<std::vector<Value>> arguments = evaluate_arguments(expr, scope);
  if (!arguments) return pass(arguments);
  size_t most = function->parameters.size();
  size_t least = function->repeats_last ? most - 1 : most;
  if (arguments->size() < least || (!function->repeats_last && arguments->size() > most)) {
    return fail_at(name, "{}: takes {}{} argument{}, {} given", expr.name,
                   function->repeats_last ? "at least " : "", least, least == 1 ? "" : "s",
                   arguments->size());
  }
  for (size_t i = 0; i < arguments->size(); ++i) {
    const Parameter& parameter = function->parameters[std::min(i, most - 1)];
    Value& argument = (*arguments)[i];
    const Expr& place = i < expr.children.size() ? *expr.children[i] : *expr.children.back();
    if (argument.is_null() && !parameter.takes_null) {
      return fail_at(place.span, "{}: {} must not be null", expr.name, parameter.name);
    }
    Result<Value> converted = convert(argument, parameter.type);
    if (!converted) {
      return fail_at(place.span, "{}: {}: {}", expr.name, parameter.name,
                     converted.error().message);
    }
    argument = std::move(*converted);
  }
  static const FunctionHost kNothing;
  CallContext context{.budget = budget_, .host = options_.host ? *options_.host : kNothing};
  Result<Value> result = function->call(*arguments, context);
  if (result) {
    bool text = result->kind() == Type::Kind::kString && !result->is_null();
    bool paid = text ? budget_.spend_bytes(result->as_string().size())
                     : budget_.spend_steps(result->size());
    if (!paid) return exhausted(expr);
    return result;
  }
  if (result.error().code == Code::kLimit) {
    return limit_at(name, "{}: {}", expr.name, result.error().message);
  }
  return fail_at(name, "{}: {}", expr.name, result.error().message);
}

}  // namespace sluice::hcl
