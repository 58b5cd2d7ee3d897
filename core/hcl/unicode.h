// What of Unicode the functions need: characters as a reader counts them, and upper and lower case.
//
// Pure; any thread. Characters follow UAX #29 as far as the C library's tables carry: a base with
// what combines with it, emoji with their joiners and skin tones, pairs of flags, Hangul syllables.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::hcl {

/// The code point at the start of the text and its length in bytes; a byte that is no valid UTF-8
/// counts as U+FFFD of length 1. Requires text that is not empty.
struct CodePoint {
  uint32_t value;
  size_t length;
};
CodePoint first_code_point(std::string_view text);
void append_code_point(std::string& out, uint32_t value);
bool is_valid_utf8(std::string_view text);

/// The length in bytes of the first character as a reader counts (a grapheme cluster).
size_t first_character(std::string_view text);
size_t count_characters(std::string_view text);

std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);
/// The first letter of each word in upper case.
std::string to_title(std::string_view text);
bool is_space(uint32_t code_point);
/// What a name may begin with, and what may combine with that (UAX #31, as far as those tables
/// carry).
bool is_letter(uint32_t code_point);
bool is_mark(uint32_t code_point);

}  // namespace sluice::hcl
