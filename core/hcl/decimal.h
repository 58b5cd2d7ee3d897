// Rounding and writing decimal fractions (number.h). Pure.
#pragma once

#include <cstddef>
#include <string>

#include "core/hcl/number.h"

namespace sluice::hcl {

/// To at most that many digits, half to even.
void round_decimal(Decimal& decimal, int64_t digits);

/// To the fewest digits that lie between the midpoints to the two neighbours; a midpoint itself
/// counts if rounding half to even would come back here.
void shorten(Decimal& value, const Decimal& lower, const Decimal& upper, bool inclusive);

}  // namespace sluice::hcl
