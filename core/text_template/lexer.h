// The words of one action of a text template. Internal to core/text_template; pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "core/result.h"

namespace sluice::text_template {

struct Token {
  enum class Kind : uint8_t {
    kEnd,
    kWord,      // if, end, a function
    kField,     // .Name
    kDot,       // . alone
    kVariable,  // $, $name
    kLiteral,
    kPipe,
    kOpen,
    kClose,
    kComma,
    kDeclare,
    kAssign,
  } kind = Kind::kEnd;
  std::string text;
  Json literal;
  bool spaced = false;  // a space stands before it: `.A.B` is one operand, `.A .B` are two
};

Result<std::vector<Token>> tokens_of(std::string_view action);

/// Go's white space in templates.
constexpr bool space_byte(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/// UTF-8 of a code point.
void put_utf8(std::string& out, uint32_t code);

}  // namespace sluice::text_template
