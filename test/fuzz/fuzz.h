// What the fuzz targets share: one entry point each, and a check that is on in every build.
//
// A target states properties that hold for every input (the cut into pieces changes nothing; what
// was written reads back equal), not only that nothing crashes. Thread: libFuzzer's only one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/check.h"

namespace sluice::fuzz {

/// The corpus holds text alone: "hex:" and hex digits stand for bytes.
inline std::string unhex(std::string_view input) {
  constexpr std::string_view kMark = "hex:";
  if (!input.starts_with(kMark)) return std::string(input);
  const auto value = [](char c) {
    return c <= '9' ? (c - '0') & 15 : ((c | 0x20) - 'a' + 10) & 15;
  };
  std::string bytes;
  for (size_t i = kMark.size(); i + 1 < input.size(); i += 2) {
    bytes += static_cast<char>(value(input[i]) << 4 | value(input[i + 1]));
  }
  return bytes;
}

/// One input. Defined once in each target.
void run(std::string_view input);

}  // namespace sluice::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  sluice::fuzz::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
