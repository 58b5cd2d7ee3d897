// Quoted strings, heredocs and the templates in them (HCL native syntax specification, "Template
// Expressions"). Here the parser reads characters; inside ${ } and %{ } it reads tokens again.
#include <algorithm>
#include <limits>

#include "core/check.h"
#include "core/hcl/parser.h"
#include "core/hcl/parser_impl.h"
#include "core/hcl/unicode.h"
#include "core/hex.h"

namespace sluice::hcl {

namespace {

bool is_ascii_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

void trim_left(std::string& text) {
  size_t n = 0;
  while (n < text.size() && is_ascii_space(text[n])) ++n;
  text.erase(0, n);
}

void trim_right(std::string& text) {
  while (!text.empty() && is_ascii_space(text.back())) text.pop_back();
}

/// Unicode 3.9, D76: neither beyond the last code point nor half of a surrogate pair.
bool is_unicode_scalar(uint32_t c) {
  return c <= 0x10FFFF && (c < 0xD800 || c > 0xDFFF);
}

}  // namespace

// ---- the three kinds of templates ----

Result<ExprPtr> Parser::parse_quoted() {
  Token open = lexer_.take();
  TemplateEnd end{.kind = TemplateEnd::Kind::kQuote, .open = lexer_.span(open)};
  return parse_template(end, open.begin);
}

Result<ExprPtr> Parser::parse_heredoc() {
  Token open = lexer_.take();
  std::string_view intro = lexer_.text(open);
  intro.remove_prefix(2);
  bool indented = intro.starts_with('-');
  if (indented) intro.remove_prefix(1);
  while (is_ascii_space(intro.back())) intro.remove_suffix(1);
  TemplateEnd end{.kind = TemplateEnd::Kind::kHeredoc,
                  .marker = intro,
                  .indented = indented,
                  .open = lexer_.span(open)};
  return parse_template(end, open.begin);
}

Result<ExprPtr> Parser::parse_lone_template() {
  return parse_template({.kind = TemplateEnd::Kind::kFile}, 0);
}

// A quoted string that may hold no template: labels.
Result<std::string> Parser::parse_plain_quoted(std::string_view what) {
  Token open = lexer_.take();
  CHECK(open.kind == TokenKind::kQuote);
  TemplateEnd end{.kind = TemplateEnd::Kind::kQuote, .open = lexer_.span(open)};
  std::vector<Part> parts;
  Result<void> parsed = parse_parts(end, parts);
  if (!parsed) return pass(parsed);
  std::string out;
  for (Part& part : parts) {
    if (part.kind != Part::Kind::kText) {
      return fail_at(part.span, "expected plain text: {} holds no ${{...}} and no %{{...}}", what);
    }
    out += part.text;
  }
  return out;
}

// `<<-`: the blanks that all lines start with are cut off. Blank lines do not count for how many.
static void cut_indentation(std::vector<std::string*>& line_starts, size_t least) {
  for (std::string* text : line_starts) {
    size_t n = 0;
    while (n < least && n < text->size() && is_ascii_space((*text)[n])) ++n;
    text->erase(0, n);
  }
}

Result<ExprPtr> Parser::parse_template(const TemplateEnd& end, uint32_t begin) {
  Level level(*this);
  Result<void> shallow = check_depth(end.open);
  if (!shallow) return pass(shallow);
  std::vector<Part> parts;
  Result<void> parsed = parse_parts(end, parts);
  if (!parsed) return pass(parsed);

  if (end.indented) {
    std::vector<std::string*> line_starts;
    size_t least = std::numeric_limits<size_t>::max();
    bool at_line_start = true;
    for (Part& part : parts) {
      if (at_line_start) {
        at_line_start = false;
        size_t blanks = 0;
        if (part.kind == Part::Kind::kText) {
          while (blanks < part.text.size() && is_ascii_space(part.text[blanks])) ++blanks;
          bool blank_line = blanks == part.text.size() && part.text.ends_with('\n');
          if (blank_line) {
            blanks = least;
          } else {
            line_starts.push_back(&part.text);
          }
        }
        least = std::min(least, blanks);
      }
      if (part.kind == Part::Kind::kText && part.text.ends_with('\n')) at_line_start = true;
    }
    cut_indentation(line_starts, least);
  }

  Span span = lexer_.span(begin, lexer_.position());
  if (parts.size() == 1 && parts[0].kind == Part::Kind::kValue) {
    Result<ExprPtr> wrap = make(Expr::Kind::kWrap, span);
    if (!wrap) return wrap;
    (*wrap)->children.push_back(std::move(parts[0].expr));
    return finish(std::move(*wrap));
  }
  size_t at = 0;
  Result<std::vector<ExprPtr>> children = nest_parts(parts, at, -1);
  if (!children) return pass(children);
  if (children->empty() ||
      (children->size() == 1 && children->front()->kind == Expr::Kind::kLiteral)) {
    Result<ExprPtr> literal = make(Expr::Kind::kLiteral, span);
    if (!literal) return literal;
    (*literal)->literal = children->empty() ? Value::string("") : children->front()->literal;
    return literal;
  }
  Result<ExprPtr> expr = make(Expr::Kind::kTemplate, span);
  if (!expr) return expr;
  (*expr)->children = std::move(*children);
  return finish(std::move(*expr));
}

// ---- from text to parts ----

bool Parser::heredoc_ends(const TemplateEnd& end, uint32_t at, uint32_t* marker_end) const {
  std::string_view text = lexer_.text();
  size_t line_end = std::min(text.find('\n', at), text.size());
  std::string_view line = text.substr(at, line_end - at);
  size_t first = 0;
  while (first < line.size() && is_ascii_space(line[first])) ++first;
  size_t last = line.size();
  while (last > first && is_ascii_space(line[last - 1])) --last;
  if (line.substr(first, last - first) != end.marker) return false;
  *marker_end = static_cast<uint32_t>(at + last);
  return true;
}

Result<void> Parser::parse_parts(const TemplateEnd& end, std::vector<Part>& parts) {
  std::string_view text = lexer_.text();
  bool trims_next = false;
  // At the start of a line a heredoc may end.
  bool at_line_start = true;
  while (true) {
    uint32_t at = lexer_.position();
    if (end.kind == TemplateEnd::Kind::kHeredoc && at_line_start) {
      uint32_t marker_end = 0;
      if (heredoc_ends(end, at, &marker_end)) {
        lexer_.set_position(marker_end);
        return {};
      }
    }
    at_line_start = false;
    if (at >= text.size()) {
      if (end.kind == TemplateEnd::Kind::kFile) return {};
      if (end.kind == TemplateEnd::Kind::kQuote) {
        return fail_at(end.open,
                       "expected a closing quote for this string before the end of the file");
      }
      return fail_at(end.open, "expected a line with \"{}\" alone to end this heredoc", end.marker);
    }
    if (end.kind == TemplateEnd::Kind::kQuote && text[at] == '"') {
      lexer_.set_position(at + 1);
      return {};
    }
    if (text.substr(at).starts_with("${") || text.substr(at).starts_with("%{")) {
      bool trims_before = at + 2 < text.size() && text[at + 2] == '~';
      if (trims_before && !parts.empty() && parts.back().kind == Part::Kind::kText) {
        trim_right(parts.back().text);
      }
      Result<void> sequence = parse_sequence(end, parts, &trims_next);
      if (!sequence) return sequence;
      continue;
    }
    Part part;
    Result<void> literal = parse_literal(end, part);
    if (!literal) return literal;
    at_line_start = text[lexer_.position() - 1] == '\n';
    if (trims_next) trim_left(part.text);
    trims_next = false;
    parts.push_back(std::move(part));
    Result<void> counted = count_node(parts.back().span);
    if (!counted) return counted;
  }
}

// Up to the next sequence, the end of the template or, in a heredoc, the end of the line.
Result<void> Parser::parse_literal(const TemplateEnd& end, Part& part) {
  std::string_view text = lexer_.text();
  uint32_t begin = lexer_.position();
  uint32_t at = begin;
  bool quoted = end.kind == TemplateEnd::Kind::kQuote;
  while (at < text.size()) {
    char c = text[at];
    std::string_view rest = text.substr(at, 3);
    if (rest == "$${" || rest == "%%{") {
      part.text += rest.substr(1);
      at += 3;
    } else if (rest.starts_with("${") || rest.starts_with("%{") || (quoted && c == '"')) {
      break;
    } else if (quoted && c == '\n') {
      return fail_at(end.open,
                     "expected a closing quote on the same line (text of several lines goes "
                     "into a heredoc)");
    } else if (quoted && c == '\\') {
      lexer_.set_position(at);
      Result<void> escape = parse_escape(part.text);
      if (!escape) return escape;
      at = lexer_.position();
    } else {
      part.text += c;
      ++at;
      if (!quoted && c == '\n') break;
    }
  }
  lexer_.set_position(at);
  part.kind = Part::Kind::kText;
  part.span = lexer_.span(begin, at);
  return {};
}

Result<void> Parser::parse_escape(std::string& out) {
  std::string_view text = lexer_.text();
  uint32_t at = lexer_.position();
  char c = at + 1 < text.size() ? text[at + 1] : '\0';
  size_t digits = 0;
  switch (c) {
    case 'n': out += '\n'; break;
    case 'r': out += '\r'; break;
    case 't': out += '\t'; break;
    case '"': out += '"'; break;
    case '\\': out += '\\'; break;
    case 'u': digits = 4; break;
    case 'U': digits = 8; break;
    default:
      return fail_at(lexer_.span(at, at + 1),
                     "expected one of \\n \\r \\t \\\" \\\\ \\uNNNN "
                     "\\UNNNNNNNN (a backslash itself is written \\\\)");
  }
  uint32_t code_point = 0;
  for (size_t i = 0; i < digits; ++i) {
    int digit = at + 2 + i < text.size() ? hex_digit(text[at + 2 + i]) : -1;
    if (digit < 0) {
      return fail_at(lexer_.span(at, at + 1), "expected {} hexadecimal digits after \\{}", digits,
                     c);
    }
    code_point = code_point * 16 + static_cast<uint32_t>(digit);
  }
  if (digits != 0) {
    if (!is_unicode_scalar(code_point)) {
      return fail_at(lexer_.span(at, at + 1),
                     "expected the number of a character that Unicode has");
    }
    append_code_point(out, code_point);
  }
  lexer_.set_position(static_cast<uint32_t>(at + 2 + digits));
  return {};
}

// `${` or `%{` and what is inside, with the closing brace.
Result<void> Parser::parse_sequence(const TemplateEnd& end, std::vector<Part>& parts,
                                    bool* trims_next) {
  uint32_t begin = lexer_.position();
  bool directive = lexer_.text()[begin] == '%';
  uint32_t inside = begin + 2;
  if (inside < lexer_.text().size() && lexer_.text()[inside] == '~') ++inside;
  lexer_.set_position(inside);
  bool was = lexer_.set_skips_newlines(true);
  Part part;
  part.span = lexer_.span(begin, inside);
  if (directive) {
    Result<void> parsed = parse_directive(part);
    if (!parsed) return parsed;
  } else {
    part.kind = Part::Kind::kValue;
    Result<ExprPtr> expr = parse_expr();
    if (!expr) return pass(expr);
    part.expr = std::move(*expr);
  }
  Result<void> closed = close_sequence(end, begin, trims_next);
  if (!closed) return closed;
  lexer_.set_skips_newlines(was);
  part.span.end = lexer_.position();
  parts.push_back(std::move(part));
  return {};
}

Result<void> Parser::parse_directive(Part& part) {
  Result<Token> word =
      expect(TokenKind::kIdentifier, "if, else, endif, for or endfor after \"%{\"");
  if (!word) return pass(word);
  std::string_view text = lexer_.text(*word);
  if (text == "else" || text == "endif" || text == "endfor") {
    part.kind = text == "else"    ? Part::Kind::kElse
                : text == "endif" ? Part::Kind::kEndIf
                                  : Part::Kind::kEndFor;
    return {};
  }
  if (text == "if") {
    part.kind = Part::Kind::kIf;
    Result<ExprPtr> condition = parse_expr();
    if (!condition) return pass(condition);
    part.expr = std::move(*condition);
    return {};
  }
  if (text == "for") {
    part.kind = Part::Kind::kFor;
    Result<ExprPtr> loop = make(Expr::Kind::kFor, part.span);
    if (!loop) return pass(loop);
    part.expr = std::move(*loop);
    return parse_for_intro(*part.expr);
  }
  return fail_at(lexer_.span(*word),
                 "expected if, else, endif, for or endfor after \"%{{\", found "
                 "\"{}\"",
                 text);
}

Result<void> Parser::close_sequence(const TemplateEnd& end, uint32_t begin, bool* trims_next) {
  Token close = lexer_.peek();
  if (close.kind != TokenKind::kCloseBrace && close.kind != TokenKind::kTrimClose) {
    std::string_view opener = lexer_.text().substr(begin, 2);
    Position open = position_of(lexer_.span(begin, begin + 2));
    if (end.kind != TemplateEnd::Kind::kQuote || close.kind == TokenKind::kColon) {
      return expected(
          "\"}}\" for the \"{}\" of line {}, column {} (text for another language is "
          "written \"{}{{\")",
          opener, open.line, open.column, opener[0] == '$' ? "$$" : "%%");
    }
    return expected("\"}}\" for the \"{}\" of line {}, column {}", opener, open.line, open.column);
  }
  lexer_.take();
  *trims_next = close.kind == TokenKind::kTrimClose;
  return {};
}

}  // namespace sluice::hcl
