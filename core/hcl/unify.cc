// The type that several types have in common.
#include <algorithm>

#include "core/hcl/value.h"

namespace sluice::hcl {

namespace {

using Kind = Type::Kind;

// Negative: `a` is the more general of the two, and so the better result; 0: neither, or no
// telling.
int generality(const Type& a, const Type& b);

int generality_of_elements(const std::vector<Type>& a, const std::vector<Type>& b) {
  bool a_wins = false;
  bool b_wins = false;
  for (size_t i = 0; i < a.size(); ++i) {
    int order = generality(a[i], b[i]);
    a_wins = a_wins || order < 0;
    b_wins = b_wins || order > 0;
  }
  return a_wins == b_wins ? 0 : a_wins ? -1 : 1;
}

std::vector<Type> types_of(const std::vector<NamedType>& attributes) {
  std::vector<Type> out;
  for (const NamedType& attribute : attributes) out.push_back(attribute.type);
  return out;
}

bool same_names(const Type& a, const Type& b) {
  return std::ranges::equal(a.attributes(), b.attributes(), {}, &NamedType::name, &NamedType::name);
}

int generality(const Type& a, const Type& b) {
  bool a_any = a.kind() == Kind::kDynamic;
  bool b_any = b.kind() == Kind::kDynamic;
  if (a_any || b_any) return a_any == b_any ? 0 : a_any ? 1 : -1;
  if (a.is_primitive() && b.is_primitive()) {
    bool a_text = a.kind() == Kind::kString;
    bool b_text = b.kind() == Kind::kString;
    return a_text == b_text ? 0 : a_text ? -1 : 1;
  }
  if (a.kind() == b.kind() && a.is_collection()) return generality(a.element(), b.element());
  if (a.kind() == b.kind() && a.kind() == Kind::kTuple) {
    bool alike = a.elements().size() == b.elements().size();
    return alike ? generality_of_elements(a.elements(), b.elements()) : 0;
  }
  if (a.kind() == b.kind() && a.kind() == Kind::kObject) {
    return same_names(a, b)
               ? generality_of_elements(types_of(a.attributes()), types_of(b.attributes()))
               : 0;
  }
  // A list is more general than a tuple, both more than a set, a map more than an object.
  auto rank = [](Kind kind) { return kind == Kind::kList ? 0 : kind == Kind::kTuple ? 1 : 2; };
  if (a.is_sequence() && b.is_sequence()) return rank(a.kind()) < rank(b.kind()) ? -1 : 1;
  if (a.is_mapping() && b.is_mapping()) return a.kind() == Kind::kMap ? -1 : 1;
  return 0;
}

// The most general first, as far as they can be ordered; else as they stand.
std::vector<size_t> by_generality(const std::vector<Type>& types) {
  size_t count = types.size();
  std::vector<std::vector<size_t>> below(count);
  std::vector<size_t> above(count);
  for (size_t i = 0; i + 1 < count; ++i) {
    for (size_t j = i + 1; j < count; ++j) {
      int order = generality(types[i], types[j]);
      if (order == 0) continue;
      below[order < 0 ? i : j].push_back(order < 0 ? j : i);
      ++above[order < 0 ? j : i];
    }
  }
  std::vector<size_t> out;
  for (size_t i = 0; i < count; ++i) {
    if (above[i] == 0) out.push_back(i);
  }
  for (size_t next = 0; next < out.size(); ++next) {
    for (size_t j : below[out[next]]) {
      if (--above[j] == 0) out.push_back(j);
    }
  }
  return out;
}

std::optional<Type> unify_to_map(const std::vector<Type>& objects, Strictness strictness) {
  std::vector<Type> elements;
  for (const Type& object : objects) {
    for (const NamedType& attribute : object.attributes()) elements.push_back(attribute.type);
  }
  std::optional<Type> element = unify(elements, strictness);
  if (!element) return std::nullopt;
  Type map = Type::map(*element);
  for (const Type& object : objects) {
    if (!can_convert(object, map, strictness)) return std::nullopt;
  }
  return map;
}

std::optional<Type> unify_to_list(const std::vector<Type>& tuples, Strictness strictness) {
  std::vector<Type> elements;
  for (const Type& tuple : tuples) {
    elements.insert(elements.end(), tuple.elements().begin(), tuple.elements().end());
  }
  std::optional<Type> element = unify(elements, strictness);
  if (!element) return std::nullopt;
  Type list = Type::list(*element);
  for (const Type& tuple : tuples) {
    if (!can_convert(tuple, list, strictness)) return std::nullopt;
  }
  return list;
}

std::optional<Type> unify_objects(const std::vector<Type>& types, Strictness strictness) {
  for (const Type& type : types) {
    if (!same_names(type, types[0])) return unify_to_map(types, strictness);
  }
  std::vector<NamedType> attributes;
  for (size_t i = 0; i < types[0].attributes().size(); ++i) {
    std::vector<Type> across;
    for (const Type& type : types) across.push_back(type.attributes()[i].type);
    std::optional<Type> common = unify(across, strictness);
    if (!common) return std::nullopt;
    attributes.push_back({types[0].attributes()[i].name, *common});
  }
  Type object = Type::object(std::move(attributes));
  for (const Type& type : types) {
    if (!can_convert(type, object, strictness)) return unify_to_map(types, strictness);
  }
  return object;
}

std::optional<Type> unify_tuples(const std::vector<Type>& types, Strictness strictness) {
  for (const Type& type : types) {
    if (type.elements().size() != types[0].elements().size()) {
      return unify_to_list(types, strictness);
    }
  }
  std::vector<Type> elements;
  for (size_t i = 0; i < types[0].elements().size(); ++i) {
    std::vector<Type> across;
    for (const Type& type : types) across.push_back(type.elements()[i]);
    std::optional<Type> common = unify(across, strictness);
    if (!common) return std::nullopt;
    elements.push_back(*common);
  }
  Type tuple = Type::tuple(std::move(elements));
  for (const Type& type : types) {
    if (!can_convert(type, tuple, strictness)) return unify_to_list(types, strictness);
  }
  return tuple;
}

std::optional<Type> unify_collections(const std::vector<Type>& types, Strictness strictness) {
  std::vector<Type> elements;
  for (const Type& type : types) elements.push_back(type.element());
  std::optional<Type> element = unify(elements, strictness);
  if (!element) return std::nullopt;
  if (types[0].kind() == Kind::kList) return Type::list(*element);
  if (types[0].kind() == Kind::kSet) return Type::set(*element);
  return Type::map(*element);
}

// Tuples among lists, or objects among maps: first what the bare ones have in common, then all.
std::optional<Type> unify_mixed(const std::vector<Type>& types, Kind bare, Strictness strictness) {
  std::vector<Type> alone;
  for (const Type& type : types) {
    if (type.kind() == bare) alone.push_back(type);
  }
  std::optional<Type> common =
      bare == Kind::kTuple ? unify_to_list(alone, strictness) : unify_to_map(alone, strictness);
  if (!common) return std::nullopt;
  std::vector<Type> replaced = types;
  for (Type& type : replaced) {
    if (type.kind() == bare) type = *common;
  }
  return unify(replaced, strictness);
}

}  // namespace

std::optional<Type> unify(const std::vector<Type>& types, Strictness strictness) {
  if (types.empty()) return std::nullopt;
  auto count = [&](Kind kind) { return std::ranges::count(types, kind, &Type::kind); };
  auto all = std::ssize(types);
  auto any = count(Kind::kDynamic);
  auto lists = count(Kind::kList);
  auto sets = count(Kind::kSet);
  auto maps = count(Kind::kMap);
  auto tuples = count(Kind::kTuple);
  auto objects = count(Kind::kObject);
  bool one_kind = false;
  for (auto of_kind : {lists, sets, maps, tuples, objects}) {
    one_kind = one_kind || (of_kind > 0 && of_kind + any == all);
  }
  if (one_kind) {
    if (any > 0) return Type::dynamic();
    if (objects > 0) return unify_objects(types, strictness);
    if (tuples > 0) return unify_tuples(types, strictness);
    return unify_collections(types, strictness);
  }
  if (maps > 0 && maps + objects + any == all) {
    std::optional<Type> map = unify_mixed(types, Kind::kObject, strictness);
    if (map && map->kind() == Kind::kMap) return map;
  } else if (lists > 0 && lists + tuples + any == all) {
    std::optional<Type> list = unify_mixed(types, Kind::kTuple, strictness);
    if (list && list->kind() == Kind::kList) return list;
  } else if (objects > 0 && tuples > 0) {
    return std::nullopt;
  }
  for (size_t wanted : by_generality(types)) {
    bool fits = std::ranges::all_of(
        types, [&](const Type& type) { return can_convert(type, types[wanted], strictness); });
    if (fits) return types[wanted];
  }
  return std::nullopt;
}

}  // namespace sluice::hcl
