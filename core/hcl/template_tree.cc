// Templates: %{if} and %{for} nested into a tree.
#include "core/hcl/parser_impl.h"

namespace sluice::hcl {

// ---- from parts to a tree ----

Result<std::vector<ExprPtr>> Parser::nest_parts(std::vector<Part>& parts, size_t& at,
                                                int opened_by) {
  std::vector<ExprPtr> out;
  auto add = [&](Result<ExprPtr> expr) -> Result<void> {
    if (!expr) return pass(expr);
    out.push_back(std::move(*expr));
    return {};
  };
  while (at < parts.size()) {
    Part& part = parts[at];
    Result<void> added;
    switch (part.kind) {
      case Part::Kind::kText: {
        ++at;
        // Neighbours are one text.
        while (at < parts.size() && parts[at].kind == Part::Kind::kText) {
          part.text += parts[at].text;
          part.span.end = parts[at].span.end;
          ++at;
        }
        Result<ExprPtr> literal = make(Expr::Kind::kLiteral, part.span);
        if (literal) (*literal)->literal = Value::string(std::move(part.text));
        added = add(std::move(literal));
        break;
      }
      case Part::Kind::kValue:
        ++at;
        out.push_back(std::move(part.expr));
        break;
      case Part::Kind::kIf: added = add(nest_if(parts, at)); break;
      case Part::Kind::kFor: added = add(nest_for(parts, at)); break;
      case Part::Kind::kElse:
      case Part::Kind::kEndIf:
      case Part::Kind::kEndFor: {
        bool fits = part.kind == Part::Kind::kEndFor
                        ? opened_by == static_cast<int>(Part::Kind::kFor)
                        : opened_by == static_cast<int>(Part::Kind::kIf) ||
                              (opened_by == static_cast<int>(Part::Kind::kElse) &&
                               part.kind == Part::Kind::kEndIf);
        if (fits) return out;
        return fail_at(part.span, "expected no \"{}\" here: nothing is open that it belongs to",
                       part.kind == Part::Kind::kElse    ? "else"
                       : part.kind == Part::Kind::kEndIf ? "endif"
                                                         : "endfor");
      }
    }
    if (!added) return pass(added);
  }
  return out;
}

Result<ExprPtr> Parser::nest_if(std::vector<Part>& parts, size_t& at) {
  Level level(*this);
  Part& open = parts[at];
  Result<void> shallow = check_depth(open.span);
  if (!shallow) return pass(shallow);
  Result<ExprPtr> expr = make(Expr::Kind::kConditional, open.span);
  if (!expr) return expr;
  (*expr)->children.push_back(std::move(open.expr));
  bool in_else = false;
  for (int arm = 0; arm < 2; ++arm) {
    Result<ExprPtr> text = make(Expr::Kind::kTemplate, open.span);
    if (!text) return text;
    if (arm == 0 || in_else) {
      ++at;
      auto kind = arm == 0 ? Part::Kind::kIf : Part::Kind::kElse;
      Result<std::vector<ExprPtr>> children = nest_parts(parts, at, static_cast<int>(kind));
      if (!children) return pass(children);
      if (at == parts.size()) {
        return fail_at(open.span,
                       "expected %{{ endif }} for this \"if\" before the template's end");
      }
      in_else = parts[at].kind == Part::Kind::kElse;
      (*text)->children = std::move(*children);
    }
    text = finish(std::move(*text));
    if (!text) return text;
    (*expr)->children.push_back(std::move(*text));
  }
  ++at;  // endif
  return finish(std::move(*expr));
}

Result<ExprPtr> Parser::nest_for(std::vector<Part>& parts, size_t& at) {
  Level level(*this);
  Part& open = parts[at];
  Result<void> shallow = check_depth(open.span);
  if (!shallow) return pass(shallow);
  ExprPtr loop = std::move(open.expr);
  ++at;
  Result<std::vector<ExprPtr>> children = nest_parts(parts, at, static_cast<int>(Part::Kind::kFor));
  if (!children) return pass(children);
  if (at == parts.size()) {
    return fail_at(open.span, "expected %{{ endfor }} for this \"for\" before the template's end");
  }
  ++at;  // endfor
  Result<ExprPtr> text = make(Expr::Kind::kTemplate, open.span);
  if (!text) return text;
  (*text)->children = std::move(*children);
  text = finish(std::move(*text));
  if (!text) return text;
  loop->children.push_back(nullptr);
  loop->children.push_back(std::move(*text));
  loop->children.push_back(nullptr);
  Result<ExprPtr> finished = finish(std::move(loop));
  if (!finished) return finished;
  Result<ExprPtr> joined = make(Expr::Kind::kTemplateFor, open.span);
  if (!joined) return joined;
  (*joined)->children.push_back(std::move(*finished));
  return finish(std::move(*joined));
}

}  // namespace sluice::hcl
