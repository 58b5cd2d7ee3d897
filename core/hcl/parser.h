// HCL2's native syntax, from text to tree.
//
// Follows the HCL native syntax specification. The first error ends the parse; it says what was
// expected, where (source.h). Pure: no file is opened; any thread. Limits: HclLimits.
#pragma once

#include <memory>
#include <string>

#include "core/hcl/ast.h"
#include "core/result.h"

namespace sluice::hcl {

/// A whole file: attributes and blocks. `name` is what errors call the file.
Result<File> parse_file(std::string name, std::string text, const HclLimits& limits = {});

/// One expression, which may span lines; nothing may follow it.
Result<Expression> parse_expression(std::string name, std::string text,
                                    const HclLimits& limits = {});

/// A template without quotes around it, as a file of its own would be.
Result<Expression> parse_template(std::string name, std::string text, const HclLimits& limits = {});

/// True for what may stand as a bare name: a letter or underscore, then letters, digits, _ and -.
bool is_identifier(std::string_view text);

}  // namespace sluice::hcl
