// Lists, maps and for-expressions.
#include "core/hcl/parser_impl.h"

namespace sluice::hcl {

Result<ExprPtr> Parser::parse_tuple() {
  Token open = lexer_.take();
  Result<ExprPtr> expr = make(Expr::Kind::kTuple, lexer_.span(open));
  if (!expr) return expr;
  {
    NewlineMode mode(lexer_, true);
    if (lexer_.peek().kind == TokenKind::kIdentifier && lexer_.text(lexer_.peek()) == "for" &&
        lexer_.peek_second().kind == TokenKind::kIdentifier) {
      expr = parse_for(open);
      if (!expr) return expr;
    } else {
      while (lexer_.peek().kind != TokenKind::kCloseBracket) {
        Result<ExprPtr> item = parse_expr();
        if (!item) return item;
        (*expr)->children.push_back(std::move(*item));
        if (lexer_.peek().kind == TokenKind::kCloseBracket) break;
        Result<Token> comma = expect(TokenKind::kComma, "\",\" or \"]\" in the list");
        if (!comma) return pass(comma);
      }
    }
    lexer_.take();  // ]
  }
  (*expr)->span = lexer_.span(open.begin, lexer_.position());
  return finish(std::move(*expr));
}

Result<ExprPtr> Parser::parse_object_key() {
  const Token token = lexer_.peek();
  TokenKind second = lexer_.peek_second().kind;
  bool bare = token.kind == TokenKind::kIdentifier &&
              (second == TokenKind::kAssign || second == TokenKind::kColon);
  if (bare) {
    lexer_.take();
    Result<ExprPtr> key = make(Expr::Kind::kLiteral, lexer_.span(token));
    if (key) (*key)->literal = Value::string(std::string(lexer_.text(token)));
    return key;
  }
  if (token.kind == TokenKind::kInvalid || token.kind == TokenKind::kEnd) {
    return expected("a key or \"}}\" in the map");
  }
  Result<ExprPtr> key = parse_expr();
  if (key && ((*key)->kind == Expr::Kind::kMember || (*key)->kind == Expr::Kind::kIndex)) {
    return fail_at((*key)->span,
                   "expected a key: quote it to mean the text, or put it in parentheses "
                   "to mean its value");
  }
  return key;
}

Result<ExprPtr> Parser::parse_object() {
  Token open = lexer_.take();
  Result<ExprPtr> expr = make(Expr::Kind::kObject, lexer_.span(open));
  if (!expr) return expr;
  // Line ends do not count before and in a `for`, and they do among keys and values.
  const auto begins_for = [this] {
    NewlineMode mode(lexer_, true);
    return lexer_.peek().kind == TokenKind::kIdentifier && lexer_.text(lexer_.peek()) == "for" &&
           lexer_.peek_second().kind == TokenKind::kIdentifier;
  };
  if (begins_for()) {
    NewlineMode mode(lexer_, true);
    expr = parse_for(open);
    if (!expr) return expr;
    lexer_.take();  // }
  } else {
    NewlineMode mode(lexer_, false);
    while (true) {
      while (lexer_.peek().kind == TokenKind::kNewline) lexer_.take();
      if (lexer_.peek().kind == TokenKind::kCloseBrace) break;
      Result<ExprPtr> key = parse_object_key();
      if (!key) return key;
      TokenKind sign = lexer_.peek().kind;
      if (sign != TokenKind::kAssign && sign != TokenKind::kColon) {
        return expected("\"=\" or \":\" after the key");
      }
      lexer_.take();
      Result<ExprPtr> value = parse_expr();
      if (!value) return value;
      (*expr)->children.push_back(std::move(*key));
      (*expr)->children.push_back(std::move(*value));
      TokenKind after = lexer_.peek().kind;
      if (after == TokenKind::kCloseBrace) break;
      if (after != TokenKind::kComma && after != TokenKind::kNewline) {
        return expected("\",\", a new line or \"}}\" in the map");
      }
      lexer_.take();
    }
    lexer_.take();  // }
  }
  (*expr)->span = lexer_.span(open.begin, lexer_.position());
  return finish(std::move(*expr));
}

// ---- for ----

// `k, v in collection`, into the names and the first child.
Result<void> Parser::parse_for_intro(Expr& out) {
  Result<Token> first = expect(TokenKind::kIdentifier, "a variable's name after \"for\"");
  if (!first) return pass(first);
  out.name = lexer_.text(*first);
  if (lexer_.peek().kind == TokenKind::kComma) {
    lexer_.take();
    Result<Token> second = expect(TokenKind::kIdentifier, "a second variable's name after \",\"");
    if (!second) return pass(second);
    out.other_name = std::move(out.name);
    out.name = lexer_.text(*second);
  }
  if (lexer_.peek().kind != TokenKind::kIdentifier || lexer_.text(lexer_.peek()) != "in") {
    return expected("\"in\" after the variables of \"for\"");
  }
  lexer_.take();
  Result<ExprPtr> collection = parse_expr();
  if (!collection) return pass(collection);
  out.children.push_back(std::move(*collection));
  return {};
}

Result<ExprPtr> Parser::parse_for(const Token& open) {
  bool object = open.kind == TokenKind::kOpenBrace;
  lexer_.take();  // for
  Result<ExprPtr> made = make(Expr::Kind::kFor, lexer_.span(open));
  if (!made) return made;
  Expr& expr = **made;
  Result<void> intro = parse_for_intro(expr);
  if (!intro) return pass(intro);
  Result<Token> colon = expect(TokenKind::kColon, "\":\" after the collection of \"for\"");
  if (!colon) return pass(colon);
  Result<ExprPtr> first = parse_expr();
  if (!first) return first;
  if (object) {
    Result<Token> arrow = expect(TokenKind::kArrow,
                                 "\"=>\" after the key (a \"for\" in braces makes "
                                 "keys and values)");
    if (!arrow) return pass(arrow);
    Result<ExprPtr> value = parse_expr();
    if (!value) return value;
    expr.children.push_back(std::move(*first));
    expr.children.push_back(std::move(*value));
    if (lexer_.peek().kind == TokenKind::kEllipsis) {
      lexer_.take();
      expr.flag = true;
    }
  } else {
    if (lexer_.peek().kind == TokenKind::kArrow) {
      return expected("\"]\" or \"if\" (a \"for\" that makes keys and values stands in braces)");
    }
    expr.children.push_back(nullptr);
    expr.children.push_back(std::move(*first));
  }
  expr.children.push_back(nullptr);
  if (lexer_.peek().kind == TokenKind::kIdentifier && lexer_.text(lexer_.peek()) == "if") {
    lexer_.take();
    Result<ExprPtr> condition = parse_expr();
    if (!condition) return condition;
    expr.children[3] = std::move(*condition);
  }
  TokenKind closer = object ? TokenKind::kCloseBrace : TokenKind::kCloseBracket;
  if (lexer_.peek().kind != closer) {
    if (object) return expected("\"}}\" or \"if\" at the end of the \"for\"");
    return expected("\"]\" or \"if\" at the end of the \"for\"");
  }
  return made;
}

}  // namespace sluice::hcl
