// Text of HTTP/1 heads: which bytes may stand where, and lists.
//
// Owner, thread: none; pure functions and constant tables.
#pragma once

#include <cstddef>
#include <string_view>

#include "core/ascii.h"

namespace sluice::http1 {

struct ByteTable {
  bool is[256];
};

// tchar of RFC 9110 5.6.2.
inline constexpr auto kToken = [] {
  ByteTable table{};
  for (int c = '0'; c <= '9'; ++c) table.is[c] = true;
  for (int c = 'a'; c <= 'z'; ++c) table.is[c] = table.is[c - 32] = true;
  for (char c : std::string_view("!#$%&'*+-.^_`|~")) table.is[static_cast<unsigned char>(c)] = true;
  return table;
}();

// What a request target may hold: visible ASCII without '#', which never goes on the wire (RFC
// 9112 3.2).
inline constexpr auto kTarget = [] {
  ByteTable table{};
  for (int c = 0x21; c <= 0x7e; ++c) table.is[c] = c != '#';
  return table;
}();

// reg-name of RFC 3986 3.2.2.
inline constexpr auto kRegName = [] {
  ByteTable table{};
  for (int c = '0'; c <= '9'; ++c) table.is[c] = true;
  for (int c = 'a'; c <= 'z'; ++c) table.is[c] = table.is[c - 32] = true;
  for (char c : std::string_view("-._~%!$&'()*+;=")) table.is[static_cast<unsigned char>(c)] = true;
  return table;
}();

inline bool all(const ByteTable& table, std::string_view text) {
  for (const char c : text) {
    if (!table.is[static_cast<unsigned char>(c)]) return false;
  }
  return true;
}

using ascii::lower;

inline bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

inline std::string_view trim(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

/// Calls f(element) for each element of a comma-separated list, trimmed, empty ones too.
template <class F>
void for_each_element(std::string_view list, F f) {
  for (;;) {
    const size_t comma = list.find(',');
    f(trim(list.substr(0, comma)));
    if (comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}

}  // namespace sluice::http1
