#include "core/hcl/value.h"

#include <algorithm>

#include "core/check.h"

namespace sluice::hcl {

// ---- types ----

struct Type::Node {
  std::vector<Type> elements;  // one for a collection
  std::vector<NamedType> attributes;
};

Type Type::list(Type element) {
  return {Kind::kList, std::make_shared<const Node>(Node{{std::move(element)}, {}})};
}
Type Type::set(Type element) {
  return {Kind::kSet, std::make_shared<const Node>(Node{{std::move(element)}, {}})};
}
Type Type::map(Type element) {
  return {Kind::kMap, std::make_shared<const Node>(Node{{std::move(element)}, {}})};
}
Type Type::tuple(std::vector<Type> elements) {
  return {Kind::kTuple, std::make_shared<const Node>(Node{std::move(elements), {}})};
}
Type Type::object(std::vector<NamedType> attributes) {
  std::ranges::sort(attributes, {}, &NamedType::name);
  return {Kind::kObject, std::make_shared<const Node>(Node{{}, std::move(attributes)})};
}

bool Type::is_primitive() const {
  return kind_ == Kind::kBool || kind_ == Kind::kNumber || kind_ == Kind::kString;
}
bool Type::is_collection() const {
  return kind_ == Kind::kList || kind_ == Kind::kSet || kind_ == Kind::kMap;
}
bool Type::is_sequence() const {
  return kind_ == Kind::kList || kind_ == Kind::kSet || kind_ == Kind::kTuple;
}
bool Type::is_mapping() const {
  return kind_ == Kind::kMap || kind_ == Kind::kObject;
}

const Type& Type::element() const {
  CHECK(is_collection());
  return node_->elements[0];
}

const std::vector<Type>& Type::elements() const {
  CHECK(kind_ == Kind::kTuple);
  return node_->elements;
}

const std::vector<NamedType>& Type::attributes() const {
  CHECK(kind_ == Kind::kObject);
  return node_->attributes;
}

const NamedType* Type::attribute(std::string_view name) const {
  const std::vector<NamedType>& all = attributes();
  auto at = std::ranges::lower_bound(all, name, {}, &NamedType::name);
  return at != all.end() && at->name == name ? &*at : nullptr;
}

bool Type::has_dynamic() const {
  if (kind_ == Kind::kDynamic) return true;
  if (!node_) return false;
  return std::ranges::any_of(node_->elements, &Type::has_dynamic) ||
         std::ranges::any_of(node_->attributes,
                             [](const NamedType& a) { return a.type.has_dynamic(); });
}

std::string Type::name() const {
  switch (kind_) {
    case Kind::kDynamic: return "any";
    case Kind::kBool: return "bool";
    case Kind::kNumber: return "number";
    case Kind::kString: return "string";
    case Kind::kList: return "list of " + element().name();
    case Kind::kSet: return "set of " + element().name();
    case Kind::kMap: return "map of " + element().name();
    case Kind::kTuple: return "tuple";
    case Kind::kObject: return "object";
  }
  CHECK(false);
  return {};
}

bool operator==(const Type& a, const Type& b) {
  if (a.kind_ != b.kind_) return false;
  if (a.node_ == b.node_) return true;
  if (a.node_->elements != b.node_->elements) return false;
  return std::ranges::equal(
      a.node_->attributes, b.node_->attributes,
      [](const NamedType& x, const NamedType& y) { return x.name == y.name && x.type == y.type; });
}

// ---- values ----

Value Value::null(Type type) {
  Value value;
  value.type_ = std::move(type);
  return value;
}

Value Value::boolean(bool value) {
  Value out;
  out.type_ = Type::boolean();
  out.data_ = value;
  return out;
}

Value Value::number(Number value) {
  Value out;
  out.type_ = Type::number();
  out.data_ = value;
  return out;
}

Value Value::string(std::string value) {
  Value out;
  out.type_ = Type::string();
  out.footprint_ += value.size();
  out.data_ = std::make_shared<const std::string>(std::move(value));
  return out;
}

namespace {
constexpr uint64_t kLargest = uint64_t{1} << 60;  // sums of it do not overflow
}  // namespace

void Value::set_items(Items items) {
  for (const Value& item : items) {
    depth_ = std::max(depth_, item.depth_ + 1);
    footprint_ = std::min(footprint_ + item.footprint_, kLargest);
  }
  data_ = std::make_shared<const Items>(std::move(items));
}

void Value::set_members(Members members) {
  for (const NamedValue& member : members) {
    depth_ = std::max(depth_, member.value.depth_ + 1);
    footprint_ = std::min(footprint_ + member.name.size() + member.value.footprint_, kLargest);
  }
  data_ = std::make_shared<const Members>(std::move(members));
}

Value Value::tuple(Items items) {
  std::vector<Type> types;
  types.reserve(items.size());
  for (const Value& item : items) types.push_back(item.type());
  Value out;
  out.type_ = Type::tuple(std::move(types));
  out.set_items(std::move(items));
  return out;
}

static void sort_members(Value::Members& members) {
  auto ascends = [](const NamedValue& a, const NamedValue& b) { return a.name >= b.name; };
  if (std::ranges::adjacent_find(members, ascends) == members.end()) return;  // the common case
  std::vector<std::pair<std::string_view, size_t>> order;
  order.reserve(members.size());
  for (size_t i = 0; i < members.size(); ++i) order.emplace_back(members[i].name, i);
  std::ranges::sort(order);
  Value::Members sorted;
  sorted.reserve(members.size());
  for (size_t i = 0; i < order.size(); ++i) {
    if (i + 1 < order.size() && order[i].first == order[i + 1].first) continue;
    sorted.push_back(members[order[i].second]);
  }
  members = std::move(sorted);
}

Value Value::object(Members members) {
  sort_members(members);
  std::vector<NamedType> types;
  types.reserve(members.size());
  for (const NamedValue& member : members) types.push_back({member.name, member.value.type()});
  Value out;
  out.type_ = Type::object(std::move(types));
  out.set_members(std::move(members));
  return out;
}

Value Value::list(Type element, Items items) {
  Value out;
  out.type_ = Type::list(std::move(element));
  out.set_items(std::move(items));
  return out;
}

Value Value::set(Type element, Items items) {
  std::ranges::sort(items, sorts_before);
  auto again = std::ranges::unique(items, [](const Value& a, const Value& b) { return a == b; });
  items.erase(again.begin(), again.end());
  Value out;
  out.type_ = Type::set(std::move(element));
  out.set_items(std::move(items));
  return out;
}

Value Value::map(Type element, Members members) {
  sort_members(members);
  Value out;
  out.type_ = Type::map(std::move(element));
  out.set_members(std::move(members));
  return out;
}

bool Value::as_bool() const {
  const bool* value = std::get_if<bool>(&data_);
  CHECK(value);
  return *value;
}

const Number& Value::as_number() const {
  const Number* value = std::get_if<Number>(&data_);
  CHECK(value);
  return *value;
}

const std::string& Value::as_string() const {
  auto value = std::get_if<std::shared_ptr<const std::string>>(&data_);
  CHECK(value);
  return **value;
}

const Value::Items& Value::items() const {
  auto value = std::get_if<ItemsPointer>(&data_);
  CHECK(value);
  return **value;
}

const Value::Members& Value::members() const {
  auto value = std::get_if<MembersPointer>(&data_);
  CHECK(value);
  return **value;
}

const Value* Value::member(std::string_view name) const {
  const Members& all = members();
  auto at = std::ranges::lower_bound(all, name, {}, &NamedValue::name);
  return at != all.end() && at->name == name ? &at->value : nullptr;
}

size_t Value::size() const {
  if (is_null()) return 0;
  if (type_.is_sequence()) return items().size();
  if (type_.is_mapping()) return members().size();
  return 0;
}

bool operator==(const Value& a, const Value& b) {
  if (a.is_null() || b.is_null()) return a.is_null() && b.is_null();
  if (a.type_ != b.type_) return false;
  switch (a.kind()) {
    case Type::Kind::kDynamic: return true;
    case Type::Kind::kBool: return a.as_bool() == b.as_bool();
    case Type::Kind::kNumber: return a.as_number() == b.as_number();
    case Type::Kind::kString: return a.as_string() == b.as_string();
    case Type::Kind::kList:
    case Type::Kind::kSet:
    case Type::Kind::kTuple: return a.items() == b.items();
    case Type::Kind::kMap:
    case Type::Kind::kObject:
      return std::ranges::equal(a.members(), b.members(),
                                [](const NamedValue& x, const NamedValue& y) {
                                  return x.name == y.name && x.value == y.value;
                                });
  }
  CHECK(false);
  return false;
}

bool sorts_before(const Value& a, const Value& b) {
  if (a.is_null() || b.is_null()) return !a.is_null() && b.is_null();
  if (a.kind() != b.kind()) return a.kind() < b.kind();
  switch (a.kind()) {
    case Type::Kind::kDynamic: return false;
    case Type::Kind::kBool: return !a.as_bool() && b.as_bool();
    case Type::Kind::kNumber: return compare(a.as_number(), b.as_number()) < 0;
    case Type::Kind::kString: return a.as_string() < b.as_string();
    case Type::Kind::kList:
    case Type::Kind::kSet:
    case Type::Kind::kTuple:
      return std::ranges::lexicographical_compare(a.items(), b.items(), sorts_before);
    case Type::Kind::kMap:
    case Type::Kind::kObject:
      return std::ranges::lexicographical_compare(
          a.members(), b.members(), [](const NamedValue& x, const NamedValue& y) {
            return x.name != y.name ? x.name < y.name : sorts_before(x.value, y.value);
          });
  }
  CHECK(false);
  return false;
}

Json to_json_value(const Value& value) {
  if (value.is_null()) return nullptr;
  switch (value.kind()) {
    case Type::Kind::kDynamic: return nullptr;
    case Type::Kind::kBool: return value.as_bool();
    case Type::Kind::kNumber: {
      const Number& number = value.as_number();
      if (number.is_int64()) return number.to_int64();
      return number.to_double();
    }
    case Type::Kind::kString: return value.as_string();
    case Type::Kind::kList:
    case Type::Kind::kSet:
    case Type::Kind::kTuple: {
      Json::Array items;
      for (const Value& item : value.items()) items.push_back(to_json_value(item));
      return items;
    }
    case Type::Kind::kMap:
    case Type::Kind::kObject: {
      Json::Object members;
      for (const NamedValue& member : value.members()) {
        members.push_back({member.name, to_json_value(member.value)});
      }
      return members;
    }
  }
  CHECK(false);
  return {};
}

Value from_json_value(const Json& json) {
  switch (json.kind()) {
    case Json::Kind::kNull: return Value::null();
    case Json::Kind::kBool: return Value::boolean(json.as_bool());
    case Json::Kind::kInt: return Value::number(json.as_int());
    case Json::Kind::kDouble: return Value::number(Number::from_double(json.as_double()));
    case Json::Kind::kString: return Value::string(json.as_string());
    case Json::Kind::kArray: {
      Value::Items items;
      for (const Json& item : json.as_array()) items.push_back(from_json_value(item));
      return Value::tuple(std::move(items));
    }
    case Json::Kind::kObject: {
      Value::Members members;
      for (const JsonMember& member : json.as_object()) {
        members.push_back({member.key, from_json_value(member.value)});
      }
      return Value::object(std::move(members));
    }
  }
  CHECK(false);
  return {};
}

}  // namespace sluice::hcl
