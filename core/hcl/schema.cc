#include "core/hcl/schema.h"

#include <algorithm>
#include <string>
#include <vector>

#include "core/check.h"
#include "core/duration.h"
#include "core/hcl/placed_blocks.h"

namespace sluice::hcl {

namespace {

// ---- arguments ----

Result<Json> whole_number(const ArgumentSchema& schema, const Expr& expr, const Value& value) {
  const Number& number = value.as_number();
  if (!number.is_int64()) {
    return fail_at(expr.span, "{}: a whole number is required, this is {}", schema.name,
                   number.text());
  }
  int64_t whole = number.to_int64();
  if (whole < schema.min || whole > schema.max) {
    if (schema.max == INT64_MAX) {
      return fail_at(expr.span, "{}: at least {} is required, this is {}", schema.name, schema.min,
                     whole);
    }
    return fail_at(expr.span, "{}: a number from {} to {} is required, this is {}", schema.name,
                   schema.min, schema.max, whole);
  }
  return whole;
}

Result<Json> enough(const ArgumentSchema& schema, const Expr& expr, int64_t ns) {
  if (ns >= schema.min) return ns;
  return fail_at(expr.span, "{}: at least {} is required, this is {}", schema.name,
                 go_duration(schema.min), go_duration(ns));
}

Result<Json> duration(const ArgumentSchema& schema, const Expr& expr, const Value& value) {
  if (value.kind() == Type::Kind::kNumber) {
    if (value.as_number().is_int64()) return enough(schema, expr, value.as_number().to_int64());
    return fail_at(expr.span,
                   "{}: a duration such as \"30s\" or a whole number of nanoseconds is "
                   "required",
                   schema.name);
  }
  if (value.kind() != Type::Kind::kString) {
    return fail_at(expr.span, "{}: a duration such as \"30s\" is required, this is {}", schema.name,
                   value.type().name());
  }
  Result<int64_t> ns = parse_go_duration(value.as_string());
  if (!ns) return fail_at(expr.span, "{}: {}", schema.name, ns.error().message);
  return enough(schema, expr, *ns);
}

// "a, b or c", and what may be meant.
Result<void> check_word(const ArgumentSchema& schema, const Expr& expr, const std::string& text) {
  if (schema.words.empty() || text.empty() ||
      std::ranges::find(schema.words, text) != schema.words.end())
    return {};
  std::string choices;
  for (size_t i = 0; i < schema.words.size(); ++i) {
    if (i > 0) choices += i + 1 == schema.words.size() ? " or " : ", ";
    choices += schema.words[i];
  }
  if (expr.kind == Expr::Kind::kVariable) {
    return fail_at(expr.span, "{}: expected {}, found the name {} (text stands in quotes)",
                   schema.name, choices, expr.name);
  }
  std::string_view close = closest_name(text, schema.words.data(), schema.words.size());
  return fail_at(expr.span, "{}: expected {}, found \"{}\"{}", schema.name, choices, text,
                 close.empty() ? "" : fmt::format("; did you mean \"{}\"?", close));
}

Type type_of(ArgumentType type) {
  switch (type) {
    case ArgumentType::kString: return Type::string();
    case ArgumentType::kWhole:
    case ArgumentType::kNumber: return Type::number();
    case ArgumentType::kBool: return Type::boolean();
    case ArgumentType::kDuration:
    case ArgumentType::kAny: return Type::dynamic();
    case ArgumentType::kStrings: return Type::list(Type::string());
    case ArgumentType::kStringMap: return Type::map(Type::string());
    case ArgumentType::kStringListMap: return Type::map(Type::list(Type::string()));
  }
  CHECK(false);
  return {};
}

Result<Json> argument_json(const ArgumentSchema& schema, const Expr& expr, Evaluator& evaluator,
                           const Scope& scope) {
  Result<Value> value = evaluator.evaluate_as(expr, scope, type_of(schema.type), schema.name);
  if (!value) return pass(value);
  if (value->is_null()) return Json();  // as if it were not there
  if (schema.type == ArgumentType::kString) {
    Result<void> known = check_word(schema, expr, value->as_string());
    if (!known) return pass(known);
  }
  if (schema.type == ArgumentType::kWhole) return whole_number(schema, expr, *value);
  if (schema.type == ArgumentType::kDuration) return duration(schema, expr, *value);
  return to_json_value(*value);
}

// The block form of a map: its arguments are the keys.
Result<Json> map_block_json(const ArgumentSchema& schema, const PlacedBlock& block,
                            Evaluator& evaluator) {
  if (!block.labels.empty()) {
    return fail_at(block.labels[0].span, "{}: expected \"{{\", the block takes no label",
                   schema.name);
  }
  if (!block.body->blocks.empty()) {
    const Block& inner = block.body->blocks[0];
    return fail_at(inner.type_span, "{}: expected {} = \"...\", found a block", schema.name,
                   inner.type);
  }
  Type element =
      schema.type == ArgumentType::kStringMap ? Type::string() : Type::list(Type::string());
  Json out = Json::object();
  for (const Attribute& attribute : block.body->attributes) {
    Result<Value> value =
        evaluator.evaluate_as(*attribute.value, *block.scope, element, attribute.name);
    if (!value) return pass(value);
    if (!value->is_null()) out.set(attribute.name, to_json_value(*value));
  }
  return out;
}

// ---- bodies ----

class BodyDecoder {
 public:
  BodyDecoder(const Body& body, const BodySchema& schema, Evaluator& evaluator)
      : body_(body), schema_(schema), evaluator_(evaluator) {}

  Result<Json> decode(Span place, const Scope& scope);

 private:
  Result<void> decode_argument(const Attribute& attribute, const Scope& scope);
  Result<void> decode_block(const PlacedBlock& block);
  Result<void> decode_known_block(const PlacedBlock& block, const BlockSchema& schema);
  Result<void> decode_map_block(const PlacedBlock& block, const ArgumentSchema& schema);
  Result<void> check_labels(const PlacedBlock& block, const BlockSchema& schema);
  [[nodiscard]] std::string suggestion(std::string_view name) const;
  [[nodiscard]] const ArgumentSchema* argument(std::string_view name) const;
  [[nodiscard]] const BlockSchema* block(std::string_view name) const;

  struct Seen {
    std::string_view name;
    Span place;
  };

  const Body& body_;
  const BodySchema& schema_;
  Evaluator& evaluator_;
  Json out_ = Json::object();
  std::vector<Seen> seen_;
};

bool is_map(const ArgumentSchema& schema) {
  return schema.type == ArgumentType::kStringMap || schema.type == ArgumentType::kStringListMap;
}

const ArgumentSchema* BodyDecoder::argument(std::string_view name) const {
  auto at = std::ranges::find(schema_.arguments, name, &ArgumentSchema::name);
  return at == schema_.arguments.end() ? nullptr : &*at;
}

const BlockSchema* BodyDecoder::block(std::string_view name) const {
  auto at = std::ranges::find(schema_.blocks, name, &BlockSchema::name);
  return at == schema_.blocks.end() ? nullptr : &*at;
}

std::string BodyDecoder::suggestion(std::string_view name) const {
  std::vector<std::string_view> names;
  for (const ArgumentSchema& known : schema_.arguments) names.push_back(known.name);
  for (const BlockSchema& known : schema_.blocks) names.push_back(known.name);
  std::string_view close = closest_name(name, names.data(), names.size());
  return close.empty() ? std::string() : fmt::format("; did you mean \"{}\"?", close);
}

Result<void> BodyDecoder::decode_argument(const Attribute& attribute, const Scope& scope) {
  const ArgumentSchema* known = argument(attribute.name);
  if (!known) {
    if (const BlockSchema* as_block = block(attribute.name)) {
      return fail_at(attribute.name_span,
                     "\"{}\" is a block: expected {}{} {{ ... }} without \"=\"", attribute.name,
                     attribute.name, as_block->label_json.empty() ? "" : " \"label\"");
    }
    return fail_at(attribute.name_span, "there is no argument \"{}\" here{}", attribute.name,
                   suggestion(attribute.name));
  }
  Result<Json> json = argument_json(*known, *attribute.value, evaluator_, scope);
  if (!json) return pass(json);
  if (known->refused && says_something(*json)) {
    return fail_at(attribute.name_span, "\"{}\" is not supported", attribute.name);
  }
  if (!json->is_null()) out_.set(known->json, std::move(*json));
  return {};
}

Result<void> BodyDecoder::decode_map_block(const PlacedBlock& block, const ArgumentSchema& schema) {
  if (const Attribute* set = body_.attribute(schema.name)) {
    return fail_at(block.place, "\"{}\" is set twice, first in line {}", schema.name,
                   position_of(set->name_span).line);
  }
  Result<Json> json = map_block_json(schema, block, evaluator_);
  if (!json) return pass(json);
  out_.set(schema.json, std::move(*json));
  return {};
}

Result<void> BodyDecoder::check_labels(const PlacedBlock& block, const BlockSchema& schema) {
  if (schema.label_json.empty()) {
    if (block.labels.empty()) return {};
    return fail_at(block.labels[0].span, "expected \"{{\": the block \"{}\" takes no label",
                   schema.name);
  }
  if (block.labels.empty()) {
    return fail_at(block.place, "expected a label: {} \"name\" {{ ... }}", schema.name);
  }
  if (block.labels.size() > 1) {
    return fail_at(block.labels[1].span, "expected \"{{\": the block \"{}\" takes one label",
                   schema.name);
  }
  return {};
}

Result<void> BodyDecoder::decode_known_block(const PlacedBlock& block, const BlockSchema& schema) {
  if (schema.use == BlockUse::kRefused) {
    return fail_at(block.place, "\"{}\" is not supported", schema.name);
  }
  Result<void> labels = check_labels(block, schema);
  if (!labels) return labels;
  if (schema.use == BlockUse::kFreeForm) {
    Result<Json> json = free_form_json(*block.body, evaluator_, *block.scope);
    if (!json) return pass(json);
    out_.set(schema.json, std::move(*json));
    return {};
  }
  Result<Json> json = decode_body(*block.body, *schema.body, block.place, evaluator_, *block.scope);
  if (!json) return pass(json);
  if (!schema.label_json.empty()) {
    // The label comes first, as a name does.
    Json labelled = Json::object({{std::string(schema.label_json), block.labels[0].text}});
    for (JsonMember& member : json->as_object()) {
      labelled.set(member.key, std::move(member.value));
    }
    json = std::move(labelled);
  }
  switch (schema.use) {
    case BlockUse::kOnce: out_.set(schema.json, std::move(*json)); break;
    case BlockUse::kRepeated:
      if (!out_.find(schema.json)) out_.set(schema.json, Json::array());
      out_.find(schema.json)->push(std::move(*json));
      break;
    case BlockUse::kByLabel: {
      if (!out_.find(schema.json)) out_.set(schema.json, Json::object());
      Json& all = *out_.find(schema.json);
      if (all.find(block.labels[0].text)) {
        return fail_at(block.labels[0].span, "there is a {} \"{}\" already", schema.name,
                       block.labels[0].text);
      }
      all.set(block.labels[0].text, std::move(*json));
      break;
    }
    case BlockUse::kFreeForm:
    case BlockUse::kRefused: CHECK(false);
  }
  return {};
}

Result<void> BodyDecoder::decode_block(const PlacedBlock& placed) {
  const BlockSchema* known = block(placed.type);
  const ArgumentSchema* map = known ? nullptr : argument(placed.type);
  if (!known && !map) {
    return fail_at(placed.place, "there is no block \"{}\" here{}", placed.type,
                   suggestion(placed.type));
  }
  if (map && !is_map(*map)) {
    return fail_at(placed.place, "\"{}\" is an argument: expected {} = ...", placed.type,
                   placed.type);
  }
  bool repeats = known && known->use != BlockUse::kOnce && known->use != BlockUse::kFreeForm;
  if (!repeats) {
    for (const Seen& seen : seen_) {
      if (seen.name != placed.type) continue;
      return fail_at(placed.place, "only one block \"{}\" may stand here, the first is in line {}",
                     placed.type, position_of(seen.place).line);
    }
    seen_.push_back({placed.type, placed.place});
  }
  return map ? decode_map_block(placed, *map) : decode_known_block(placed, *known);
}

Result<Json> BodyDecoder::decode(Span place, const Scope& scope) {
  for (const Attribute& attribute : body_.attributes) {
    Result<void> decoded = decode_argument(attribute, scope);
    if (!decoded) return pass(decoded);
  }
  PlacedBlocks blocks;
  Result<void> collected = blocks.collect(body_, evaluator_, scope);
  if (!collected) return pass(collected);
  for (const PlacedBlock& placed : blocks.all()) {
    Result<void> decoded = decode_block(placed);
    if (!decoded) return pass(decoded);
  }
  if (schema_.finish) {
    DecodedBody decoded{.json = out_, .body = body_, .place = place};
    Result<void> finished = schema_.finish(decoded);
    if (!finished) return pass(finished);
  }
  return std::move(out_);
}

}  // namespace

Result<Json> decode_body(const Body& body, const BodySchema& schema, Span place,
                         Evaluator& evaluator, const Scope& scope) {
  return BodyDecoder(body, schema, evaluator).decode(place, scope);
}

Result<Json> free_form_json(const Body& body, Evaluator& evaluator, const Scope& scope) {
  Json out = Json::object();
  for (const Attribute& attribute : body.attributes) {
    Result<Value> value = evaluator.evaluate(*attribute.value, scope);
    if (!value) return pass(value);
    Json json = to_json_value(*value);
    bool literal = attribute.value->kind == Expr::Kind::kObject;
    out.set(attribute.name, literal ? Json::array({std::move(json)}) : std::move(json));
  }
  PlacedBlocks blocks;
  Result<void> collected = blocks.collect(body, evaluator, scope);
  if (!collected) return pass(collected);
  for (const PlacedBlock& block : blocks.all()) {
    if (const Attribute* set = body.attribute(block.type)) {
      return fail_at(block.place, "\"{}\" is set already, in line {}", block.type,
                     position_of(set->name_span).line);
    }
    Result<Json> json = free_form_json(*block.body, evaluator, *block.scope);
    if (!json) return json;
    for (size_t i = block.labels.size(); i > 0; --i) {
      json = Json::object({{block.labels[i - 1].text, Json::array({std::move(*json)})}});
    }
    if (!out.find(block.type)) out.set(block.type, Json::array());
    out.find(block.type)->push(std::move(*json));
  }
  return out;
}

}  // namespace sluice::hcl
