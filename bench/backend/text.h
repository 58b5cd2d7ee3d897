// Small readings of text, and the way out for what cannot be read.
//
// Pure but for die().
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

namespace backend {

[[noreturn]] inline void die(const std::string& why) {
  fprintf(stderr, "backend: %s\n", why.c_str());
  exit(2);
}

inline uint64_t number(std::string_view s, uint64_t otherwise = 0) {
  uint64_t n = otherwise;
  std::from_chars(s.data(), s.data() + s.size(), n);
  return n;
}

inline bool same(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

inline std::string_view trim(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  return s;
}

}  // namespace backend
