// The tree that the parser makes of HCL text. Every node has its span.
//
// A File owns its source and its tree, and never changes once parsed: threads may share it.
// Limits: HclLimits bound the count of nodes and the depth, so walking it recursively is safe.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/hcl/source.h"
#include "core/hcl/value.h"

namespace sluice::hcl {

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

enum class Op : uint8_t {
  kNone,
  kOr,
  kAnd,
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kRemainder,
  kNegate,
  kNot,
};

struct Expr {
  // What `children`, `name`, `other_name`, `flag` and `literal` hold in each kind; a child in []
  // may be null.
  enum class Kind : uint8_t {
    kLiteral,      // literal
    kTemplate,     // the parts, joined as strings
    kTemplateFor,  // a kFor whose elements are joined
    kWrap,         // "${x}" and nothing else: the value of x as it is
    kVariable,     // name
    kSplatItem,    // the element at hand of the innermost splat
    kMember,       // child 0, member name
    kIndex,        // child 0, key child 1
    kSplat,        // child 0, for each element child 1
    kCall,         // name; arguments; flag: the last argument is spread
    kUnary,        // op; operand
    kBinary,       // op; left, right
    kConditional,  // condition, if true, if false
    kTuple,        // elements
    kObject,       // key, value, key, value, ...
    kFor,     // collection, [key], value, [condition]; name: value's, other_name: key's or empty;
              // flag: values are grouped by key
    kParens,  // child 0
  };

  Kind kind = Kind::kLiteral;
  Op op = Op::kNone;
  bool flag = false;
  uint16_t depth = 1;  // of the tree below, this node included
  Span span;
  std::string name;
  std::string other_name;
  Value literal;
  std::vector<ExprPtr> children;
};

struct Attribute {
  std::string name;
  Span name_span;
  Span span;
  ExprPtr value;
};

struct Block;

struct Body {
  std::vector<Attribute> attributes;
  std::vector<Block> blocks;
  Span end;  // the closing brace or the end of the file: where something is missing

  [[nodiscard]] const Attribute* attribute(std::string_view name) const;
};

struct Label {
  std::string text;
  Span span;
};

struct Block {
  std::string type;
  Span type_span;
  Span header;  // type and labels
  std::vector<Label> labels;
  Body body;
};

struct File {
  std::shared_ptr<const Source> source;
  Body body;
};

/// An expression that stands alone, as in a variable's value on the command line.
struct Expression {
  std::shared_ptr<const Source> source;
  ExprPtr expr;
};

}  // namespace sluice::hcl
