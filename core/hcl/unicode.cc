#include "core/hcl/unicode.h"

#include <locale.h>
#include <wchar.h>
#include <wctype.h>

namespace sluice::hcl {

namespace {

// The C library's tables, by a locale of our own: the process's stays as it is. Never freed.
locale_t tables() {
  static const locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  return locale;
}

// wcwidth has no form that takes a locale.
int width_of(uint32_t c) {
  locale_t before = uselocale(tables());
  int width = wcwidth(static_cast<wchar_t>(c));
  uselocale(before);
  return width;
}

bool within(uint32_t c, uint32_t first, uint32_t last) {
  return c >= first && c <= last;
}

constexpr uint32_t kJoiner = 0x200D;

bool is_regional(uint32_t c) {
  return within(c, 0x1F1E6, 0x1F1FF);
}

bool is_pictograph(uint32_t c) {
  return within(c, 0x1F300, 0x1FAFF) || within(c, 0x2600, 0x27BF) || within(c, 0x2190, 0x21FF) ||
         within(c, 0x2B00, 0x2BFF) || within(c, 0x1F000, 0x1F0FF) || c == 0x00A9 || c == 0x00AE;
}

// What never stands alone: combining marks, joiners, variation selectors, skin tones.
bool extends(uint32_t c) {
  if (c < 0x300) return false;
  if (c == kJoiner || within(c, 0xFE00, 0xFE0F) || within(c, 0x1F3FB, 0x1F3FF)) return true;
  if (within(c, 0x1160, 0x11FF) || within(c, 0x200B, 0x200F) || within(c, 0x2028, 0x202E) ||
      within(c, 0x2060, 0x206F) || c == 0xFEFF) {
    return c == 0x200C;
  }
  return width_of(c) == 0;
}

enum class Hangul : uint8_t { kNone, kLead, kVowel, kTail, kSyllable, kFullSyllable };

Hangul hangul(uint32_t c) {
  if (within(c, 0x1100, 0x115F)) return Hangul::kLead;
  if (within(c, 0x1160, 0x11A7)) return Hangul::kVowel;
  if (within(c, 0x11A8, 0x11FF)) return Hangul::kTail;
  if (!within(c, 0xAC00, 0xD7A3)) return Hangul::kNone;
  constexpr uint32_t kTails = 28;
  return (c - 0xAC00) % kTails == 0 ? Hangul::kSyllable : Hangul::kFullSyllable;
}

bool joins_hangul(uint32_t before, uint32_t after) {
  Hangul a = hangul(before);
  Hangul b = hangul(after);
  switch (a) {
    case Hangul::kNone: return false;
    case Hangul::kLead: return b != Hangul::kNone && b != Hangul::kTail;
    case Hangul::kVowel:
    case Hangul::kSyllable: return b == Hangul::kVowel || b == Hangul::kTail;
    case Hangul::kTail:
    case Hangul::kFullSyllable: return b == Hangul::kTail;
  }
  return false;
}

}  // namespace

CodePoint first_code_point(std::string_view text) {
  constexpr CodePoint kBroken{0xFFFD, 1};
  auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  uint32_t c = byte(0);
  if (c < 0x80) return {c, 1};
  size_t length = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
  if (c < 0xC2 || c > 0xF4 || text.size() < length) return kBroken;
  uint32_t value = c & (0xFFu >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return kBroken;
    value = (value << 6) | (byte(i) & 0x3Fu);
  }
  bool overlong = (length == 3 && value < 0x800) || (length == 4 && value < 0x10000);
  if (overlong || value > 0x10FFFF || within(value, 0xD800, 0xDFFF)) return kBroken;
  return {value, length};
}

void append_code_point(std::string& out, uint32_t c) {
  auto tail = [&](int shift) { out += static_cast<char>(0x80 | ((c >> shift) & 0x3F)); };
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | (c >> 6));
    tail(0);
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | (c >> 12));
    tail(6);
    tail(0);
  } else {
    out += static_cast<char>(0xF0 | (c >> 18));
    tail(12);
    tail(6);
    tail(0);
  }
}

bool is_valid_utf8(std::string_view text) {
  while (!text.empty()) {
    CodePoint c = first_code_point(text);
    if (c.length == 1 && c.value == 0xFFFD) return false;
    text.remove_prefix(c.length);
  }
  return true;
}

size_t first_character(std::string_view text) {
  if (text.starts_with("\r\n")) return 2;
  CodePoint last = first_code_point(text);
  size_t length = last.length;
  if (last.value < 0x20 || last.value == 0x7F) return length;
  bool picture = is_pictograph(last.value);
  bool flag = is_regional(last.value);
  while (length < text.size()) {
    CodePoint next = first_code_point(text.substr(length));
    bool joined_picture = picture && last.value == kJoiner && is_pictograph(next.value);
    bool flag_pair = flag && is_regional(next.value);
    if (!extends(next.value) && !joined_picture && !flag_pair &&
        !joins_hangul(last.value, next.value)) {
      break;
    }
    flag = false;
    length += next.length;
    last = next;
  }
  return length;
}

size_t count_characters(std::string_view text) {
  size_t count = 0;
  while (!text.empty()) {
    text.remove_prefix(first_character(text));
    ++count;
  }
  return count;
}

template <class Change>
static std::string map_code_points(std::string_view text, Change change) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    CodePoint c = first_code_point(text);
    append_code_point(out, change(c.value));
    text.remove_prefix(c.length);
  }
  return out;
}

std::string to_upper(std::string_view text) {
  return map_code_points(text, [](uint32_t c) {
    return static_cast<uint32_t>(towupper_l(static_cast<wint_t>(c), tables()));
  });
}

std::string to_lower(std::string_view text) {
  return map_code_points(text, [](uint32_t c) {
    return static_cast<uint32_t>(towlower_l(static_cast<wint_t>(c), tables()));
  });
}

bool is_space(uint32_t c) {
  return within(c, 9, 13) || c == ' ' || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         within(c, 0x2000, 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

std::string to_title(std::string_view text) {
  bool at_word = true;
  return map_code_points(text, [&](uint32_t c) {
    uint32_t out =
        at_word ? static_cast<uint32_t>(towupper_l(static_cast<wint_t>(c), tables())) : c;
    if (c < 0x80) {
      at_word = !iswalnum_l(static_cast<wint_t>(c), tables()) && c != '_';
    } else {
      at_word = is_space(c);
    }
    return out;
  });
}

bool is_letter(uint32_t code_point) {
  return iswalpha_l(static_cast<wint_t>(code_point), tables()) != 0;
}

bool is_mark(uint32_t code_point) {
  return code_point != kJoiner && code_point != 0x200C && extends(code_point);
}

}  // namespace sluice::hcl
