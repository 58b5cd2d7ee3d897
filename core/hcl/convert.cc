// Conversions between types, and the type that several types have in common. The rules are those of
// the type system that HCL's reference implementation stands on.
#include <algorithm>
#include <string>

#include "core/check.h"
#include "core/hcl/value.h"

namespace sluice::hcl {

std::string required_type(const Type& type) {
  switch (type.kind()) {
    case Type::Kind::kDynamic: return "a value is required";
    case Type::Kind::kBool: return "true or false is required";
    case Type::Kind::kNumber: return "a number is required";
    case Type::Kind::kString: return "a string is required";
    case Type::Kind::kList:
    case Type::Kind::kSet:
    case Type::Kind::kMap: {
      std::string name = type.name();
      if (type.element().kind() == Type::Kind::kDynamic) name.resize(name.find(' '));
      return "a " + name + (type.element().is_primitive() ? "s" : "") + " is required";
    }
    case Type::Kind::kTuple: return "a list is required";
    case Type::Kind::kObject: return "an object is required";
  }
  CHECK(false);
  return {};
}

// ---- between types ----

namespace {

bool all_dynamic(const std::vector<Type>& types) {
  return std::ranges::all_of(types, [](const Type& t) { return t.kind() == Type::Kind::kDynamic; });
}

std::vector<Type> attribute_types(const Type& object) {
  std::vector<Type> out;
  for (const NamedType& attribute : object.attributes()) out.push_back(attribute.type);
  return out;
}

// Whether each of these can become an element of that type; "any" stands for one that all have in
// common. In a list that must be a real type; in a map the values decide.
bool elements_convert(const std::vector<Type>& from, const Type& to, Strictness strictness,
                      bool for_map) {
  Type element = to;
  if (to.kind() == Type::Kind::kDynamic && !from.empty()) {
    std::optional<Type> common = unify(from, strictness);
    if (!common) return false;
    if (!for_map && common->kind() == Type::Kind::kDynamic && !all_dynamic(from)) return false;
    element = *common;
  }
  return std::ranges::all_of(from,
                             [&](const Type& t) { return can_convert(t, element, strictness); });
}

bool object_converts(const Type& from, const Type& to, Strictness strictness) {
  return std::ranges::all_of(to.attributes(), [&](const NamedType& wanted) {
    const NamedType* given = from.attribute(wanted.name);
    return given ? can_convert(given->type, wanted.type, strictness) : wanted.optional;
  });
}

bool map_converts_to_object(const Type& from, const Type& to) {
  return std::ranges::all_of(to.attributes(), [&](const NamedType& wanted) {
    return wanted.optional || can_convert(from.element(), wanted.type, Strictness::kUnsafe);
  });
}

}  // namespace

bool can_convert(const Type& from, const Type& to, Strictness strictness) {
  using Kind = Type::Kind;
  bool unsafe = strictness == Strictness::kUnsafe;
  if (to.kind() == Kind::kDynamic || from == to) return true;
  if (from.kind() == Kind::kDynamic) return unsafe;
  if (from.is_primitive() && to.is_primitive()) {
    return to.kind() == Kind::kString || (unsafe && from.kind() == Kind::kString);
  }
  switch (to.kind()) {
    case Kind::kList:
    case Kind::kSet:
      if (from.kind() == Kind::kTuple) {
        return elements_convert(from.elements(), to.element(), strictness, false);
      }
      if (from.kind() != Kind::kList && from.kind() != Kind::kSet) return false;
      // A set has no order and nothing twice, so a list may lose something.
      if (to.kind() == Kind::kSet && from.kind() == Kind::kList && !unsafe) return false;
      return can_convert(from.element(), to.element(), strictness);
    case Kind::kMap:
      if (from.kind() == Kind::kObject) {
        return elements_convert(attribute_types(from), to.element(), strictness, true);
      }
      return from.kind() == Kind::kMap && can_convert(from.element(), to.element(), strictness);
    case Kind::kTuple:
      return from.kind() == Kind::kTuple && from.elements().size() == to.elements().size() &&
             std::ranges::equal(from.elements(), to.elements(), [&](const Type& a, const Type& b) {
               return can_convert(a, b, strictness);
             });
    case Kind::kObject:
      if (from.kind() == Kind::kMap) return unsafe && map_converts_to_object(from, to);
      return from.kind() == Kind::kObject && object_converts(from, to, strictness);
    case Kind::kDynamic:
    case Kind::kBool:
    case Kind::kNumber:
    case Kind::kString: return false;
  }
  CHECK(false);
  return false;
}

// ---- between values, for what can_convert allows ----

namespace {

Result<Value> convert_allowed(const Value& value, const Type& type);

Result<Value> to_bool(const std::string& text) {
  if (text == "true" || text == "1") return Value::boolean(true);
  if (text == "false" || text == "0") return Value::boolean(false);
  return fail(Code::kInvalid, "true or false is required, this is \"{}\"", text);
}

Result<Value> to_number(const std::string& text) {
  if (auto number = Number::parse(text)) return Value::number(*number);
  return fail(Code::kInvalid, "a number is required, this is \"{}\"", text);
}

Value to_text(const Value& value) {
  if (value.kind() == Type::Kind::kBool) return Value::string(value.as_bool() ? "true" : "false");
  return Value::string(value.as_number().text());
}

// What "any" stands for among these types, which must be there: can_convert has looked.
Type settle(const Type& wanted, const std::vector<Type>& types) {
  if (wanted.kind() != Type::Kind::kDynamic || types.empty()) return wanted;
  return unify(types, Strictness::kUnsafe).value_or(wanted);
}

// Where "any" stood deeper in the element type, elements may have come out different: once more, to
// what they have in common.
Result<Type> agree(const Type& element, Value::Items& items) {
  if (items.empty() || !element.has_dynamic()) return element;
  std::vector<Type> types;
  for (const Value& item : items) types.push_back(item.type());
  std::optional<Type> common = unify(types, Strictness::kUnsafe);
  if (!common) return fail(Code::kInvalid, "all elements must be of one type");
  for (Value& item : items) {
    Result<Value> converted = convert(item, *common);
    if (!converted) return pass(converted);
    item = std::move(*converted);
    if (item.type() != items.front().type()) {
      return fail(Code::kInvalid, "all elements must be of one type");
    }
  }
  return items.front().type();
}

// All of one type, which bare nulls take over.
Result<Type> agree_but_for_nulls(Value::Items& items) {
  Type element;
  for (const Value& item : items) {
    if (item.kind() == Type::Kind::kDynamic) continue;
    if (element.kind() == Type::Kind::kDynamic) element = item.type();
    if (item.type() != element) return fail(Code::kInvalid, "all elements must be of one type");
  }
  for (Value& item : items) {
    if (item.kind() == Type::Kind::kDynamic) item = Value::null(element);
  }
  return element;
}

Result<Value> to_sequence(const Value& value, const Type& type) {
  Type wanted = type.element();
  if (value.kind() == Type::Kind::kTuple) {
    wanted = settle(wanted, value.type().elements());
  } else if (wanted.kind() == Type::Kind::kDynamic) {
    wanted = value.type().element();
  }
  Value::Items items;
  items.reserve(value.size());
  for (const Value& item : value.items()) {
    Result<Value> converted = convert_allowed(item, wanted);
    if (!converted) return pass(converted, "element {}", items.size());
    items.push_back(std::move(*converted));
  }
  Result<Type> element = agree(wanted, items);
  if (!element) return pass(element);
  if (type.kind() == Type::Kind::kSet) return Value::set(std::move(*element), std::move(items));
  return Value::list(std::move(*element), std::move(items));
}

Result<Value> to_map(const Value& value, const Type& type) {
  Type wanted = type.element();
  if (value.kind() == Type::Kind::kObject) {
    wanted = settle(wanted, attribute_types(value.type()));
  } else if (wanted.kind() == Type::Kind::kDynamic) {
    wanted = value.type().element();
  }
  Value::Items items;
  for (const NamedValue& member : value.members()) {
    Result<Value> converted = convert_allowed(member.value, wanted);
    if (!converted) return pass(converted, "element \"{}\"", member.name);
    items.push_back(std::move(*converted));
  }
  Result<Type> element =
      wanted.kind() == Type::Kind::kDynamic ? agree_but_for_nulls(items) : agree(wanted, items);
  if (!element) return pass(element);
  Value::Members members;
  for (size_t i = 0; i < items.size(); ++i) {
    members.push_back({value.members()[i].name, std::move(items[i])});
  }
  return Value::map(std::move(*element), std::move(members));
}

Result<Value> to_object(const Value& value, const Type& type) {
  Value::Members members;
  for (const NamedType& attribute : type.attributes()) {
    const Value* given = value.member(attribute.name);
    if (!given && !attribute.optional) {
      return fail(Code::kInvalid, "the attribute \"{}\" is required", attribute.name);
    }
    Result<Value> converted = given ? convert(*given, attribute.type) : Value::null(attribute.type);
    if (!converted) return pass(converted, "attribute \"{}\"", attribute.name);
    members.push_back({attribute.name, std::move(*converted)});
  }
  return Value::object(std::move(members));
}

Result<Value> to_tuple(const Value& value, const Type& type) {
  Value::Items items;
  for (size_t i = 0; i < value.size(); ++i) {
    Result<Value> converted = convert_allowed(value.items()[i], type.elements()[i]);
    if (!converted) return pass(converted, "element {}", i);
    items.push_back(std::move(*converted));
  }
  return Value::tuple(std::move(items));
}

Result<Value> convert_allowed(const Value& value, const Type& type) {
  if (type.kind() == Type::Kind::kDynamic || value.type() == type) return value;
  if (value.is_null()) return Value::null(type);
  switch (type.kind()) {
    case Type::Kind::kBool: return to_bool(value.as_string());
    case Type::Kind::kNumber: return to_number(value.as_string());
    case Type::Kind::kString: return to_text(value);
    case Type::Kind::kList:
    case Type::Kind::kSet: return to_sequence(value, type);
    case Type::Kind::kMap: return to_map(value, type);
    case Type::Kind::kTuple: return to_tuple(value, type);
    case Type::Kind::kObject: return to_object(value, type);
    case Type::Kind::kDynamic: break;
  }
  CHECK(false);
  return value;
}

// Says what can_convert would not have, with the way to it.
std::string mismatch(const Type& from, const Type& to) {
  using Kind = Type::Kind;
  if (to.is_collection() && from.kind() == Kind::kTuple && to.kind() != Kind::kMap) {
    for (size_t i = 0; i < from.elements().size(); ++i) {
      const Type& element = from.elements()[i];
      if (can_convert(element, to.element(), Strictness::kUnsafe)) continue;
      return fmt::format("element {}: {}", i, mismatch(element, to.element()));
    }
    return "all elements must be of one type";
  }
  if (to.kind() == Kind::kMap && from.kind() == Kind::kObject) {
    for (const NamedType& attribute : from.attributes()) {
      if (can_convert(attribute.type, to.element(), Strictness::kUnsafe)) continue;
      return fmt::format("element \"{}\": {}", attribute.name,
                         mismatch(attribute.type, to.element()));
    }
    return "all elements must be of one type";
  }
  if (to.kind() == Kind::kObject && from.kind() == Kind::kObject) {
    for (const NamedType& wanted : to.attributes()) {
      const NamedType* given = from.attribute(wanted.name);
      if (!given && !wanted.optional) {
        return fmt::format("the attribute \"{}\" is required", wanted.name);
      }
      if (!given || can_convert(given->type, wanted.type, Strictness::kUnsafe)) continue;
      return fmt::format("attribute \"{}\": {}", wanted.name, mismatch(given->type, wanted.type));
    }
  }
  if (to.kind() == Kind::kTuple && from.kind() == Kind::kTuple) {
    if (to.elements().size() != from.elements().size()) {
      return fmt::format("a list of {} elements is required, this has {}", to.elements().size(),
                         from.elements().size());
    }
    for (size_t i = 0; i < to.elements().size(); ++i) {
      const Type& given = from.elements()[i];
      if (can_convert(given, to.elements()[i], Strictness::kUnsafe)) continue;
      return fmt::format("element {}: {}", i, mismatch(given, to.elements()[i]));
    }
  }
  return fmt::format("{}, this is {}", required_type(to), from.name());
}

}  // namespace

Result<Value> convert(const Value& value, const Type& type) {
  if (type.kind() == Type::Kind::kDynamic || value.type() == type) return value;
  if (!can_convert(value.type(), type, Strictness::kUnsafe)) {
    return fail(Code::kInvalid, "{}", mismatch(value.type(), type));
  }
  return convert_allowed(value, type);
}

}  // namespace sluice::hcl
