// Settings written as JSON (RFC 8259), as the tree that the same settings in HCL's native syntax
// have.
//
// What for: agent configuration, which Nomad takes in both forms. The table that the body is
// decoded by (schema.h) says here what is a block and what an argument: a block is an object, or an
// array of objects where it may be repeated; labels are keys. Strings are plain text: nothing is
// evaluated in them. Errors have their place as in native files. Pure; any thread. Limits:
// HclLimits.
#pragma once

#include <string>
#include <string_view>

#include "core/hcl/ast.h"
#include "core/hcl/schema.h"
#include "core/result.h"

namespace sluice::hcl {

/// True if the text can only be JSON: no native file begins with a brace.
bool looks_like_json(std::string_view text);

/// A file whose whole text is one object.
Result<File> parse_json_file(std::string name, std::string text, const BodySchema& schema,
                             const HclLimits& limits = {});

}  // namespace sluice::hcl
