// What the fuzz targets share: one entry point each, and a check that is on in every build.
//
// A target states properties that hold for every input (the cut into pieces changes nothing; what
// was written reads back equal), not only that nothing crashes. Thread: libFuzzer's only one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/check.h"

namespace sluice::fuzz {

/// One input. Defined once in each target.
void run(std::string_view input);

}  // namespace sluice::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  sluice::fuzz::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
