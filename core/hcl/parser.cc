#include "core/hcl/parser.h"

#include <algorithm>

#include "core/hcl/parser_impl.h"

namespace sluice::hcl {

const Attribute* Body::attribute(std::string_view name) const {
  auto at = std::ranges::find(attributes, name, &Attribute::name);
  return at == attributes.end() ? nullptr : &*at;
}

bool is_identifier(std::string_view text) {
  size_t length = identifier_char(text, true);
  if (length == 0) return false;
  while (length < text.size()) {
    size_t more = identifier_char(text.substr(length), false);
    if (more == 0) return false;
    length += more;
  }
  return true;
}

// ---- limits and nodes ----

Result<void> Parser::count_node(Span span) {
  if (++nodes_ > limits_.max_nodes) {
    return limit_at(span, "the file has more than {} parts", limits_.max_nodes);
  }
  return {};
}

Result<void> Parser::check_depth(Span span) {
  if (depth_ > limits_.max_depth) return limit_at(span, "nested deeper than {}", limits_.max_depth);
  return {};
}

Result<ExprPtr> Parser::make(Expr::Kind kind, Span span) {
  Result<void> counted = count_node(span);
  if (!counted) return pass(counted);
  auto expr = std::make_unique<Expr>();
  expr->kind = kind;
  expr->span = span;
  return expr;
}

// Chains such as 1+1+1+... grow the tree without recursion here, so the tree's own depth is
// bounded, too.
Result<ExprPtr> Parser::finish(ExprPtr expr) {
  for (const ExprPtr& child : expr->children) {
    if (child && child->depth + 1 > expr->depth) {
      expr->depth = static_cast<uint16_t>(child->depth + 1);
    }
  }
  if (expr->depth > limits_.max_depth) {
    return limit_at(expr->span, "nested deeper than {}", limits_.max_depth);
  }
  return expr;
}

Result<Token> Parser::expect(TokenKind kind, std::string_view what) {
  if (lexer_.peek().kind != kind) return expected("{}", what);
  return lexer_.take();
}

// ---- bodies ----

Result<Body> Parser::parse_root_body() {
  Body body;
  Result<void> parsed = parse_body_items(body, TokenKind::kEnd, {});
  if (!parsed) return pass(parsed);
  return body;
}

Result<void> Parser::parse_body_items(Body& body, TokenKind closer, Span opener) {
  while (true) {
    const Token next = lexer_.peek();
    if (next.kind == TokenKind::kNewline) {
      lexer_.take();
      continue;
    }
    if (next.kind == closer) {
      body.end = lexer_.span(lexer_.take());
      return {};
    }
    if (next.kind == TokenKind::kEnd) {
      Position open = position_of(opener);
      return fail_at(lexer_.span(next), "expected \"}}\" for the \"{{\" of line {}, column {}",
                     open.line, open.column);
    }
    if (next.kind == TokenKind::kCloseBrace) {
      return fail_at(lexer_.span(next),
                     "expected an argument or a block, found \"}}\" without a "
                     "\"{{\" before it");
    }
    if (next.kind == TokenKind::kQuote) {
      return fail_at(lexer_.span(next),
                     "expected a name without quotes; quoted keys stand in a map: "
                     "name = {{ \"key\" = value }}");
    }
    if (next.kind != TokenKind::kIdentifier) return expected("an argument or a block");
    Result<void> item = parse_item(body);
    if (!item) return item;
  }
}

Result<void> Parser::parse_item(Body& body) {
  Token name = lexer_.take();
  Result<void> counted = count_node(lexer_.span(name));
  if (!counted) return counted;
  if (std::max(body.attributes.size(), body.blocks.size()) >= limits_.max_items) {
    return limit_at(lexer_.span(name), "more than {} arguments or blocks in one body",
                    limits_.max_items);
  }
  switch (lexer_.peek().kind) {
    case TokenKind::kAssign: return parse_attribute(body, name, true);
    case TokenKind::kOpenBrace:
    case TokenKind::kQuote:
    case TokenKind::kIdentifier: return parse_block(body, name);
    case TokenKind::kColon:
      return fail_at(lexer_.span(lexer_.peek()),
                     "expected \"=\" after \"{}\" (\":\" stands only "
                     "inside a map's braces)",
                     lexer_.text(name));
    default: return expected("\"=\" and a value, or \"{{\", after \"{}\"", lexer_.text(name));
  }
}

Result<void> Parser::end_of_item(std::string_view after_what) {
  switch (lexer_.peek().kind) {
    case TokenKind::kNewline: lexer_.take(); return {};
    case TokenKind::kEnd: return {};
    case TokenKind::kComma: return expected("a new line after {} (no comma)", after_what);
    default: return expected("a new line after {}", after_what);
  }
}

Result<void> Parser::parse_attribute(Body& body, const Token& name, bool alone_on_line) {
  Span name_span = lexer_.span(name);
  std::string_view text = lexer_.text(name);
  if (const Attribute* first = body.attribute(text)) {
    return fail_at(name_span, "\"{}\" is set twice, first in line {}", text,
                   position_of(first->name_span).line);
  }
  lexer_.take();  // =
  if (lexer_.peek().kind == TokenKind::kNewline || lexer_.peek().kind == TokenKind::kEnd) {
    return expected("a value after \"{} =\"", text);
  }
  Result<ExprPtr> value = parse_expr();
  if (!value) return pass(value);
  Span span = join(name_span, (*value)->span);
  body.attributes.push_back({std::string(text), name_span, span, std::move(*value)});
  if (!alone_on_line) return {};
  return end_of_item("the value");
}

Result<void> Parser::parse_label(Block& block) {
  Token token = lexer_.peek();
  if (token.kind == TokenKind::kIdentifier) {
    lexer_.take();
    block.labels.push_back({std::string(lexer_.text(token)), lexer_.span(token)});
    return {};
  }
  Result<std::string> text = parse_plain_quoted("a label");
  if (!text) return pass(text);
  block.labels.push_back({std::move(*text), lexer_.span(token.begin, lexer_.position())});
  return {};
}

Result<void> Parser::parse_block(Body& body, const Token& type) {
  constexpr size_t kMaxLabels = 16;
  Level level(*this);
  Block block;
  block.type = lexer_.text(type);
  block.type_span = lexer_.span(type);
  block.header = block.type_span;
  Result<void> shallow = check_depth(block.type_span);
  if (!shallow) return shallow;
  while (lexer_.peek().kind == TokenKind::kIdentifier || lexer_.peek().kind == TokenKind::kQuote) {
    if (block.labels.size() == kMaxLabels) {
      return limit_at(lexer_.span(lexer_.peek()), "more than {} labels", kMaxLabels);
    }
    Result<void> label = parse_label(block);
    if (!label) return label;
    block.header.end = block.labels.back().span.end;
  }
  if (lexer_.peek().kind != TokenKind::kOpenBrace) {
    if (block.labels.size() == 1 && lexer_.peek().kind == TokenKind::kAssign) {
      return expected("\"{{\" after the block \"{}\"'s label (an argument's name is one word)",
                      block.type);
    }
    return expected("\"{{\" or a label for the block \"{}\"", block.type);
  }
  Token open = lexer_.take();
  Result<void> parsed = parse_block_body(block, open);
  if (!parsed) return parsed;
  body.blocks.push_back(std::move(block));
  return end_of_item("the block's \"}\"");
}

// A block stands on one line with at most one argument, or has its items on lines of their own.
Result<void> Parser::parse_block_body(Block& block, const Token& open) {
  const Token next = lexer_.peek();
  if (next.kind == TokenKind::kIdentifier) {
    Token name = lexer_.take();
    Result<void> counted = count_node(lexer_.span(name));
    if (!counted) return counted;
    if (lexer_.peek().kind != TokenKind::kAssign) {
      return fail_at(lexer_.span(name),
                     "a block on one line holds at most one argument: expected a "
                     "new line after \"{{\"");
    }
    Result<void> attribute = parse_attribute(block.body, name, false);
    if (!attribute) return attribute;
    if (lexer_.peek().kind != TokenKind::kCloseBrace) {
      if (lexer_.peek().kind == TokenKind::kNewline) {
        return expected("\"}}\" on the same line, or a new line after the block's \"{{\"");
      }
      return expected("\"}}\" (a block on one line holds at most one argument)");
    }
    block.body.end = lexer_.span(lexer_.take());
    return {};
  }
  if (next.kind != TokenKind::kNewline && next.kind != TokenKind::kCloseBrace &&
      next.kind != TokenKind::kQuote && next.kind != TokenKind::kEnd) {
    return expected("a new line after the block's \"{{\"");
  }
  return parse_body_items(block.body, TokenKind::kCloseBrace, lexer_.span(open));
}

Result<ExprPtr> Parser::parse_lone_expression() {
  lexer_.set_skips_newlines(true);
  Result<ExprPtr> expr = parse_expr();
  if (!expr) return expr;
  if (lexer_.peek().kind != TokenKind::kEnd) return expected("the end of the expression");
  return expr;
}

// ---- the door ----

static Result<std::shared_ptr<const Source>> make_source(std::string name, std::string text,
                                                         const HclLimits& limits) {
  if (text.size() > limits.max_bytes) {
    return fail(Code::kLimit, "{}: {} bytes, at most {} are taken", name, text.size(),
                limits.max_bytes);
  }
  return std::make_shared<const Source>(std::move(name), std::move(text));
}

Result<File> parse_file(std::string name, std::string text, const HclLimits& limits) {
  auto source = make_source(std::move(name), std::move(text), limits);
  if (!source) return pass(source);
  Result<Body> body = Parser(**source, limits).parse_root_body();
  if (!body) return pass(body);
  return File{std::move(*source), std::move(*body)};
}

Result<Expression> parse_expression(std::string name, std::string text, const HclLimits& limits) {
  auto source = make_source(std::move(name), std::move(text), limits);
  if (!source) return pass(source);
  Result<ExprPtr> expr = Parser(**source, limits).parse_lone_expression();
  if (!expr) return pass(expr);
  return Expression{std::move(*source), std::move(*expr)};
}

Result<Expression> parse_template(std::string name, std::string text, const HclLimits& limits) {
  auto source = make_source(std::move(name), std::move(text), limits);
  if (!source) return pass(source);
  Result<ExprPtr> expr = Parser(**source, limits).parse_lone_template();
  if (!expr) return pass(expr);
  return Expression{std::move(*source), std::move(*expr)};
}

}  // namespace sluice::hcl
