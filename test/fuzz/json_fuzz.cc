// core/json: what was read is written, and that reads back equal.
#include "core/json.h"

#include "test/fuzz/fuzz.h"

namespace sluice::fuzz {

void run(std::string_view input) {
  const JsonLimits limits{.max_values = 100'000};
  Result<Json> value = parse_json(input, limits);
  if (!value) return;
  for (const int indent : {0, 2}) {
    const std::string text = to_json(*value, indent);
    Result<Json> again = parse_json(text, limits);
    CHECK(again.has_value());
    CHECK(*again == *value);
  }
}

}  // namespace sluice::fuzz
