#include "orchestrator/job_hcl_variables.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "core/hcl/functions.h"
#include "core/hcl/parser.h"
#include "core/hcl/type_expr.h"

namespace sluice::orchestrator {

using hcl::fail_at;
using hcl::Span;
using hcl::Type;
using hcl::Value;

namespace {

// ---- input variables ----

struct Validation {
  const hcl::Expr* condition = nullptr;
  std::string message;
};

struct Variable {
  std::string name;
  Span place;
  std::optional<Type> type;
  std::optional<Value> value;
  Span value_place;  // nowhere for -var and the environment
  std::string value_from;
  std::vector<Validation> validations;
};

class Variables {
 public:
  // `plain` evaluates what may refer to nothing: defaults and values.
  Variables(hcl::Evaluator& plain, hcl::Evaluator& full) : plain_(plain), full_(full) {}

  Result<void> declare(const hcl::Block& block);
  Result<void> declare_short(const hcl::Block& block);
  Result<void> assign_file(const NamedText& file, const hcl::HclLimits& limits);
  Result<void> assign_text(const NamedText& given, std::string_view from, bool must_exist,
                           const hcl::HclLimits& limits);
  Result<Value> finish();

 private:
  Result<void> add(Variable variable);
  Result<void> read_body(const hcl::Block& block, Variable& variable);
  Result<void> read_validation(const hcl::Block& block, Variable& variable);
  Result<void> assign(Variable& variable, Value value, std::string from, Span place);
  Result<void> assign_json(const NamedText& file);
  Result<void> validate(const Variable& variable);
  Variable* find(std::string_view name);
  [[nodiscard]] std::string suggestion(std::string_view name) const;

  hcl::Evaluator& plain_;
  hcl::Evaluator& full_;
  std::vector<Variable> all_;
};

Variable* Variables::find(std::string_view name) {
  auto at = std::ranges::find(all_, name, &Variable::name);
  return at == all_.end() ? nullptr : &*at;
}

std::string Variables::suggestion(std::string_view name) const {
  std::vector<std::string_view> names;
  for (const Variable& variable : all_) names.push_back(variable.name);
  std::string_view close = hcl::closest_name(name, names.data(), names.size());
  return close.empty() ? std::string() : fmt::format("; did you mean \"{}\"?", close);
}

Result<void> Variables::add(Variable variable) {
  if (const Variable* first = find(variable.name)) {
    return fail_at(variable.place, "the variable \"{}\" is declared twice, first in line {}",
                   variable.name, hcl::position_of(first->place).line);
  }
  all_.push_back(std::move(variable));
  return {};
}

Result<void> Variables::read_validation(const hcl::Block& block, Variable& variable) {
  Validation validation;
  for (const hcl::Attribute& attribute : block.body.attributes) {
    if (attribute.name == "condition") {
      validation.condition = attribute.value.get();
    } else if (attribute.name == "error_message") {
      Result<Value> text =
          plain_.evaluate_as(*attribute.value, hcl::Scope(), Type::string(), attribute.name);
      if (!text) return pass(text);
      if (text->is_null() || text->as_string().empty()) {
        return fail_at(attribute.value->span, "error_message: a text is required");
      }
      validation.message = text->as_string();
    } else {
      return fail_at(attribute.name_span, "validation: expected condition or error_message");
    }
  }
  if (!validation.condition) {
    return fail_at(block.body.end, "validation: expected condition = ... in it");
  }
  if (validation.message.empty()) {
    return fail_at(block.body.end, "validation: expected error_message = ... in it");
  }
  variable.validations.push_back(std::move(validation));
  return {};
}

Result<void> Variables::read_body(const hcl::Block& block, Variable& variable) {
  constexpr std::string_view kKnown[] = {"type", "default", "description", "validation"};
  const hcl::Attribute* preset = nullptr;
  for (const hcl::Attribute& attribute : block.body.attributes) {
    if (attribute.name == "type") {
      Result<Type> type = hcl::parse_type(*attribute.value);
      if (!type) return pass(type);
      variable.type = std::move(*type);
    } else if (attribute.name == "default") {
      preset = &attribute;
    } else if (attribute.name != "description") {
      std::string_view close = hcl::closest_name(attribute.name, kKnown, std::size(kKnown));
      return fail_at(attribute.name_span,
                     "variable: expected type, default, description or "
                     "validation, found \"{}\"{}",
                     attribute.name,
                     close.empty() ? "" : fmt::format("; did you mean \"{}\"?", close));
    }
  }
  for (const hcl::Block& inner : block.body.blocks) {
    if (inner.type != "validation") {
      return fail_at(inner.type_span, "variable: expected a block validation, found \"{}\"",
                     inner.type);
    }
    Result<void> read = read_validation(inner, variable);
    if (!read) return read;
  }
  if (!preset) return {};
  Result<Value> value = plain_.evaluate(*preset->value, hcl::Scope());
  if (!value) return pass(value);
  // Without a type it is the default's, where that says enough.
  if (!variable.type && value->type().is_primitive()) variable.type = value->type();
  return assign(variable, std::move(*value), "default", preset->value->span);
}

Result<void> Variables::declare(const hcl::Block& block) {
  if (block.labels.size() != 1) {
    return fail_at(block.type_span, "expected one label: variable \"name\" {{ ... }}");
  }
  Variable variable{.name = block.labels[0].text, .place = block.labels[0].span};
  if (!hcl::is_identifier(variable.name)) {
    return fail_at(variable.place, "expected a name of letters, digits, _ and - for the variable");
  }
  Result<void> read = read_body(block, variable);
  if (!read) return read;
  return add(std::move(variable));
}

// variables { name = default }
Result<void> Variables::declare_short(const hcl::Block& block) {
  if (!block.labels.empty() || !block.body.blocks.empty()) {
    return fail_at(block.type_span, "expected variables {{ name = default ... }}");
  }
  for (const hcl::Attribute& attribute : block.body.attributes) {
    Variable variable{.name = attribute.name, .place = attribute.name_span};
    Result<Value> value = plain_.evaluate(*attribute.value, hcl::Scope());
    if (!value) return pass(value);
    if (value->type().is_primitive()) variable.type = value->type();
    Result<void> assigned = assign(variable, std::move(*value), "default", attribute.value->span);
    if (!assigned) return assigned;
    Result<void> added = add(std::move(variable));
    if (!added) return added;
  }
  return {};
}

Result<void> Variables::assign(Variable& variable, Value value, std::string from, Span place) {
  if (variable.type) {
    Result<Value> converted = hcl::convert(value, *variable.type);
    if (!converted) {
      return fail_at(place, "{}the value of variable \"{}\" ({}): {}",
                     place.source ? "" : from + ": ", variable.name, hcl::type_text(*variable.type),
                     converted.error().message);
    }
    value = std::move(*converted);
  }
  variable.value = std::move(value);
  variable.value_from = std::move(from);
  variable.value_place = place;
  return {};
}

// Text as it is where a text or number is wanted, else an expression.
Result<void> Variables::assign_text(const NamedText& given, std::string_view from, bool must_exist,
                                    const hcl::HclLimits& limits) {
  Variable* variable = find(given.name);
  if (!variable) {
    if (!must_exist) return {};
    return fail(Code::kInvalid, "{} {}=...: the job file has no variable \"{}\"{}", from,
                given.name, given.name, suggestion(given.name));
  }
  std::string origin = fmt::format("{} {}", from, given.name);
  bool literal = !variable->type || variable->type->kind() == Type::Kind::kString ||
                 variable->type->kind() == Type::Kind::kNumber;
  // A default that is a list or a map has no type, and is no text either.
  if (!variable->type && variable->value && !variable->value->type().is_primitive() &&
      !variable->value->is_null()) {
    literal = false;
  }
  if (literal) return assign(*variable, Value::string(given.text), std::move(origin), {});
  Result<hcl::Expression> expression = hcl::parse_expression(origin, given.text, limits);
  if (!expression) return pass(expression);
  Result<Value> value = plain_.evaluate(*expression->expr, hcl::Scope());
  if (!value) return pass(value);
  return assign(*variable, std::move(*value), std::move(origin), {});
}

Result<void> Variables::assign_json(const NamedText& file) {
  Result<Json> json = parse_json(file.text);
  if (!json) return pass(json, "{}", file.name);
  if (!json->is_object()) return fail(Code::kInvalid, "{}: an object is required", file.name);
  for (const JsonMember& member : json->as_object()) {
    Variable* variable = find(member.key);
    if (!variable) {
      return fail(Code::kInvalid, "{}: the job file has no variable \"{}\"{}", file.name,
                  member.key, suggestion(member.key));
    }
    Result<void> assigned = assign(*variable, hcl::from_json_value(member.value), file.name, {});
    if (!assigned) return assigned;
  }
  return {};
}

Result<void> Variables::assign_file(const NamedText& file, const hcl::HclLimits& limits) {
  size_t first = file.text.find_first_not_of(" \t\r\n");
  if (first != std::string::npos && file.text[first] == '{') return assign_json(file);
  Result<hcl::File> parsed = hcl::parse_file(file.name, file.text, limits);
  if (!parsed) return pass(parsed);
  if (!parsed->body.blocks.empty()) {
    const hcl::Block& block = parsed->body.blocks.front();
    return fail_at(block.type_span,
                   "a file of variables holds name = value, found a block (variables "
                   "are declared in the job file)");
  }
  for (const hcl::Attribute& attribute : parsed->body.attributes) {
    Variable* variable = find(attribute.name);
    if (!variable) {
      return fail_at(attribute.name_span, "the job file has no variable \"{}\"{}", attribute.name,
                     suggestion(attribute.name));
    }
    Result<Value> value = plain_.evaluate(*attribute.value, hcl::Scope());
    if (!value) return pass(value);
    Result<void> assigned =
        assign(*variable, std::move(*value), place_of(attribute.name_span), attribute.value->span);
    if (!assigned) return assigned;
    variable->value_place = {};  // the file is gone after this
  }
  return {};
}

Result<void> Variables::validate(const Variable& variable) {
  for (const Validation& validation : variable.validations) {
    hcl::Scope scope;
    scope.set("var", Value::object({{variable.name, *variable.value}}));
    Result<Value> holds =
        full_.evaluate_as(*validation.condition, scope, Type::boolean(), "condition");
    if (!holds) return pass(holds);
    if (holds->is_null()) return fail_at(validation.condition->span, "condition: must not be null");
    if (holds->as_bool()) continue;
    Span place = variable.value_place.source ? variable.value_place : validation.condition->span;
    return fail_at(place, "the value of variable \"{}\" ({}) is refused: {}", variable.name,
                   variable.value_from, validation.message);
  }
  return {};
}

Result<Value> Variables::finish() {
  Value::Members members;
  for (const Variable& variable : all_) {
    if (!variable.value) {
      return fail_at(variable.place,
                     "the variable \"{0}\" has no value: give it a default, or set it "
                     "by -var {0}=..., -var-file or NOMAD_VAR_{0}",
                     variable.name);
    }
    Result<void> valid = validate(variable);
    if (!valid) return pass(valid);
    members.push_back({variable.name, *variable.value});
  }
  return Value::object(std::move(members));
}

}  // namespace

Result<void> declare_variables(const hcl::File& file, const JobHclOptions& options,
                               hcl::Evaluator& evaluator, hcl::Scope& scope) {
  hcl::Evaluator plain({.limits = options.limits});
  Variables variables(plain, evaluator);
  for (const hcl::Block& block : file.body.blocks) {
    Result<void> declared;
    if (block.type == "variable") declared = variables.declare(block);
    if (block.type == "variables") declared = variables.declare_short(block);
    if (!declared) return declared;
  }
  for (const NamedText& given : options.environment) {
    Result<void> assigned = variables.assign_text(given, "NOMAD_VAR_", false, options.limits);
    if (!assigned) return assigned;
  }
  for (const NamedText& given : options.var_files) {
    Result<void> assigned = variables.assign_file(given, options.limits);
    if (!assigned) return assigned;
  }
  for (const NamedText& given : options.vars) {
    Result<void> assigned = variables.assign_text(given, "-var", true, options.limits);
    if (!assigned) return assigned;
  }
  Result<Value> values = variables.finish();
  if (!values) return pass(values);
  scope.set("var", std::move(*values));

  Result<Value> locals = compute_locals(file, evaluator, scope);
  if (!locals) return pass(locals);
  scope.set("local", std::move(*locals));
  return {};
}

}  // namespace sluice::orchestrator
