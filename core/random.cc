#include "core/random.h"

#include <fmt/core.h>
#include <sys/random.h>

#include "core/check.h"

namespace sluice {

uint64_t SystemRandom::next() {
  uint64_t value;
  CHECK(getrandom(&value, sizeof value, 0) == sizeof value);
  return value;
}

std::string make_uuid(Random& random) {
  const uint64_t high = (random.next() & ~uint64_t{0xf000}) | 0x4000;                 // version 4
  const uint64_t low = (random.next() & ~(uint64_t{3} << 62)) | (uint64_t{2} << 62);  // variant 10
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xffff,
                     high & 0xffff, low >> 48, low & 0xffffffffffff);
}

}  // namespace sluice
