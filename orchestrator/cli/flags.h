// Flags of the command line, in the form that Nomad's users type: -flag, --flag, -flag=value,
// -flag value; a boolean takes no value unless it is behind `=`.
//
// Pure; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace sluice::orchestrator::cli {

struct FlagSpec {
  enum class Kind : uint8_t { kBool, kValue, kCount, kDuration };
  std::string_view name;
  Kind kind = Kind::kBool;
  std::string_view help;
};

/// What was typed, once it is known to fit the specs.
class Flags {
 public:
  /// Flags may stand before and behind other words; "--" ends them, and so does the first
  /// `words_before_rest`-th word where that is not 0 (`alloc exec ID COMMAND -of its own`).
  static Result<Flags> parse(std::span<const std::string> words,
                             std::span<const std::span<const FlagSpec>> specs,
                             size_t words_before_rest = 0);

  [[nodiscard]] bool has(std::string_view name) const { return values_.contains(name); }
  [[nodiscard]] bool is_on(std::string_view name) const;
  /// The last value given.
  [[nodiscard]] std::optional<std::string> value(std::string_view name) const;
  [[nodiscard]] std::string value_or(std::string_view name, std::string_view fallback) const;
  /// kCount and kDuration (nanoseconds); parse() has checked them.
  [[nodiscard]] int64_t number_or(std::string_view name, int64_t fallback) const;
  [[nodiscard]] std::vector<std::string> all(std::string_view name) const;
  [[nodiscard]] const std::vector<std::string>& words() const { return words_; }

 private:
  std::map<std::string, std::vector<std::string>, std::less<>> values_;
  std::map<std::string, int64_t, std::less<>> numbers_;
  std::vector<std::string> words_;
};

}  // namespace sluice::orchestrator::cli
