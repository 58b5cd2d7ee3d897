// Functions of lists, maps and objects.
#include <algorithm>

#include "core/hcl/functions_impl.h"

namespace sluice::hcl {

namespace {

bool is_list_like(const Value& value) {
  return value.kind() == Type::Kind::kList || value.kind() == Type::Kind::kTuple;
}

std::unexpected<Error> wants_list(const Value& value) {
  return fail(Code::kInvalid, "a list is required, this is {}", value.type().name());
}

std::unexpected<Error> wants_map(const Value& value) {
  return fail(Code::kInvalid, "a map or object is required, this is {}", value.type().name());
}

// A list of the same element type as the one given, or a tuple if that was one.
Value same_kind(const Value& like, Value::Items items) {
  if (like.kind() == Type::Kind::kTuple) return Value::tuple(std::move(items));
  return Value::list(like.type().element(), std::move(items));
}

Result<Value> length(Arguments arguments, CallContext&) {
  const Type& type = arguments[0].type();
  if (!type.is_sequence() && type.kind() != Type::Kind::kMap) {
    return fail(Code::kInvalid, "a list, set or map is required, this is {}", type.name());
  }
  return Value::number(static_cast<int64_t>(arguments[0].size()));
}

Result<Value> element(Arguments arguments, CallContext&) {
  if (!is_list_like(arguments[0])) return wants_list(arguments[0]);
  Result<int64_t> index = whole(arguments[1], "index");
  if (!index) return pass(index);
  if (*index < 0) return fail(Code::kInvalid, "the index must not be below 0");
  if (arguments[0].size() == 0) return fail(Code::kInvalid, "the list is empty");
  return arguments[0].items()[static_cast<uint64_t>(*index) % arguments[0].size()];
}

Result<Value> index(Arguments arguments, CallContext&) {
  const Value& collection = arguments[0];
  const Value& key = arguments[1];
  if (collection.kind() == Type::Kind::kMap) {
    if (key.kind() != Type::Kind::kString) return fail(Code::kInvalid, "the key must be a string");
    if (const Value* member = collection.member(key.as_string())) return *member;
    return fail(Code::kInvalid, "the map has no element \"{}\"", key.as_string());
  }
  if (!is_list_like(collection)) return wants_list(collection);
  if (key.kind() != Type::Kind::kNumber) return fail(Code::kInvalid, "the key must be a number");
  Result<int64_t> at = whole(key, "key");
  if (!at) return pass(at);
  if (*at < 0 || static_cast<uint64_t>(*at) >= collection.size()) {
    return fail(Code::kInvalid, "index {} is out of range, the list has {} elements", *at,
                collection.size());
  }
  return collection.items()[static_cast<size_t>(*at)];
}

Result<Value> coalesce(Arguments arguments, CallContext&) {
  std::vector<Type> types;
  for (const Value& argument : arguments) types.push_back(argument.type());
  std::optional<Type> type = unify(types, Strictness::kUnsafe);
  if (!type) return fail(Code::kInvalid, "all arguments must be of one type");
  for (const Value& argument : arguments) {
    if (!argument.is_null()) return convert(argument, *type);
  }
  return fail(Code::kInvalid, "all arguments are null");
}

Result<Value> coalescelist(Arguments arguments, CallContext&) {
  for (const Value& argument : arguments) {
    if (!is_list_like(argument)) return wants_list(argument);
  }
  for (const Value& argument : arguments) {
    if (argument.size() > 0) return argument;
  }
  return fail(Code::kInvalid, "all lists are empty or null");
}

Result<Value> compact(Arguments arguments, CallContext&) {
  Value::Items out;
  for (const Value& item : arguments[0].items()) {
    if (!item.is_null() && !item.as_string().empty()) out.push_back(item);
  }
  return Value::list(Type::string(), std::move(out));
}

Result<Value> contains(Arguments arguments, CallContext&) {
  if (!arguments[0].type().is_sequence()) return wants_list(arguments[0]);
  const Value::Items& items = arguments[0].items();
  return Value::boolean(std::ranges::find(items, arguments[1]) != items.end());
}

Result<Value> distinct(Arguments arguments, CallContext& context) {
  Value::Items out;
  for (const Value& item : arguments[0].items()) {
    if (!context.budget.spend_steps(out.size() / 4)) return too_much();
    if (std::ranges::find(out, item) == out.end()) out.push_back(item);
  }
  return Value::list(arguments[0].type().element(), std::move(out));
}

Result<Value> chunklist(Arguments arguments, CallContext&) {
  const Value& list = arguments[0];
  Result<int64_t> size = whole(arguments[1], "size");
  if (!size) return pass(size);
  if (*size < 0) return fail(Code::kInvalid, "the size must not be below 0");
  Value::Items out;
  if (*size == 0 && list.size() > 0) out.push_back(list);
  const Value::Items& items = list.items();
  auto step = static_cast<size_t>(*size);
  for (size_t at = 0; step > 0 && at < items.size(); at += std::min(step, items.size() - at)) {
    auto first = items.begin() + static_cast<std::ptrdiff_t>(at);
    auto last = first + static_cast<std::ptrdiff_t>(std::min(step, items.size() - at));
    out.push_back(Value::list(list.type().element(), Value::Items(first, last)));
  }
  return Value::list(list.type(), std::move(out));
}

Result<void> flatten_into(const Value& sequence, Value::Items& out, Budget& budget) {
  for (const Value& item : sequence.items()) {
    if (!budget.spend_steps(1)) return too_much();
    if (!item.is_null() && item.type().is_sequence()) {
      Result<void> flattened = flatten_into(item, out, budget);
      if (!flattened) return flattened;
    } else {
      out.push_back(item);
    }
  }
  return {};
}

Result<Value> flatten(Arguments arguments, CallContext& context) {
  if (!arguments[0].type().is_sequence()) return wants_list(arguments[0]);
  Value::Items out;
  Result<void> flattened = flatten_into(arguments[0], out, context.budget);
  if (!flattened) return pass(flattened);
  return Value::tuple(std::move(out));
}

Result<Value> keys(Arguments arguments, CallContext&) {
  if (!arguments[0].type().is_mapping()) return wants_map(arguments[0]);
  Value::Items out;
  for (const NamedValue& member : arguments[0].members()) out.push_back(Value::string(member.name));
  if (arguments[0].kind() == Type::Kind::kObject) return Value::tuple(std::move(out));
  return Value::list(Type::string(), std::move(out));
}

Result<Value> values(Arguments arguments, CallContext&) {
  if (!arguments[0].type().is_mapping()) return wants_map(arguments[0]);
  Value::Items out;
  for (const NamedValue& member : arguments[0].members()) out.push_back(member.value);
  if (arguments[0].kind() == Type::Kind::kObject) return Value::tuple(std::move(out));
  return Value::list(arguments[0].type().element(), std::move(out));
}

Result<Value> lookup(Arguments arguments, CallContext&) {
  const Value& map = arguments[0];
  if (!map.type().is_mapping()) return wants_map(map);
  const Value* member = map.member(arguments[1].as_string());
  if (map.kind() == Type::Kind::kObject) return member ? *member : arguments[2];
  Result<Value> fallback = convert(arguments[2], map.type().element());
  if (!fallback) {
    return fail(Code::kInvalid, "the default must be of the type of the map's elements: {}",
                fallback.error().message);
  }
  return member ? *member : *fallback;
}

Result<Value> merge(Arguments arguments, CallContext&) {
  if (arguments.empty()) return Value::object({});
  bool alike = true;
  bool untyped = false;
  for (const Value& argument : arguments) {
    untyped = untyped || argument.kind() == Type::Kind::kDynamic;
    if (untyped) break;
    if (!argument.type().is_mapping()) return wants_map(argument);
    alike = alike && argument.type() == arguments[0].type();
  }
  Value::Members out;
  for (const Value& argument : arguments) {
    if (argument.is_null()) continue;
    if (!argument.type().is_mapping()) return wants_map(argument);
    out.insert(out.end(), argument.members().begin(), argument.members().end());
  }
  bool map = !untyped && alike && arguments[0].kind() == Type::Kind::kMap;
  if (map) return Value::map(arguments[0].type().element(), std::move(out));
  return Value::object(std::move(out));
}

Result<Value> slice(Arguments arguments, CallContext&) {
  const Value& list = arguments[0];
  if (!is_list_like(list)) return wants_list(list);
  Result<int64_t> first = whole(arguments[1], "start");
  if (!first) return pass(first);
  Result<int64_t> last = whole(arguments[2], "end");
  if (!last) return pass(last);
  auto size = static_cast<int64_t>(list.size());
  if (*first < 0 || *last < *first || *last > size) {
    return fail(Code::kInvalid,
                "start and end must be in order and from 0 to {}, the length of the list", size);
  }
  auto begin = list.items().begin();
  return same_kind(list, Value::Items(begin + *first, begin + *last));
}

Result<Value> zipmap(Arguments arguments, CallContext&) {
  const Value& names = arguments[0];
  const Value& contents = arguments[1];
  if (!is_list_like(contents)) return wants_list(contents);
  if (names.size() != contents.size()) {
    return fail(Code::kInvalid, "there are {} keys and {} values", names.size(), contents.size());
  }
  Value::Members out;
  for (size_t i = 0; i < names.size(); ++i) {
    const Value& name = names.items()[i];
    if (name.is_null()) return fail(Code::kInvalid, "key {} is null", i);
    out.push_back({name.as_string(), contents.items()[i]});
  }
  if (contents.kind() == Type::Kind::kTuple) return Value::object(std::move(out));
  return Value::map(contents.type().element(), std::move(out));
}

Result<Value> concat(Arguments arguments, CallContext&) {
  if (arguments.empty()) return fail(Code::kInvalid, "takes at least 1 argument");
  bool all_lists = true;
  std::vector<Type> types;
  for (const Value& argument : arguments) {
    if (!is_list_like(argument)) return wants_list(argument);
    all_lists = all_lists && argument.kind() == Type::Kind::kList;
    types.push_back(argument.type());
  }
  std::optional<Type> common;
  if (all_lists) common = unify(types, Strictness::kUnsafe);
  Value::Items out;
  for (const Value& argument : arguments) {
    Result<Value> list = common ? convert(argument, *common) : argument;
    if (!list) return list;
    out.insert(out.end(), list->items().begin(), list->items().end());
  }
  if (common) return Value::list(common->element(), std::move(out));
  return Value::tuple(std::move(out));
}

Result<Value> range(Arguments arguments, CallContext&) {
  constexpr size_t kMaxValues = 1024;  // as in the reference
  if (arguments.empty() || arguments.size() > 3) {
    return fail(Code::kInvalid, "takes 1 to 3 arguments");
  }
  Number start = arguments.size() == 1 ? Number(0) : arguments[0].as_number();
  Number end = arguments[arguments.size() == 1 ? 0 : 1].as_number();
  Number step = compare(end, start) < 0 ? Number(-1) : Number(1);
  if (arguments.size() == 3) step = arguments[2].as_number();
  int direction = step.sign();
  if (direction == 0) return fail(Code::kInvalid, "the step must not be 0");
  if (compare(end, start) * direction < 0) {
    return fail(Code::kInvalid, "the step leads away from the end");
  }
  Value::Items out;
  for (Number at = start; compare(at, end) * direction < 0;) {
    if (out.size() == kMaxValues) return fail(Code::kInvalid, "more than {} values", kMaxValues);
    out.push_back(Value::number(at));
    std::optional<Number> next = add(at, step);
    if (!next) return fail(Code::kInvalid, "the numbers become too large");
    at = *next;
  }
  return Value::list(Type::number(), std::move(out));
}

}  // namespace

void add_collection_functions(std::vector<Function>& out) {
  const Type any = Type::dynamic();
  const Type list_of_any = Type::list(any);
  const Type strings = Type::list(Type::string());
  const Parameter seq{"list", any};
  const Parameter map{"map", any};
  out.push_back({"length", {{"collection", any}}, false, length});
  out.push_back({"element", {seq, {"index", Type::number()}}, false, element});
  out.push_back({"index", {{"collection", any}, {"key", any}}, false, index});
  out.push_back({"coalesce", {{"value", any, true}}, true, coalesce});
  out.push_back({"coalescelist", {{"list", any, true}}, true, coalescelist});
  out.push_back({"compact", {{"list", strings}}, false, compact});
  out.push_back({"contains", {seq, {"value", any}}, false, contains});
  out.push_back({"distinct", {{"list", list_of_any}}, false, distinct});
  out.push_back({"chunklist", {{"list", list_of_any}, {"size", Type::number()}}, false, chunklist});
  out.push_back({"flatten", {seq}, false, flatten});
  out.push_back({"keys", {map}, false, keys});
  out.push_back({"values", {map}, false, values});
  out.push_back({"lookup", {map, {"key", Type::string()}, {"default", any}}, false, lookup});
  out.push_back({"merge", {{"map", any, true}}, true, merge});
  out.push_back({"slice", {seq, {"start", Type::number()}, {"end", Type::number()}}, false, slice});
  out.push_back({"zipmap", {{"keys", strings}, {"values", any}}, false, zipmap});
  out.push_back({"concat", {seq}, true, concat});
  out.push_back({"range", {{"number", Type::number()}}, true, range});
}

}  // namespace sluice::hcl
