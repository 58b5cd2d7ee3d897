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
    case Type::Kind::kMap:
      return type.element().kind() == Type::Kind::kDynamic
                 ? "a " + type.name().substr(0, type.name().find(' ')) + " is required"
                 : "a " + type.name() + " is required";
    case Type::Kind::kTuple: return "a list is required";
    case Type::Kind::kObject: return "an object is required";
  }
  CHECK(false);
  return {};
}

namespace {

std::unexpected<Error> unsuitable(const Value& value, const Type& type) {
  return fail(Code::kInvalid, "{}, this is {}", required_type(type),
              value.is_null() ? "null" : value.type().name());
}

Result<Value> to_bool(const Value& value) {
  if (value.kind() != Type::Kind::kString) return unsuitable(value, Type::boolean());
  const std::string& text = value.as_string();
  if (text == "true" || text == "1") return Value::boolean(true);
  if (text == "false" || text == "0") return Value::boolean(false);
  return fail(Code::kInvalid, "true or false is required, this is \"{}\"", text);
}

Result<Value> to_number(const Value& value) {
  if (value.kind() != Type::Kind::kString) return unsuitable(value, Type::number());
  if (auto number = Number::parse(value.as_string())) return Value::number(*number);
  return fail(Code::kInvalid, "a number is required, this is \"{}\"", value.as_string());
}

Result<Value> to_string_value(const Value& value) {
  if (value.kind() == Type::Kind::kBool) return Value::string(value.as_bool() ? "true" : "false");
  if (value.kind() == Type::Kind::kNumber) return Value::string(value.as_number().text());
  return unsuitable(value, Type::string());
}

Result<Value::Items> convert_items(const Value& value, const Type& element) {
  Value::Items items;
  items.reserve(value.size());
  for (const Value& item : value.items()) {
    Result<Value> converted = convert(item, element);
    if (!converted) return pass(converted, "element {}", items.size());
    items.push_back(std::move(*converted));
  }
  return items;
}

// With element type "any", the one type that all items have or can become.
Result<Type> element_type(const Type& wanted, const Value::Items& items);

Result<Value> to_sequence(const Value& value, const Type& type) {
  if (!value.type().is_sequence()) return unsuitable(value, type);
  Result<Value::Items> items = convert_items(value, type.element());
  if (!items) return pass(items);
  Result<Type> element = element_type(type.element(), *items);
  if (!element) return pass(element);
  if (type.element().has_dynamic()) {
    for (Value& item : *items) {
      Result<Value> converted = convert(item, *element);
      if (!converted) return pass(converted);
      item = std::move(*converted);
    }
  }
  if (type.kind() == Type::Kind::kSet) return Value::set(std::move(*element), std::move(*items));
  return Value::list(std::move(*element), std::move(*items));
}

Result<Value> to_map(const Value& value, const Type& type) {
  if (!value.type().is_mapping()) return unsuitable(value, type);
  Value::Items items;
  for (const NamedValue& member : value.members()) {
    Result<Value> converted = convert(member.value, type.element());
    if (!converted) return pass(converted, "element \"{}\"", member.name);
    items.push_back(std::move(*converted));
  }
  Result<Type> element = element_type(type.element(), items);
  if (!element) return pass(element);
  Value::Members members;
  for (size_t i = 0; i < items.size(); ++i) {
    Result<Value> converted = convert(items[i], *element);
    if (!converted) return pass(converted);
    members.push_back({value.members()[i].name, std::move(*converted)});
  }
  return Value::map(std::move(*element), std::move(members));
}

Result<Value> to_object(const Value& value, const Type& type) {
  if (!value.type().is_mapping()) return unsuitable(value, type);
  Value::Members members;
  for (const NamedType& attribute : type.attributes()) {
    const Value* given = value.member(attribute.name);
    if (!given) {
      if (!attribute.optional) {
        return fail(Code::kInvalid, "attribute \"{}\" is required", attribute.name);
      }
      members.push_back({attribute.name, Value::null(attribute.type)});
      continue;
    }
    Result<Value> converted = convert(*given, attribute.type);
    if (!converted) return pass(converted, "attribute \"{}\"", attribute.name);
    members.push_back({attribute.name, std::move(*converted)});
  }
  return Value::object(std::move(members));
}

Result<Value> to_tuple(const Value& value, const Type& type) {
  if (value.kind() != Type::Kind::kTuple) return unsuitable(value, type);
  const std::vector<Type>& wanted = type.elements();
  if (wanted.size() != value.size()) {
    return fail(Code::kInvalid, "a list of {} elements is required, this has {}", wanted.size(),
                value.size());
  }
  Value::Items items;
  for (size_t i = 0; i < wanted.size(); ++i) {
    Result<Value> converted = convert(value.items()[i], wanted[i]);
    if (!converted) return pass(converted, "element {}", i);
    items.push_back(std::move(*converted));
  }
  return Value::tuple(std::move(items));
}

Result<Type> element_type(const Type& wanted, const Value::Items& items) {
  if (!wanted.has_dynamic()) return wanted;
  if (items.empty()) return wanted;
  // All alike, or all primitive (then strings hold them all).
  bool alike = true;
  bool primitive = true;
  const Type* first = nullptr;
  for (const Value& item : items) {
    if (item.is_null() && item.kind() == Type::Kind::kDynamic) continue;
    if (!first) first = &item.type();
    alike = alike && item.type() == *first;
    primitive = primitive && item.type().is_primitive();
  }
  if (!first) return wanted;
  if (alike) return *first;
  if (primitive) return Type::string();
  return fail(Code::kInvalid, "all elements must have the same type");
}

}  // namespace

Result<Value> convert(const Value& value, const Type& type) {
  if (type.kind() == Type::Kind::kDynamic || value.type() == type) return value;
  if (value.is_null()) return Value::null(type);
  switch (type.kind()) {
    case Type::Kind::kDynamic: return value;
    case Type::Kind::kBool: return to_bool(value);
    case Type::Kind::kNumber: return to_number(value);
    case Type::Kind::kString: return to_string_value(value);
    case Type::Kind::kList:
    case Type::Kind::kSet: return to_sequence(value, type);
    case Type::Kind::kMap: return to_map(value, type);
    case Type::Kind::kTuple: return to_tuple(value, type);
    case Type::Kind::kObject: return to_object(value, type);
  }
  CHECK(false);
  return value;
}

}  // namespace sluice::hcl
