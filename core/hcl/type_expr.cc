#include "core/hcl/type_expr.h"

#include <algorithm>

#include "core/check.h"
#include "core/hcl/parser.h"

namespace sluice::hcl {

namespace {

constexpr std::string_view kNames[] = {"string", "number", "bool",   "any",  "list",
                                       "set",    "map",    "object", "tuple"};

std::unexpected<Error> unknown(const Expr& expr, std::string_view name) {
  std::string_view close = closest_name(name, kNames, std::size(kNames));
  return fail_at(expr.span,
                 "expected a type such as string, number, bool, any, list(string), "
                 "map(number) or object({{...}}){}",
                 close.empty() ? "" : fmt::format("; did you mean \"{}\"?", close));
}

Result<Type> parse_simple(const Expr& expr) {
  if (expr.name == "string") return Type::string();
  if (expr.name == "number") return Type::number();
  if (expr.name == "bool") return Type::boolean();
  if (expr.name == "any") return Type::dynamic();
  bool needs_more = std::ranges::find(kNames, expr.name) != std::end(kNames);
  if (needs_more) {
    bool structure = expr.name == "object" || expr.name == "tuple";
    return fail_at(expr.span, "expected {0}({1}): which {0}?", expr.name,
                   !structure              ? "any"
                   : expr.name == "object" ? "{...}"
                                           : "[...]");
  }
  return unknown(expr, expr.name);
}

Result<Type> parse_object(const Expr& expr) {
  if (expr.kind != Expr::Kind::kObject) {
    return fail_at(expr.span, "expected {{name = type, ...}} in object(...)");
  }
  std::vector<NamedType> attributes;
  for (size_t i = 0; i + 1 < expr.children.size(); i += 2) {
    const Expr& key = *expr.children[i];
    const Expr* value = expr.children[i + 1].get();
    bool named = key.kind == Expr::Kind::kLiteral && key.literal.kind() == Type::Kind::kString;
    if (!named) return fail_at(key.span, "expected an attribute's name");
    bool optional = value->kind == Expr::Kind::kCall && value->name == "optional";
    if (optional) {
      if (value->children.size() != 1) return fail_at(value->span, "expected optional(type)");
      value = value->children[0].get();
    }
    Result<Type> type = parse_type(*value);
    if (!type) return type;
    bool twice = std::ranges::find(attributes, key.literal.as_string(), &NamedType::name) !=
                 attributes.end();
    if (twice)
      return fail_at(key.span, "the attribute \"{}\" is there twice", key.literal.as_string());
    attributes.push_back({key.literal.as_string(), std::move(*type), optional});
  }
  return Type::object(std::move(attributes));
}

Result<Type> parse_tuple(const Expr& expr) {
  if (expr.kind != Expr::Kind::kTuple) {
    return fail_at(expr.span, "expected [type, ...] in tuple(...)");
  }
  std::vector<Type> elements;
  for (const ExprPtr& child : expr.children) {
    Result<Type> type = parse_type(*child);
    if (!type) return type;
    elements.push_back(std::move(*type));
  }
  return Type::tuple(std::move(elements));
}

}  // namespace

Result<Type> parse_type(const Expr& expr) {
  if (expr.kind == Expr::Kind::kVariable) return parse_simple(expr);
  if (expr.kind != Expr::Kind::kCall) return unknown(expr, "");
  if (expr.children.size() != 1)
    return fail_at(expr.span, "expected one type in {}(...)", expr.name);
  const Expr& inner = *expr.children[0];
  if (expr.name == "object") return parse_object(inner);
  if (expr.name == "tuple") return parse_tuple(inner);
  if (expr.name != "list" && expr.name != "set" && expr.name != "map") {
    return unknown(expr, expr.name);
  }
  Result<Type> element = parse_type(inner);
  if (!element) return element;
  if (expr.name == "list") return Type::list(std::move(*element));
  if (expr.name == "set") return Type::set(std::move(*element));
  return Type::map(std::move(*element));
}

std::string type_text(const Type& type) {
  switch (type.kind()) {
    case Type::Kind::kDynamic:
    case Type::Kind::kBool:
    case Type::Kind::kNumber:
    case Type::Kind::kString: return type.name();
    case Type::Kind::kList: return "list(" + type_text(type.element()) + ")";
    case Type::Kind::kSet: return "set(" + type_text(type.element()) + ")";
    case Type::Kind::kMap: return "map(" + type_text(type.element()) + ")";
    case Type::Kind::kTuple: {
      std::string out;
      for (const Type& element : type.elements()) {
        out += (out.empty() ? "" : ", ") + type_text(element);
      }
      return "tuple([" + out + "])";
    }
    case Type::Kind::kObject: {
      std::string out;
      for (const NamedType& attribute : type.attributes()) {
        out += out.empty() ? "" : ", ";
        out += is_identifier(attribute.name) ? attribute.name : to_json(Json(attribute.name));
        std::string inner = type_text(attribute.type);
        out += " = " + (attribute.optional ? "optional(" + inner + ")" : inner);
      }
      return "object({" + out + "})";
    }
  }
  CHECK(false);
  return {};
}

}  // namespace sluice::hcl
