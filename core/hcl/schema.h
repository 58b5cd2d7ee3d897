// From a body of blocks and arguments to JSON, by tables that say what may stand where.
//
// What for: job files and agent configuration: the table names each argument and block, its name in
// the JSON and its type; whatever it does not name is an error at its place, with a suggestion. Or
// without a table: what drivers are configured with is theirs to judge (free_form_json). Only what
// is set comes into the JSON, so an explicit 0 or "" differs from nothing. Tables are constants;
// any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/hcl/ast.h"
#include "core/hcl/eval.h"
#include "core/json.h"
#include "core/result.h"

namespace sluice::hcl {

enum class ArgumentType : uint8_t {
  kString,
  kWhole,   // whole number between min and max
  kNumber,  // any number
  kBool,
  kDuration,       // "1m30s", or a whole number of nanoseconds, at least min; JSON: nanoseconds
  kStrings,        // list of strings
  kAny,            // whatever it is
  kStringMap,      // name = { ... }, or a block name { ... }, of strings
  kStringListMap,  // the same, of lists of strings
};

struct ArgumentSchema {
  std::string_view name;
  std::string_view json;
  ArgumentType type = ArgumentType::kString;
  int64_t min = INT64_MIN;
  int64_t max = INT64_MAX;
  std::span<const std::string_view> words = {};  // of a kString: what it may be, beside ""
  bool refused = false;  // known, and not supported: only what says nothing, as false or ""
};

/// A string that is one of those words.
constexpr ArgumentSchema one_of(std::string_view name, std::string_view json,
                                std::span<const std::string_view> words) {
  return {.name = name, .json = json, .words = words};
}

/// An argument of the language that is not supported.
constexpr ArgumentSchema not_ours(std::string_view name, std::string_view json,
                                  ArgumentType type = ArgumentType::kString) {
  return {.name = name, .json = json, .type = type, .refused = true};
}

enum class BlockUse : uint8_t {
  kOnce,      // an object
  kRepeated,  // an array of objects
  kByLabel,   // an object with the label as the key
  kFreeForm,  // once; free_form_json of its body
  kRefused,   // known, and not supported
};

struct BodySchema;

struct BlockSchema {
  std::string_view name;
  std::string_view json;
  BlockUse use = BlockUse::kOnce;
  const BodySchema* body = nullptr;
  // JSON name of the label, which is required then; empty: the block takes no label.
  std::string_view label_json = {};
};

/// What `finish` may look at and change once a body is decoded.
struct DecodedBody {
  Json& json;
  const Body& body;
  Span place;  // the block's name
};

struct BodySchema {
  std::span<const ArgumentSchema> arguments;
  std::span<const BlockSchema> blocks;
  // For what tables cannot say; may be null.
  Result<void> (*finish)(DecodedBody& decoded) = nullptr;
};

/// The body by its schema. `dynamic` blocks are expanded.
Result<Json> decode_body(const Body& body, const BodySchema& schema, Span place,
                         Evaluator& evaluator, const Scope& scope);

/// Without a schema, in the form that drivers have always been given: arguments as they are, but an
/// object literal as a list of it; blocks of one name as a list of objects; a label wraps its
/// block's object: `a "x" { b = 1 }` is {"a": [{"x": [{"b": 1}]}]}.
Result<Json> free_form_json(const Body& body, Evaluator& evaluator, const Scope& scope);

}  // namespace sluice::hcl
