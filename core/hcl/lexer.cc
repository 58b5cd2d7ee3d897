#include "core/hcl/lexer.h"

#include <string>

#include "core/check.h"
#include "core/hcl/unicode.h"

namespace sluice::hcl {

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

size_t identifier_char(std::string_view text, bool first) {
  if (text.empty()) return 0;
  auto c = static_cast<unsigned char>(text[0]);
  bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  if (letter || (!first && (is_digit(text[0]) || c == '-'))) return 1;
  if (c < 0x80) return 0;
  const CodePoint point = first_code_point(text);
  // U+FFFD, which stands for what is no UTF-8, is no letter.
  return is_letter(point.value) || (!first && is_mark(point.value)) ? point.length : 0;
}

bool Lexer::set_skips_newlines(bool skip) {
  bool was = skip_newlines_;
  skip_newlines_ = skip;
  cached_ = false;
  return was;
}

void Lexer::set_position(uint32_t position) {
  position_ = position;
  cached_ = false;
}

const Token& Lexer::peek() {
  if (!cached_) {
    next_ = scan(position_);
    cached_ = true;
  }
  return next_;
}

Token Lexer::take() {
  Token token = peek();
  position_ = token.end;
  cached_ = false;
  return token;
}

Token Lexer::peek_second() {
  return scan(peek().end);
}

// Over blanks and comments, and over line ends where those do not count. A comment to the end of
// the line stops before the line's end, which counts as if the comment were not there.
uint32_t Lexer::skip_space(uint32_t i, bool* unclosed) const {
  while (i < text_.size()) {
    char c = text_[i];
    if (c == ' ' || c == '\t' || (c == '\r' && at(i + 1) == '\n')) {
      ++i;
    } else if (c == '\n' && skip_newlines_) {
      ++i;
    } else if (c == '#' || (c == '/' && at(i + 1) == '/')) {
      size_t end = text_.find('\n', i);
      i = static_cast<uint32_t>(end == std::string_view::npos ? text_.size() : end);
    } else if (c == '/' && at(i + 1) == '*') {
      size_t end = text_.find("*/", i + 2);
      if (end == std::string_view::npos) {
        *unclosed = true;
        return i;
      }
      i = static_cast<uint32_t>(end + 2);
    } else {
      break;
    }
  }
  return i;
}

namespace {

struct Sign {
  std::string_view text;
  TokenKind kind;
};

// Longer ones first.
constexpr Sign kSigns[] = {
    {"...", TokenKind::kEllipsis},    {"&&", TokenKind::kAnd},       {"||", TokenKind::kOr},
    {"==", TokenKind::kEqual},        {"!=", TokenKind::kNotEqual},  {"<=", TokenKind::kLessEqual},
    {">=", TokenKind::kGreaterEqual}, {"=>", TokenKind::kArrow},     {"~}", TokenKind::kTrimClose},
    {"{", TokenKind::kOpenBrace},     {"}", TokenKind::kCloseBrace}, {"[", TokenKind::kOpenBracket},
    {"]", TokenKind::kCloseBracket},  {"(", TokenKind::kOpenParen},  {")", TokenKind::kCloseParen},
    {",", TokenKind::kComma},         {".", TokenKind::kDot},        {":", TokenKind::kColon},
    {"=", TokenKind::kAssign},        {"?", TokenKind::kQuestion},   {"!", TokenKind::kNot},
    {"<", TokenKind::kLess},          {">", TokenKind::kGreater},    {"+", TokenKind::kPlus},
    {"-", TokenKind::kMinus},         {"*", TokenKind::kStar},       {"/", TokenKind::kSlash},
    {"%", TokenKind::kPercent},       {"\"", TokenKind::kQuote},     {"\n", TokenKind::kNewline},
};

size_t identifier_length(std::string_view text) {
  size_t length = identifier_char(text, true);
  if (length == 0) return 0;
  while (size_t more = identifier_char(text.substr(length), false)) length += more;
  return length;
}

// Digits, then a fraction and an exponent where they are complete: "1.foo" is 1 and a dot.
size_t number_length(std::string_view text) {
  auto digits = [&](size_t from) {
    while (from < text.size() && is_digit(text[from])) ++from;
    return from;
  };
  auto exponent = [&](size_t from) {
    if (from >= text.size() || (text[from] != 'e' && text[from] != 'E')) return from;
    size_t first = from + 1;
    if (first < text.size() && (text[first] == '+' || text[first] == '-')) ++first;
    size_t end = digits(first);
    return end > first ? end : from;
  };
  size_t whole = digits(0);
  if (whole == 0) return 0;
  if (whole < text.size() && text[whole] == '.') {
    size_t fraction = digits(whole + 1);
    size_t end = exponent(fraction);
    if (end > whole + 1) return end;
  }
  return exponent(whole);
}

// "<<NAME" or "<<-NAME" and the line's end.
size_t heredoc_length(std::string_view text) {
  if (!text.starts_with("<<")) return 0;
  size_t i = text.starts_with("<<-") ? 3 : 2;
  size_t name = identifier_length(text.substr(i));
  if (name == 0) return 0;
  i += name;
  if (i < text.size() && text[i] == '\r') ++i;
  return i < text.size() && text[i] == '\n' ? i + 1 : 0;
}

}  // namespace

Token Lexer::scan(uint32_t from) const {
  bool unclosed = false;
  uint32_t begin = skip_space(from, &unclosed);
  auto token = [&](TokenKind kind, size_t length) {
    return Token{kind, begin, static_cast<uint32_t>(begin + length)};
  };
  if (unclosed) return token(TokenKind::kInvalid, 2);
  std::string_view rest = text_.substr(begin);
  if (rest.empty()) return token(TokenKind::kEnd, 0);
  if (size_t length = identifier_length(rest)) return token(TokenKind::kIdentifier, length);
  if (size_t length = number_length(rest)) return token(TokenKind::kNumber, length);
  if (size_t length = heredoc_length(rest)) return token(TokenKind::kHeredoc, length);
  for (const Sign& sign : kSigns) {
    if (rest.starts_with(sign.text)) return token(sign.kind, sign.text.size());
  }
  // One whole code point, so that no message cuts it.
  size_t length = 1;
  while (length < rest.size() && (static_cast<unsigned char>(rest[length]) & 0xC0) == 0x80)
    ++length;
  return token(TokenKind::kInvalid, length);
}

std::string describe(const Lexer& lexer, const Token& token) {
  std::string_view text = lexer.text(token);
  switch (token.kind) {
    case TokenKind::kEnd: return "the end of the file";
    case TokenKind::kNewline: return "the end of the line";
    case TokenKind::kQuote: return "a quoted string";
    case TokenKind::kHeredoc: return "a heredoc";
    case TokenKind::kIdentifier: return fmt::format("the name \"{}\"", text);
    case TokenKind::kNumber: return fmt::format("the number {}", text);
    case TokenKind::kInvalid:
      if (text == "/*") return "a comment that is never closed";
      if (text == "'") return "a single quote (strings take double quotes)";
      [[fallthrough]];
    default: return fmt::format("\"{}\"", text);
  }
}

}  // namespace sluice::hcl
