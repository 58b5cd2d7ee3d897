// The parser's state, shared by its three files: bodies (parser.cc), expressions (expression.cc)
// and templates (template.cc). Not for others.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/hcl/ast.h"
#include "core/hcl/lexer.h"
#include "core/result.h"

namespace sluice::hcl {

// Line ends count or not until the end of a scope.
class NewlineMode {
 public:
  NewlineMode(Lexer& lexer, bool skip) : lexer_(lexer), was_(lexer.set_skips_newlines(skip)) {}
  ~NewlineMode() { lexer_.set_skips_newlines(was_); }
  NewlineMode(const NewlineMode&) = delete;
  NewlineMode& operator=(const NewlineMode&) = delete;

 private:
  Lexer& lexer_;
  bool was_;
};

class Parser {
 public:
  Parser(const Source& source, const HclLimits& limits) : limits_(limits), lexer_(source) {}

  // parser.cc
  Result<Body> parse_root_body();
  Result<ExprPtr> parse_lone_expression();
  // template.cc: the whole source is one template
  Result<ExprPtr> parse_lone_template();

 private:
  // A level of nesting: opened at the start of what may recurse, closed on leaving.
  class Level {
   public:
    explicit Level(Parser& parser) : parser_(parser) { ++parser_.depth_; }
    ~Level() { --parser_.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    Parser& parser_;
  };

  // ---- bodies, parser.cc ----
  Result<void> parse_body_items(Body& body, TokenKind closer, Span opener);
  Result<void> parse_item(Body& body);
  Result<void> parse_attribute(Body& body, const Token& name, bool alone_on_line);
  Result<void> parse_block(Body& body, const Token& type);
  Result<void> parse_block_body(Block& block, const Token& open);
  Result<void> parse_label(Block& block);
  Result<void> end_of_item(std::string_view after_what);

  // ---- expressions, expression.cc ----
  Result<ExprPtr> parse_expr();
  Result<ExprPtr> parse_binary(int level);
  Result<ExprPtr> parse_unary();
  Result<ExprPtr> parse_steps(ExprPtr base);
  Result<ExprPtr> parse_dot_step(ExprPtr base);
  Result<ExprPtr> parse_bracket_step(ExprPtr base);
  Result<ExprPtr> parse_attribute_splat(ExprPtr base, const Token& star);
  Result<ExprPtr> parse_primary();
  Result<ExprPtr> parse_number();
  Result<ExprPtr> parse_name();
  Result<ExprPtr> parse_call(const Token& name);
  Result<ExprPtr> parse_tuple();
  Result<ExprPtr> parse_object();
  Result<ExprPtr> parse_object_key();
  Result<ExprPtr> parse_for(const Token& open);
  Result<void> parse_for_intro(Expr& out);

  // ---- templates, template.cc ----
  struct Part {
    enum class Kind : uint8_t { kText, kValue, kIf, kElse, kEndIf, kFor, kEndFor };
    Kind kind = Kind::kText;
    Span span;
    std::string text;
    ExprPtr expr;  // the value, the condition, or the unfinished kFor
  };

  struct TemplateEnd {
    enum class Kind : uint8_t { kQuote, kHeredoc, kFile };
    Kind kind = Kind::kQuote;
    std::string_view marker = {};  // of a heredoc
    bool indented = false;         // <<-
    Span open = {};
  };
  Result<ExprPtr> parse_quoted();
  Result<ExprPtr> parse_heredoc();
  Result<std::string> parse_plain_quoted(std::string_view what);
  Result<ExprPtr> parse_template(const TemplateEnd& end, uint32_t begin);
  Result<void> parse_parts(const TemplateEnd& end, std::vector<Part>& parts);
  Result<void> parse_literal(const TemplateEnd& end, Part& part);
  Result<void> parse_escape(std::string& out);
  Result<void> parse_sequence(const TemplateEnd& end, std::vector<Part>& parts, bool* trims_next);
  Result<void> parse_directive(Part& part);
  Result<void> close_sequence(const TemplateEnd& end, uint32_t begin, bool* trims_next);
  bool heredoc_ends(const TemplateEnd& end, uint32_t at, uint32_t* marker_end) const;
  Result<std::vector<ExprPtr>> nest_parts(std::vector<Part>& parts, size_t& at, int opened_by);
  Result<ExprPtr> nest_if(std::vector<Part>& parts, size_t& at);
  Result<ExprPtr> nest_for(std::vector<Part>& parts, size_t& at);

  // ---- common, parser.cc ----
  Result<ExprPtr> finish(ExprPtr expr);
  Result<ExprPtr> make(Expr::Kind kind, Span span);
  Result<void> count_node(Span span);
  Result<void> check_depth(Span span);
  Result<Token> expect(TokenKind kind, std::string_view what);
  template <class... Args>
  std::unexpected<Error> expected(fmt::format_string<Args...> format, Args&&... args) {
    Token found = lexer_.peek();
    return fail_at(lexer_.span(found), "expected {}, found {}",
                   fmt::format(format, std::forward<Args>(args)...), describe(lexer_, found));
  }

  const HclLimits& limits_;
  Lexer lexer_;
  uint32_t depth_ = 0;
  uint32_t nodes_ = 0;
};

}  // namespace sluice::hcl
