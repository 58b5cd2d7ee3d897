// consul-template's functions over pairs, services and maps.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "core/ascii.h"
#include "orchestrator/node/template_function.h"
#include "orchestrator/node/template_inputs.h"

namespace sluice::orchestrator {

namespace {

using Arguments = TemplateArguments;
using text_template::to_text;

/// Below `root`, a map for each part of the key but the last.
Result<void> put_deep(Json& root, const std::string& key, const Json& value) {
  Json* at = &root;
  size_t begin = 0;
  for (size_t slash; (slash = key.find('/', begin)) != std::string::npos; begin = slash + 1) {
    const std::string part = key.substr(begin, slash - begin);
    if (at->find(part) == nullptr) at->set(part, Json::object());
    Json* next = at->find(part);
    if (!next->is_object()) {
      return fail(Code::kInvalid, "not a map: \"{}\": \"{}\" already has the value {}", key, part,
                  to_text(*next));
    }
    at = next;
  }
  if (begin < key.size()) at->set(key.substr(begin), value);
  return {};
}

/// [{Key: "a/b", Value: 1}, ...] as {a: {b: 1}}.
Result<Json> explode(Arguments args) {
  if (args.size() != 1 || !args[0].is_array()) return fail(Code::kInvalid, "wants a list of pairs");
  Json root = Json::object();
  for (const Json& pair : args[0].as_array()) {
    const Json* value = pair.find("Value");
    Result<void> put =
        put_deep(root, std::string(pair.get_string("Key")), value != nullptr ? *value : Json());
    if (!put) return pass(put);
  }
  return root;
}

/// {"a/b": 1} as {a: {b: 1}}.
Result<Json> explode_map(Arguments args) {
  if (args.size() != 1 || !args[0].is_object()) return fail(Code::kInvalid, "wants a map");
  Json::Object members = args[0].as_object();
  std::sort(members.begin(), members.end(), [](auto& a, auto& b) { return a.key < b.key; });
  Json root = Json::object();
  for (const JsonMember& member : members) {
    Result<void> put = put_deep(root, member.key, member.value);
    if (!put) return pass(put);
  }
  return root;
}

/// What both have stays, or is overridden; maps in maps are merged themselves.
Json merged(Json into, const Json& from, bool override) {
  for (const JsonMember& member : from.as_object()) {
    const Json* held = into.find(member.key);
    if (held == nullptr || !text_template::is_true(*held)) {
      into.set(member.key, member.value);
    } else if (held->is_object() && member.value.is_object()) {
      into.set(member.key, merged(*held, member.value, override));
    } else if (override && text_template::is_true(member.value)) {
      into.set(member.key, member.value);
    }
  }
  return into;
}

text_template::Function merge(bool override) {
  return [override](Arguments args) -> Result<Json> {
    if (args.size() != 2 || !args[0].is_object() || !args[1].is_object()) {
      return fail(Code::kInvalid, "wants two maps");
    }
    return merged(args[0], args[1], override);
  };
}

/// Pairs by the first part of their keys.
Result<Json> by_key(Arguments args) {
  if (args.size() != 1 || !args[0].is_array()) return fail(Code::kInvalid, "wants a list of pairs");
  Json out = Json::object();
  for (const Json& pair : args[0].as_array()) {
    const std::string key(pair.get_string("Key"));
    const size_t slash = key.find('/');
    if (slash == std::string::npos || slash + 1 == key.size()) continue;
    const std::string first = key.substr(0, slash), rest = key.substr(slash + 1);
    if (out.find(first) == nullptr) out.set(first, Json::object());
    Json inner = pair;
    inner.set("Key", rest);
    out.find(first)->set(rest, std::move(inner));
  }
  return out;
}

void push_below(Json& groups, const std::string& name, const Json& service) {
  if (groups.find(name) == nullptr) groups.set(name, Json::array());
  groups.find(name)->push(service);
}

/// Services by each of their tags.
Result<Json> by_tag(Arguments args) {
  if (args.size() != 1 || !args[0].is_array()) {
    return fail(Code::kInvalid, "wants a list of services");
  }
  Json out = Json::object();
  for (const Json& service : args[0].as_array()) {
    const Json* tags = service.find("Tags");
    if (tags == nullptr || !tags->is_array()) continue;
    for (const Json& tag : tags->as_array()) {
      if (tag.is_string()) push_below(out, tag.as_string(), service);
    }
  }
  return out;
}

/// One part of byMeta's key: the value of `asked`, which may end in "|int" (five digits), with
/// whatever is no letter, digit, _ or - made a _.
Result<std::string> meta_part(const Json& service, std::string asked) {
  constexpr std::string_view kInt = "|int";
  const bool number = asked.ends_with(kInt);
  if (number) asked.resize(asked.size() - kInt.size());
  const Json* meta = service.find("ServiceMeta");
  std::string value(meta != nullptr ? meta->get_string(asked) : "");
  if (number) {
    int64_t whole = 0;
    const auto [end, trouble] = std::from_chars(value.data(), value.data() + value.size(), whole);
    if (!value.empty() && (trouble != std::errc() || end != value.data() + value.size())) {
      return fail(Code::kInvalid, "cannot parse {} as number", value);
    }
    return fmt::format("{:05}", whole);
  }
  if (value.empty()) value = fmt::format("_no_{}_", asked);
  for (char& c : value) {
    const bool kept = ascii::is_alphanumeric(c) || c == '_' || c == '-';
    if (!kept) c = '_';
  }
  return value;
}

/// Services by what their meta says: `byMeta "team,shard|int"`.
Result<Json> by_meta(Arguments args) {
  if (args.size() != 2 || !args[0].is_string() || !args[1].is_array()) {
    return fail(Code::kInvalid, "wants names of meta and a list of services");
  }
  Json out = Json::object();
  for (const Json& service : args[1].as_array()) {
    std::string key, names = args[0].as_string() + ",";
    for (size_t comma; (comma = names.find(',')) != std::string::npos; names.erase(0, comma + 1)) {
      Result<std::string> part = meta_part(service, names.substr(0, comma));
      if (!part) return pass(part);
      key += (key.empty() ? "" : "_") + *part;
    }
    push_below(out, key, service);
  }
  return out;
}

}  // namespace

void add_template_maps(text_template::Functions& functions) {
  functions["explode"] = explode;
  functions["explodeMap"] = explode_map;
  functions["mergeMap"] = merge(false);
  functions["mergeMapWithOverride"] = merge(true);
  functions["byKey"] = by_key;
  functions["byTag"] = by_tag;
  functions["byMeta"] = by_meta;
}

}  // namespace sluice::orchestrator
