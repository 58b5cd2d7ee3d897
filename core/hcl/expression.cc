// Expressions (HCL native syntax specification, "Expressions").
#include "core/check.h"
#include "core/hcl/parser.h"
#include "core/hcl/parser_impl.h"

namespace sluice::hcl {

namespace {

constexpr int kLevels = 6;

// The operator that the token is at that level of precedence, 0 binding weakest.
Op binary_op(TokenKind kind, int level) {
  switch (level) {
    case 0: return kind == TokenKind::kOr ? Op::kOr : Op::kNone;
    case 1: return kind == TokenKind::kAnd ? Op::kAnd : Op::kNone;
    case 2:
      if (kind == TokenKind::kEqual) return Op::kEqual;
      return kind == TokenKind::kNotEqual ? Op::kNotEqual : Op::kNone;
    case 3:
      if (kind == TokenKind::kLess) return Op::kLess;
      if (kind == TokenKind::kLessEqual) return Op::kLessEqual;
      if (kind == TokenKind::kGreater) return Op::kGreater;
      return kind == TokenKind::kGreaterEqual ? Op::kGreaterEqual : Op::kNone;
    case 4:
      if (kind == TokenKind::kPlus) return Op::kAdd;
      return kind == TokenKind::kMinus ? Op::kSubtract : Op::kNone;
    case 5:
      if (kind == TokenKind::kStar) return Op::kMultiply;
      if (kind == TokenKind::kSlash) return Op::kDivide;
      return kind == TokenKind::kPercent ? Op::kRemainder : Op::kNone;
    default: CHECK(false); return Op::kNone;
  }
}

}  // namespace

Result<ExprPtr> Parser::parse_expr() {
  Level level(*this);
  Result<void> shallow = check_depth(lexer_.span(lexer_.peek()));
  if (!shallow) return pass(shallow);
  Result<ExprPtr> condition = parse_binary(0);
  if (!condition || lexer_.peek().kind != TokenKind::kQuestion) return condition;
  lexer_.take();
  Result<ExprPtr> if_true = parse_expr();
  if (!if_true) return if_true;
  Result<Token> colon = expect(TokenKind::kColon, "\":\" and the value if the condition is false");
  if (!colon) return pass(colon);
  Result<ExprPtr> if_false = parse_expr();
  if (!if_false) return if_false;
  Result<ExprPtr> expr =
      make(Expr::Kind::kConditional, join((*condition)->span, (*if_false)->span));
  if (!expr) return expr;
  (*expr)->children.push_back(std::move(*condition));
  (*expr)->children.push_back(std::move(*if_true));
  (*expr)->children.push_back(std::move(*if_false));
  return finish(std::move(*expr));
}

Result<ExprPtr> Parser::parse_binary(int level) {
  if (level == kLevels) return parse_unary();
  Result<ExprPtr> left = parse_binary(level + 1);
  while (left) {
    Op op = binary_op(lexer_.peek().kind, level);
    if (op == Op::kNone) return left;
    lexer_.take();
    Result<ExprPtr> right = parse_binary(level + 1);
    if (!right) return right;
    Result<ExprPtr> expr = make(Expr::Kind::kBinary, join((*left)->span, (*right)->span));
    if (!expr) return expr;
    (*expr)->op = op;
    (*expr)->children.push_back(std::move(*left));
    (*expr)->children.push_back(std::move(*right));
    left = finish(std::move(*expr));
  }
  return left;
}

Result<ExprPtr> Parser::parse_unary() {
  const Token sign = lexer_.peek();
  if (sign.kind != TokenKind::kMinus && sign.kind != TokenKind::kNot) {
    Result<ExprPtr> base = parse_primary();
    if (!base) return base;
    return parse_steps(std::move(*base));
  }
  Level level(*this);
  Result<void> shallow = check_depth(lexer_.span(sign));
  if (!shallow) return pass(shallow);
  lexer_.take();
  Result<ExprPtr> operand = parse_unary();
  if (!operand) return operand;
  Result<ExprPtr> expr = make(Expr::Kind::kUnary, join(lexer_.span(sign), (*operand)->span));
  if (!expr) return expr;
  (*expr)->op = sign.kind == TokenKind::kMinus ? Op::kNegate : Op::kNot;
  (*expr)->children.push_back(std::move(*operand));
  return finish(std::move(*expr));
}

// ---- what may follow a value: .name .0 .* [key] [*] ----

Result<ExprPtr> Parser::parse_steps(ExprPtr base) {
  Result<ExprPtr> expr = std::move(base);
  while (expr) {
    TokenKind kind = lexer_.peek().kind;
    if (kind == TokenKind::kDot) {
      expr = parse_dot_step(std::move(*expr));
    } else if (kind == TokenKind::kOpenBracket) {
      expr = parse_bracket_step(std::move(*expr));
    } else {
      return expr;
    }
  }
  return expr;
}

Result<ExprPtr> Parser::parse_dot_step(ExprPtr base) {
  lexer_.take();  // .
  const Token next = lexer_.peek();
  if (next.kind == TokenKind::kStar) {
    lexer_.take();
    return parse_attribute_splat(std::move(base), next);
  }
  if (next.kind == TokenKind::kIdentifier) {
    lexer_.take();
    Result<ExprPtr> expr = make(Expr::Kind::kMember, join(base->span, lexer_.span(next)));
    if (!expr) return expr;
    (*expr)->name = lexer_.text(next);
    (*expr)->children.push_back(std::move(base));
    return finish(std::move(*expr));
  }
  if (next.kind != TokenKind::kNumber) return expected("a name, a number or \"*\" after \".\"");
  // The old way to index. The end of a.0.1 looks like one number; it is not allowed.
  std::optional<Number> index = Number::parse(lexer_.text(next));
  bool digits = lexer_.text(next).find_first_not_of("0123456789") == std::string_view::npos;
  if (!digits || !index || !index->is_int64()) {
    return fail_at(lexer_.span(next),
                   "expected a whole number as an index (for several write "
                   "[0][1])");
  }
  lexer_.take();
  Result<ExprPtr> key = make(Expr::Kind::kLiteral, lexer_.span(next));
  if (!key) return key;
  (*key)->literal = Value::number(*index);
  Result<ExprPtr> expr = make(Expr::Kind::kIndex, join(base->span, (*key)->span));
  if (!expr) return expr;
  (*expr)->children.push_back(std::move(base));
  (*expr)->children.push_back(std::move(*key));
  return finish(std::move(*expr));
}

// `.*` takes the names and numbers that follow along into each element; brackets apply to the
// result.
Result<ExprPtr> Parser::parse_attribute_splat(ExprPtr base, const Token& star) {
  Result<ExprPtr> each = make(Expr::Kind::kSplatItem, lexer_.span(star));
  while (each && lexer_.peek().kind == TokenKind::kDot) {
    if (lexer_.peek_second().kind == TokenKind::kStar) {
      lexer_.take();
      return fail_at(lexer_.span(lexer_.peek()),
                     "expected a name: a second \".*\" does not work, "
                     "use \"[*]\"");
    }
    each = parse_dot_step(std::move(*each));
  }
  if (!each) return each;
  Result<ExprPtr> expr = make(Expr::Kind::kSplat, join(base->span, (*each)->span));
  if (!expr) return expr;
  (*expr)->span.end = lexer_.position();
  (*expr)->children.push_back(std::move(base));
  (*expr)->children.push_back(std::move(*each));
  return finish(std::move(*expr));
}

Result<ExprPtr> Parser::parse_bracket_step(ExprPtr base) {
  Level level(*this);
  lexer_.take();  // [
  bool splat = lexer_.peek().kind == TokenKind::kStar;
  Result<ExprPtr> key = ExprPtr();
  {
    NewlineMode mode(lexer_, true);
    if (splat) {
      key = make(Expr::Kind::kSplatItem, lexer_.span(lexer_.take()));
    } else {
      key = parse_expr();
    }
    if (!key) return key;
    Result<Token> close = expect(TokenKind::kCloseBracket, "\"]\" after the index");
    if (!close) return pass(close);
  }
  // `[*]` takes all that follows along into each element.
  if (splat) key = parse_steps(std::move(*key));
  if (!key) return key;
  Result<ExprPtr> expr = make(splat ? Expr::Kind::kSplat : Expr::Kind::kIndex, base->span);
  if (!expr) return expr;
  (*expr)->span.end = lexer_.position();
  (*expr)->children.push_back(std::move(base));
  (*expr)->children.push_back(std::move(*key));
  return finish(std::move(*expr));
}

// ---- values that start an expression ----

Result<ExprPtr> Parser::parse_primary() {
  const Token next = lexer_.peek();
  switch (next.kind) {
    case TokenKind::kNumber: return parse_number();
    case TokenKind::kIdentifier: return parse_name();
    case TokenKind::kQuote: return parse_quoted();
    case TokenKind::kHeredoc: return parse_heredoc();
    case TokenKind::kOpenBracket: return parse_tuple();
    case TokenKind::kOpenBrace: return parse_object();
    case TokenKind::kOpenParen: break;
    default: return expected("a value");
  }
  lexer_.take();
  Result<ExprPtr> inner = ExprPtr();
  {
    NewlineMode mode(lexer_, true);
    inner = parse_expr();
    if (!inner) return inner;
    Result<Token> close = expect(TokenKind::kCloseParen, "\")\"");
    if (!close) return pass(close);
  }
  Result<ExprPtr> expr = make(Expr::Kind::kParens, lexer_.span(next.begin, lexer_.position()));
  if (!expr) return expr;
  (*expr)->children.push_back(std::move(*inner));
  return finish(std::move(*expr));
}

Result<ExprPtr> Parser::parse_number() {
  Token token = lexer_.take();
  std::optional<Number> number = Number::parse(lexer_.text(token));
  if (!number) return fail_at(lexer_.span(token), "expected a number that fits");
  Result<ExprPtr> expr = make(Expr::Kind::kLiteral, lexer_.span(token));
  if (expr) (*expr)->literal = Value::number(*number);
  return expr;
}

Result<ExprPtr> Parser::parse_name() {
  Token token = lexer_.take();
  if (lexer_.peek().kind == TokenKind::kOpenParen) return parse_call(token);
  std::string_view text = lexer_.text(token);
  bool is_literal = text == "true" || text == "false" || text == "null";
  Result<ExprPtr> expr =
      make(is_literal ? Expr::Kind::kLiteral : Expr::Kind::kVariable, lexer_.span(token));
  if (!expr) return expr;
  if (text == "true" || text == "false") (*expr)->literal = Value::boolean(text == "true");
  if (!is_literal) (*expr)->name = text;
  return expr;
}

Result<ExprPtr> Parser::parse_call(const Token& name) {
  Result<ExprPtr> expr = make(Expr::Kind::kCall, lexer_.span(name));
  if (!expr) return expr;
  (*expr)->name = lexer_.text(name);
  lexer_.take();  // (
  {
    NewlineMode mode(lexer_, true);
    while (lexer_.peek().kind != TokenKind::kCloseParen) {
      Result<ExprPtr> argument = parse_expr();
      if (!argument) return argument;
      (*expr)->children.push_back(std::move(*argument));
      if (lexer_.peek().kind == TokenKind::kEllipsis) {
        lexer_.take();
        (*expr)->flag = true;
        if (lexer_.peek().kind != TokenKind::kCloseParen) return expected("\")\" after \"...\"");
        break;
      }
      if (lexer_.peek().kind == TokenKind::kCloseParen) break;
      Result<Token> comma =
          expect(TokenKind::kComma, "\",\" or \")\" in the arguments of a function");
      if (!comma) return pass(comma);
    }
    lexer_.take();  // )
  }
  (*expr)->span.end = lexer_.position();
  return finish(std::move(*expr));
}

}  // namespace sluice::hcl
