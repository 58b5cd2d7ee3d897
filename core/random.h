// Random: an interface, so that a simulation draws everything from one seed.
// Thread: an instance belongs to one thread.
#pragma once

#include <cstdint>
#include <random>
#include <string>

namespace sluice {

class Random {
 public:
  virtual ~Random() = default;
  virtual uint64_t next() = 0;

  /// Uniform in [0, bound); bound over 0. (Lemire, "Fast Random Integer Generation in an Interval",
  /// 2019, without the rejection step: the bias is below 2^-32 for the bounds we use.)
  uint64_t below(uint64_t bound) {
    return static_cast<uint64_t>((static_cast<unsigned __int128>(next()) * bound) >> 64);
  }
};

/// Repeatable. Not for secrets.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(uint64_t seed) : engine_(seed) {}
  uint64_t next() override { return engine_(); }

 private:
  std::mt19937_64 engine_;
};

/// The kernel's, by getrandom(2). For ids and seeds.
class SystemRandom final : public Random {
 public:
  uint64_t next() override;
};

/// A random (version 4) UUID, RFC 9562 section 5.4, in its 36-character form.
std::string make_uuid(Random& random);

}  // namespace sluice
