// The values of HCL expressions and their types.
//
// Both are immutable values: copying one shares its elements, so threads may share them freely. A
// tuple and an object know the type of each element (they are what `[...]` and `{...}` make); a
// list, set or map has one type for all (they are what conversions and some functions make). There
// are no unknown values: what only the node can know stays as text (eval.h). Limits: the
// evaluator's budget bounds how many elements and bytes an evaluation makes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/hcl/number.h"
#include "core/json.h"
#include "core/result.h"

namespace sluice::hcl {

struct NamedType;

class Type {
 public:
  // kDynamic is the type of a bare `null`, and in a type constraint stands for "any".
  enum class Kind : uint8_t {
    kDynamic,
    kBool,
    kNumber,
    kString,
    kList,
    kSet,
    kMap,
    kTuple,
    kObject,
  };

  Type() = default;  // dynamic
  static Type dynamic() { return {}; }
  static Type boolean() { return Type(Kind::kBool); }
  static Type number() { return Type(Kind::kNumber); }
  static Type string() { return Type(Kind::kString); }
  static Type list(Type element);
  static Type set(Type element);
  static Type map(Type element);
  static Type tuple(std::vector<Type> elements);
  /// Sorts the attributes by name.
  static Type object(std::vector<NamedType> attributes);

  [[nodiscard]] Kind kind() const { return kind_; }
  [[nodiscard]] bool is_primitive() const;
  [[nodiscard]] bool is_collection() const;  // list, set or map
  [[nodiscard]] bool is_sequence() const;    // list, set or tuple
  [[nodiscard]] bool is_mapping() const;     // map or object
  /// Of a list, set or map.
  [[nodiscard]] const Type& element() const;
  /// Of a tuple.
  [[nodiscard]] const std::vector<Type>& elements() const;
  /// Of an object.
  [[nodiscard]] const std::vector<NamedType>& attributes() const;
  [[nodiscard]] const NamedType* attribute(std::string_view name) const;
  /// True if dynamic stands anywhere in it.
  [[nodiscard]] bool has_dynamic() const;

  /// As messages name it: "string", "list of number", "object".
  [[nodiscard]] std::string name() const;

  friend bool operator==(const Type& a, const Type& b);

 private:
  struct Node;
  explicit Type(Kind kind) : kind_(kind) {}
  Type(Kind kind, std::shared_ptr<const Node> node) : kind_(kind), node_(std::move(node)) {}

  Kind kind_ = Kind::kDynamic;
  std::shared_ptr<const Node> node_;
};

struct NamedType {
  std::string name;
  Type type;
  bool optional = false;  // in a type constraint only
};

struct NamedValue;

class Value {
 public:
  using Items = std::vector<Value>;         // of a list, set (sorted) or tuple
  using Members = std::vector<NamedValue>;  // of a map or object, sorted by name

  Value() = default;  // null of the dynamic type
  static Value null(Type type = Type::dynamic());
  static Value boolean(bool value);
  static Value number(Number value);
  static Value string(std::string value);
  static Value tuple(Items items);
  /// Sorts the members by name; of a name given twice the last counts.
  static Value object(Members members);
  // The items must be of the element type, which CHECKs only their count of kinds cheaply: convert
  // first.
  static Value list(Type element, Items items);
  static Value set(Type element, Items items);  // sorts, drops repeated ones
  static Value map(Type element, Members members);

  [[nodiscard]] const Type& type() const { return type_; }
  [[nodiscard]] Type::Kind kind() const { return type_.kind(); }
  [[nodiscard]] bool is_null() const { return data_.index() == 0; }

  // These CHECK the kind and that it is not null.
  [[nodiscard]] bool as_bool() const;
  [[nodiscard]] const Number& as_number() const;
  [[nodiscard]] const std::string& as_string() const;
  [[nodiscard]] const Items& items() const;
  [[nodiscard]] const Members& members() const;

  /// The member of a map or object, nullptr if there is none.
  [[nodiscard]] const Value* member(std::string_view name) const;
  /// Items or members; 0 for every other kind and for null.
  [[nodiscard]] size_t size() const;
  /// Of nesting: 1 for what holds no others.
  [[nodiscard]] uint32_t depth() const { return depth_; }
  /// About the bytes that it takes written out: what is shared counts each time.
  [[nodiscard]] uint64_t footprint() const { return footprint_; }

  /// Same type and same content, as `==` in HCL sees it.
  friend bool operator==(const Value& a, const Value& b);

 private:
  using ItemsPointer = std::shared_ptr<const Items>;
  using MembersPointer = std::shared_ptr<const Members>;

  void set_items(Items items);
  void set_members(Members members);

  static constexpr uint64_t kNodeFootprint = 8;

  uint32_t depth_ = 1;
  uint64_t footprint_ = kNodeFootprint;
  Type type_;
  std::variant<std::monostate, bool, Number, std::shared_ptr<const std::string>, ItemsPointer,
               MembersPointer>
      data_;
};

struct NamedValue {
  std::string name;
  Value value;
};

/// The order of a set: numbers by size, strings by bytes, false before true, the rest by its
/// elements.
bool sorts_before(const Value& a, const Value& b);

/// The value as one of that type, as HCL converts: between strings and numbers or booleans, between
/// the kinds of sequences and of mappings, element by element. The message says what stands in the
/// way, and in which element.
Result<Value> convert(const Value& value, const Type& type);

/// kSafe: only what no value of the type fails. kUnsafe: what some values may, as strings as
/// numbers do.
enum class Strictness : uint8_t { kSafe, kUnsafe };

bool can_convert(const Type& from, const Type& to, Strictness strictness);

/// The most general type that all of these can become; nullopt if there is none, or none are given.
std::optional<Type> unify(const std::vector<Type>& types, Strictness strictness);

/// "a string is required" and the like, for a value that `type` was wanted of.
std::string required_type(const Type& type);

/// Numbers that are whole and fit become integers, others doubles; sets become arrays.
Json to_json_value(const Value& value);

/// Objects become objects, arrays tuples.
Value from_json_value(const Json& json);

}  // namespace sluice::hcl
