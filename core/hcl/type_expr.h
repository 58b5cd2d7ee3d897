// Type constraints as they are written: string, list(number), object({a = string, b =
// optional(bool)}).
//
// What for: `type = ...` of a variable, and the function convert. Pure.
#pragma once

#include "core/hcl/ast.h"
#include "core/hcl/value.h"
#include "core/result.h"

namespace sluice::hcl {

/// The error is a whole message with its place.
Result<Type> parse_type(const Expr& expr);

/// As parse_type reads it: "list(string)", "any".
std::string type_text(const Type& type);

}  // namespace sluice::hcl
