// What the functions share (functions_*.cc). Not for others.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/hcl/eval.h"
#include "core/hcl/value.h"
#include "core/result.h"

namespace sluice::hcl {

using Arguments = std::span<const Value>;

// Each file adds its own.
void add_collection_functions(std::vector<Function>& out);
void add_set_functions(std::vector<Function>& out);
void add_number_functions(std::vector<Function>& out);
void add_string_functions(std::vector<Function>& out);
void add_format_functions(std::vector<Function>& out);
void add_date_functions(std::vector<Function>& out);
void add_encoding_functions(std::vector<Function>& out);
void add_json_functions(std::vector<Function>& out);
void add_crypto_functions(std::vector<Function>& out);
void add_regex_functions(std::vector<Function>& out);
void add_file_functions(std::vector<Function>& out);
void add_yaml_functions(std::vector<Function>& out);
void add_network_functions(std::vector<Function>& out);

/// The limit error of a function that would make too much.
inline std::unexpected<Error> too_much() {
  return fail(Code::kLimit, "this makes more than an evaluation may");
}

/// A whole number that fits in 64 bits.
inline Result<int64_t> whole(const Value& value, std::string_view what) {
  if (value.as_number().is_int64()) return value.as_number().to_int64();
  return fail(Code::kInvalid, "{}: a whole number is required, this is {}", what,
              value.as_number().text());
}

/// As Go's encoding/json writes it, which jsonencode and %q promise: also < > & and U+2028/9
/// escaped.
void append_go_json_string(std::string& out, std::string_view text);
/// Compact, object keys sorted, numbers with all their digits.
void append_go_json(std::string& out, const Value& value);

}  // namespace sluice::hcl
