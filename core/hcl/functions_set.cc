// Functions of sets.
#include <algorithm>

#include "core/hcl/functions_impl.h"

namespace sluice::hcl {

namespace {

// The element type that all sets can have; an empty one of no type has no say.
Result<Type> common_element(Arguments sets) {
  std::vector<Type> types;
  for (const Value& set : sets) {
    const Type& element = set.type().element();
    if (set.size() > 0 || element.kind() != Type::Kind::kDynamic) types.push_back(element);
  }
  if (types.empty()) return Type::dynamic();
  std::optional<Type> common = unify(types, Strictness::kUnsafe);
  if (!common) return fail(Code::kInvalid, "the sets must have elements of one type");
  return *common;
}

Result<Value> fold(Arguments arguments, bool keep_all) {
  Result<Type> element = common_element(arguments);
  if (!element) return pass(element);
  Type type = Type::set(*element);
  Value::Items out;
  for (size_t i = 0; i < arguments.size(); ++i) {
    Result<Value> set = convert(arguments[i], type);
    if (!set) return set;
    if (i == 0 || keep_all) {
      out.insert(out.end(), set->items().begin(), set->items().end());
      continue;
    }
    std::erase_if(out, [&](const Value& item) {
      return !std::ranges::binary_search(set->items(), item, sorts_before);
    });
  }
  return Value::set(std::move(*element), std::move(out));
}

Result<Value> setunion(Arguments arguments, CallContext&) {
  return fold(arguments, true);
}
Result<Value> setintersection(Arguments arguments, CallContext&) {
  return fold(arguments, false);
}

Result<Value> setproduct(Arguments arguments, CallContext& context) {
  if (arguments.size() < 2) return fail(Code::kInvalid, "takes at least 2 arguments");
  bool all_lists = true;
  std::vector<Type> elements;
  uint64_t total = 1;
  for (const Value& argument : arguments) {
    const Type& type = argument.type();
    if (!type.is_sequence()) {
      return fail(Code::kInvalid, "a set or a list is required, this is {}", type.name());
    }
    all_lists = all_lists && type.kind() != Type::Kind::kSet;
    if (type.kind() != Type::Kind::kTuple) {
      elements.push_back(type.element());
    } else if (type.elements().empty()) {
      elements.push_back(Type::dynamic());
    } else {
      std::optional<Type> common = unify(type.elements(), Strictness::kUnsafe);
      if (!common) return fail(Code::kInvalid, "all elements must be of one type");
      elements.push_back(*common);
    }
    total *= argument.size();
    if (!context.budget.spend_steps(total * arguments.size())) return too_much();
  }
  Value::Items out;
  std::vector<size_t> at(arguments.size());
  for (uint64_t n = 0; n < total; ++n) {
    Value::Items row;
    for (size_t i = 0; i < arguments.size(); ++i) {
      Result<Value> item = convert(arguments[i].items()[at[i]], elements[i]);
      if (!item) return item;
      row.push_back(std::move(*item));
    }
    out.push_back(Value::tuple(std::move(row)));
    for (size_t i = arguments.size(); i > 0; --i) {
      if (++at[i - 1] < arguments[i - 1].size()) break;
      at[i - 1] = 0;
    }
  }
  Type row = out.empty() ? Type::tuple(std::move(elements)) : out[0].type();
  if (all_lists) return Value::list(std::move(row), std::move(out));
  return Value::set(std::move(row), std::move(out));
}

}  // namespace

void add_set_functions(std::vector<Function>& out) {
  const Parameter set{"set", Type::set(Type::dynamic())};
  out.push_back({"setunion", {set, set}, true, setunion});
  out.push_back({"setintersection", {set, set}, true, setintersection});
  out.push_back({"setproduct", {{"set", Type::dynamic()}}, true, setproduct});
}

}  // namespace sluice::hcl
