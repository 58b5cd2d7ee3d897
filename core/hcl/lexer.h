// The tokens of HCL outside of templates. Inside one the parser reads characters itself
// (template.cc).
//
// Owned by the parser. One token of lookahead, scanned on demand, because what comes next depends
// on where the parser is: in a template, or in brackets, where line ends do not count.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/hcl/source.h"

namespace sluice::hcl {

enum class TokenKind : uint8_t {
  kEnd,
  kNewline,
  kIdentifier,
  kNumber,
  kQuote,
  kHeredoc,
  kOpenBrace,
  kCloseBrace,
  kOpenBracket,
  kCloseBracket,
  kOpenParen,
  kCloseParen,
  kComma,
  kDot,
  kColon,
  kAssign,
  kArrow,
  kQuestion,
  kEllipsis,
  kTrimClose,  // ~}
  kNot,
  kAnd,
  kOr,
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kPlus,
  kMinus,
  kStar,
  kSlash,
  kPercent,
  kInvalid,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  uint32_t begin = 0;
  uint32_t end = 0;
};

class Lexer {
 public:
  explicit Lexer(const Source& source) : source_(source), text_(source.text()) {}

  [[nodiscard]] const Token& peek();
  Token take();
  /// The token after the next one, which does not move.
  [[nodiscard]] Token peek_second();

  // In brackets line ends are white space.
  bool set_skips_newlines(bool skip);  // returns what it was

  // For templates: the place behind the last taken token, and going on from elsewhere.
  [[nodiscard]] uint32_t position() const { return position_; }
  void set_position(uint32_t position);

  [[nodiscard]] std::string_view text() const { return text_; }
  [[nodiscard]] std::string_view text(const Token& token) const {
    return text_.substr(token.begin, token.end - token.begin);
  }
  [[nodiscard]] Span span(const Token& token) const { return {&source_, token.begin, token.end}; }
  [[nodiscard]] Span span(uint32_t begin, uint32_t end) const { return {&source_, begin, end}; }

 private:
  Token scan(uint32_t at) const;
  uint32_t skip_space(uint32_t at, bool* unclosed) const;
  [[nodiscard]] char at(uint32_t i) const { return i < text_.size() ? text_[i] : '\0'; }

  const Source& source_;
  std::string_view text_;
  uint32_t position_ = 0;
  bool skip_newlines_ = false;
  bool cached_ = false;
  Token next_;
};

/// As messages name a token: `"}"`, `the end of the file`, `the name "job"`.
std::string describe(const Lexer& lexer, const Token& token);

/// The length of the identifier's character at the start of the text, 0 if there is none.
size_t identifier_char(std::string_view text, bool first);

}  // namespace sluice::hcl
