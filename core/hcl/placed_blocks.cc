#include "core/hcl/placed_blocks.h"

namespace sluice::hcl {

Result<void> PlacedBlocks::collect(const Body& body, Evaluator& evaluator, const Scope& scope) {
  for (const Block& block : body.blocks) {
    if (block.type == "dynamic") {
      Result<void> expanded = expand(block, evaluator, scope);
      if (!expanded) return expanded;
      continue;
    }
    blocks_.push_back(
        {block.type, block.type_span, block.header, block.labels, &block.body, &scope});
  }
  return {};
}

Result<void> PlacedBlocks::expand(const Block& dynamic, Evaluator& evaluator, const Scope& scope) {
  if (dynamic.labels.size() != 1) {
    return fail_at(dynamic.type_span,
                   "dynamic: expected one label, the type of the blocks to make");
  }
  for (const Attribute& attribute : dynamic.body.attributes) {
    if (attribute.name != "for_each" && attribute.name != "iterator" &&
        attribute.name != "labels") {
      return fail_at(attribute.name_span,
                     "dynamic: expected for_each, iterator or labels, found "
                     "\"{}\"",
                     attribute.name);
    }
  }
  const Attribute* for_each = dynamic.body.attribute("for_each");
  if (!for_each) return fail_at(dynamic.type_span, "dynamic: expected for_each = ... in it");
  const Block* content = nullptr;
  for (const Block& block : dynamic.body.blocks) {
    if (block.type != "content" || !block.labels.empty() || content) {
      return fail_at(block.type_span, "dynamic: expected one block content {{ }}");
    }
    content = &block;
  }
  if (!content) return fail_at(dynamic.type_span, "dynamic: expected a block content {{ }} in it");

  Result<Value> over = evaluator.evaluate(*for_each->value, scope);
  if (!over) return pass(over);
  if (over->is_null() || (!over->type().is_sequence() && !over->type().is_mapping())) {
    return fail_at(for_each->value->span, "for_each: a list, set, map or object is required");
  }
  if (over->type().is_mapping()) {
    for (const NamedValue& member : over->members()) {
      Result<void> made = expand_element(dynamic, *content, Value::string(member.name),
                                         member.value, evaluator, scope);
      if (!made) return made;
    }
    return {};
  }
  bool set = over->kind() == Type::Kind::kSet;
  int64_t index = 0;
  for (const Value& item : over->items()) {
    Value key = set ? item : Value::number(index);
    ++index;
    Result<void> made = expand_element(dynamic, *content, std::move(key), item, evaluator, scope);
    if (!made) return made;
  }
  return {};
}

Result<void> PlacedBlocks::expand_element(const Block& dynamic, const Block& content, Value key,
                                          Value value, Evaluator& evaluator, const Scope& outer) {
  if (!evaluator.budget().spend_steps(1) || blocks_.size() >= evaluator.limits().max_items) {
    return limit_at(dynamic.type_span, "dynamic: this makes too many blocks");
  }
  const std::string& type = dynamic.labels[0].text;
  std::string name = type;
  if (const Attribute* iterator = dynamic.body.attribute("iterator")) {
    if (iterator->value->kind != Expr::Kind::kVariable) {
      return fail_at(iterator->value->span, "iterator: expected a name without quotes");
    }
    name = iterator->value->name;
  }
  Scope& scope = scopes_.emplace_back(&outer);
  scope.set(name, Value::object({{"key", std::move(key)}, {"value", std::move(value)}}));
  PlacedBlock block{type, dynamic.labels[0].span, dynamic.header, {}, &content.body, &scope};
  if (const Attribute* labels = dynamic.body.attribute("labels")) {
    Result<Value> texts =
        evaluator.evaluate_as(*labels->value, scope, Type::list(Type::string()), "labels");
    if (!texts) return pass(texts);
    if (texts->is_null()) return fail_at(labels->value->span, "labels: must not be null");
    for (const Value& text : texts->items()) {
      if (text.is_null()) return fail_at(labels->value->span, "labels: must not be null");
      block.labels.push_back({text.as_string(), labels->value->span});
    }
  }
  blocks_.push_back(std::move(block));
  return {};
}

}  // namespace sluice::hcl
