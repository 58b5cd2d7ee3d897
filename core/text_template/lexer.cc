#include "core/text_template/lexer.h"

#include <charconv>

#include "core/ascii.h"

namespace sluice::text_template {

namespace {

bool word_byte(char c) {
  return ascii::is_alphanumeric(c) || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}

/// The inside of one action as tokens.
class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  Result<std::vector<Token>> run() {
    std::vector<Token> tokens;
    while (true) {
      const size_t before = at_;
      while (at_ < text_.size() && space_byte(text_[at_])) ++at_;
      const bool spaced = at_ > before;
      if (at_ == text_.size()) return tokens;
      Result<Token> token = one();
      if (!token) return pass(token);
      token->spaced = spaced;
      tokens.push_back(*std::move(token));
    }
  }

 private:
  Result<Token> one() {
    using Kind = Token::Kind;
    const char c = text_[at_];
    if (c == '"') return quoted();
    if (c == '`') return raw();
    if (c == '\'') return character();
    const bool digit_next = at_ + 1 < text_.size() && is_digit(text_[at_ + 1]);
    if (is_digit(c) || ((c == '-' || c == '+' || c == '.') && digit_next)) return number();
    if (c == '$') {
      ++at_;
      return Token{.kind = Kind::kVariable, .text = "$" + word()};
    }
    if (c == '.') {
      ++at_;
      std::string name = word();
      const Kind kind = name.empty() ? Kind::kDot : Kind::kField;
      return Token{.kind = kind, .text = std::move(name)};
    }
    if (text_.substr(at_).starts_with(":=")) {
      at_ += 2;
      return Token{.kind = Kind::kDeclare};
    }
    constexpr std::pair<char, Kind> kMarks[] = {{'|', Kind::kPipe},
                                                {'(', Kind::kOpen},
                                                {')', Kind::kClose},
                                                {',', Kind::kComma},
                                                {'=', Kind::kAssign}};
    for (const auto& [mark, kind] : kMarks) {
      if (c != mark) continue;
      ++at_;
      return Token{.kind = kind};
    }
    if (word_byte(c)) return Token{.kind = Kind::kWord, .text = word()};
    return fail(Code::kInvalid, "unexpected \"{}\"", c);
  }

  static bool is_digit(char c) { return c >= '0' && c <= '9'; }

  std::string word() {
    const size_t begin = at_;
    while (at_ < text_.size() && word_byte(text_[at_])) ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }

  Result<Token> quoted() {
    std::string out;
    for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\n') break;
      if (text_[at_] != '\\') {
        out += text_[at_];
        continue;
      }
      if (!escape(out)) return fail(Code::kInvalid, "a wrong escape in a string");
    }
    if (at_ == text_.size() || text_[at_] != '"') {
      return fail(Code::kInvalid, "a string without its end");
    }
    ++at_;
    return Token{.kind = Token::Kind::kLiteral, .literal = Json(std::move(out))};
  }

  Result<Token> raw() {
    const size_t end = text_.find('`', at_ + 1);
    if (end == std::string_view::npos) return fail(Code::kInvalid, "a raw string without its end");
    Token token{.kind = Token::Kind::kLiteral,
                .literal = Json(std::string(text_.substr(at_ + 1, end - at_ - 1)))};
    at_ = end + 1;
    return token;
  }

  /// 'a' is its number, as in Go.
  Result<Token> character() {
    ++at_;
    std::string bytes;
    while (at_ < text_.size() && text_[at_] != '\'') {
      if (text_[at_] == '\\') {
        if (!escape(bytes)) return fail(Code::kInvalid, "a wrong escape in a character");
      } else {
        bytes += text_[at_];
      }
      ++at_;
    }
    if (at_ == text_.size() || bytes.empty()) {
      return fail(Code::kInvalid, "a character without its end");
    }
    ++at_;
    const auto first = static_cast<unsigned char>(bytes[0]);
    int64_t code = first;
    const size_t extra = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first >= 0xc0 ? 1 : 0;
    if (extra > 0) code = first & (0x3f >> extra);
    for (size_t i = 1; i <= extra && i < bytes.size(); ++i) code = code << 6 | (bytes[i] & 0x3f);
    if (bytes.size() != extra + 1) return fail(Code::kInvalid, "more than one character in ''");
    return Token{.kind = Token::Kind::kLiteral, .literal = Json(code)};
  }

  /// At the backslash; ends at the escape's last byte.
  bool escape(std::string& out) {
    if (++at_ == text_.size()) return false;
    constexpr std::pair<char, char> kSimple[] = {
        {'n', '\n'}, {'t', '\t'}, {'r', '\r'},  {'a', '\a'}, {'b', '\b'},
        {'f', '\f'}, {'v', '\v'}, {'\\', '\\'}, {'"', '"'},  {'\'', '\''}};
    for (const auto& [name, byte] : kSimple) {
      if (text_[at_] != name) continue;
      out += byte;
      return true;
    }
    const char kind = text_[at_];
    const size_t digits = kind == 'x' ? 2 : kind == 'u' ? 4 : kind == 'U' ? 8 : 0;
    if (digits == 0 || at_ + digits >= text_.size()) return false;
    uint32_t code = 0;
    const char* begin = text_.data() + at_ + 1;
    const auto [end, error] = std::from_chars(begin, begin + digits, code, 16);
    if (error != std::errc() || end != begin + digits || code > 0x10ffff) return false;
    at_ += digits;
    if (kind == 'x') {
      out += static_cast<char>(code);
    } else {
      put_utf8(out, code);
    }
    return true;
  }

  Result<Token> number() {
    const size_t begin = at_;
    while (at_ < text_.size() &&
           (word_byte(text_[at_]) || text_[at_] == '.' ||
            ((text_[at_] == '-' || text_[at_] == '+') &&
             (at_ == begin || text_[at_ - 1] == 'e' || text_[at_ - 1] == 'E')))) {
      ++at_;
    }
    std::string digits;
    for (const char c : text_.substr(begin, at_ - begin)) {
      if (c != '_') digits += c;
    }
    std::string_view body = digits;
    const bool negative = body.starts_with('-');
    if (negative || body.starts_with('+')) body.remove_prefix(1);
    int base = 10;
    constexpr std::pair<std::string_view, int> kBases[] = {{"0x", 16}, {"0X", 16}, {"0o", 8},
                                                           {"0O", 8},  {"0b", 2},  {"0B", 2}};
    for (const auto& [prefix, value] : kBases) {
      if (body.starts_with(prefix)) {
        base = value;
        body.remove_prefix(prefix.size());
        break;
      }
    }
    const bool old_octal = base == 10 && body.size() > 1 && body.starts_with('0') &&
                           body.find_first_not_of("01234567") == std::string_view::npos;
    if (old_octal) base = 8;
    int64_t whole = 0;
    auto [end, error] = std::from_chars(body.data(), body.data() + body.size(), whole, base);
    if (error == std::errc() && end == body.data() + body.size()) {
      return Token{.kind = Token::Kind::kLiteral, .literal = Json(negative ? -whole : whole)};
    }
    double real = 0;
    const auto [last, trouble] = std::from_chars(body.data(), body.data() + body.size(), real);
    if (base == 10 && trouble == std::errc() && last == body.data() + body.size()) {
      return Token{.kind = Token::Kind::kLiteral, .literal = Json(negative ? -real : real)};
    }
    return fail(Code::kInvalid, "\"{}\" is no number", digits);
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

void put_utf8(std::string& out, uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xc0 | code >> 6);
    out += static_cast<char>(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xe0 | code >> 12);
    out += static_cast<char>(0x80 | (code >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (code & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | code >> 18);
    out += static_cast<char>(0x80 | (code >> 12 & 0x3f));
    out += static_cast<char>(0x80 | (code >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (code & 0x3f));
  }
}

Result<std::vector<Token>> tokens_of(std::string_view action) {
  return Lexer(action).run();
}

}  // namespace sluice::text_template
