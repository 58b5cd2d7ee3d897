#include "core/hcl/json_file.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

#include "core/json.h"

namespace sluice::hcl {

namespace {

constexpr std::string_view kSpace = " \t\r\n";

/// Text to expressions, each with its place: literals, tuples and objects.
class JsonReader {
 public:
  JsonReader(const Source& source, const HclLimits& limits)
      : source_(source), text_(source.text()), limits_(limits) {}

  Result<ExprPtr> read_document();

 private:
  Result<ExprPtr> read_value(uint32_t depth);
  Result<ExprPtr> read_container(uint32_t depth);
  Result<ExprPtr> read_scalar(std::string_view wanted);
  Result<void> read_member(Expr& object, uint32_t depth);
  void skip_space() { at_ = std::min(text_.find_first_not_of(kSpace, at_), text_.size()); }
  [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  [[nodiscard]] size_t scalar_end() const;
  [[nodiscard]] Span span(size_t begin, size_t end) const {
    return {&source_, static_cast<uint32_t>(begin), static_cast<uint32_t>(end)};
  }
  [[nodiscard]] std::unexpected<Error> expected(std::string_view what) const;
  ExprPtr make(Expr::Kind kind, size_t begin);

  const Source& source_;
  std::string_view text_;
  const HclLimits& limits_;
  size_t at_ = 0;
  uint32_t nodes_ = 0;
};

std::unexpected<Error> JsonReader::expected(std::string_view what) const {
  if (at_ >= text_.size()) {
    return fail_at(span(text_.size(), text_.size()), "expected {}, found the end of the file",
                   what);
  }
  const size_t end = std::max(scalar_end(), at_ + 1);
  return fail_at(span(at_, end), "expected {}, found {}", what, text_.substr(at_, end - at_));
}

/// Behind a string with its quotes, or behind what stands up to the next mark.
size_t JsonReader::scalar_end() const {
  if (peek() != '"') return std::min(text_.find_first_of(" \t\r\n,:[]{}\"", at_), text_.size());
  size_t end = at_ + 1;
  while (end < text_.size() && text_[end] != '"' && text_[end] != '\n') {
    end += text_[end] == '\\' ? 2 : 1;
  }
  return std::min(end + 1, text_.size());
}

ExprPtr JsonReader::make(Expr::Kind kind, size_t begin) {
  ++nodes_;
  auto expr = std::make_unique<Expr>();
  expr->kind = kind;
  expr->span = span(begin, at_);
  return expr;
}

Result<ExprPtr> JsonReader::read_scalar(std::string_view wanted) {
  const size_t begin = at_, end = scalar_end();
  // The one place that knows escapes and numbers is core/json.
  Result<Json> json = parse_json(text_.substr(begin, end - begin));
  if (!json) return expected(wanted);
  at_ = end;
  ExprPtr expr = make(Expr::Kind::kLiteral, begin);
  expr->literal = from_json_value(*json);
  return expr;
}

Result<void> JsonReader::read_member(Expr& object, uint32_t depth) {
  if (peek() != '"') return expected("a key in quotes");
  Result<ExprPtr> key = read_scalar("a key in quotes");
  if (!key) return pass(key);
  skip_space();
  if (peek() != ':') return expected("\":\" after the key");
  ++at_;
  Result<ExprPtr> value = read_value(depth);
  if (!value) return pass(value);
  object.children.push_back(std::move(*key));
  object.children.push_back(std::move(*value));
  return {};
}

Result<ExprPtr> JsonReader::read_container(uint32_t depth) {
  const size_t begin = at_;
  const bool is_object = peek() == '{';
  const char closer = is_object ? '}' : ']';
  ExprPtr expr = make(is_object ? Expr::Kind::kObject : Expr::Kind::kTuple, begin);
  ++at_;
  skip_space();
  while (peek() != closer || !expr->children.empty()) {
    if (is_object) {
      Result<void> member = read_member(*expr, depth);
      if (!member) return pass(member);
    } else {
      Result<ExprPtr> item = read_value(depth);
      if (!item) return item;
      expr->children.push_back(std::move(*item));
    }
    skip_space();
    if (peek() == closer) break;
    if (peek() != ',') return expected(is_object ? "\",\" or \"}\"" : "\",\" or \"]\"");
    ++at_;
    skip_space();
  }
  ++at_;
  expr->span = span(begin, at_);
  for (const ExprPtr& child : expr->children) {
    expr->depth = std::max<uint16_t>(expr->depth, static_cast<uint16_t>(child->depth + 1));
  }
  return expr;
}

Result<ExprPtr> JsonReader::read_value(uint32_t depth) {
  skip_space();
  if (depth > limits_.max_depth) {
    return limit_at(span(at_, at_), "nested over {} levels deep", limits_.max_depth);
  }
  if (nodes_ >= limits_.max_nodes) {
    return limit_at(span(at_, at_), "more than {} values", limits_.max_nodes);
  }
  if (peek() == '{' || peek() == '[') return read_container(depth + 1);
  return read_scalar("a value");
}

Result<ExprPtr> JsonReader::read_document() {
  Result<ExprPtr> value = read_value(0);
  if (!value) return value;
  if ((*value)->kind != Expr::Kind::kObject) {
    return fail_at((*value)->span, "expected an object of settings");
  }
  skip_space();
  if (at_ < text_.size()) return expected("the end of the file");
  return value;
}

// ---- expressions to bodies ----

bool is_map(const BodySchema& schema, std::string_view name) {
  const auto at = std::ranges::find(schema.arguments, name, &ArgumentSchema::name);
  return at != schema.arguments.end() &&
         (at->type == ArgumentType::kStringMap || at->type == ArgumentType::kStringListMap);
}

/// The one object of an array, as those write it who think of a map as of a block.
ExprPtr unwrapped(ExprPtr value) {
  const bool one = value->kind == Expr::Kind::kTuple && value->children.size() == 1 &&
                   value->children[0]->kind == Expr::Kind::kObject;
  return one ? std::move(value->children[0]) : std::move(value);
}

Result<void> fill_body(ExprPtr object, const BodySchema& schema, Body& body);
Result<void> fill_free_body(ExprPtr object, Body& body);

Block new_block(const std::string& name, Span place) {
  Block block;
  block.type = name;
  block.type_span = block.header = place;
  return block;
}

/// An object: the block's body, or one below each label; an array: each of its objects.
Result<void> add_blocks(const BlockSchema& schema, Span place, const Label* label, ExprPtr value,
                        Body& body) {
  if (value->kind == Expr::Kind::kTuple) {
    for (ExprPtr& item : value->children) {
      Result<void> added = add_blocks(schema, place, label, std::move(item), body);
      if (!added) return added;
    }
    return {};
  }
  if (value->kind != Expr::Kind::kObject) {
    return fail_at(value->span, "{}: expected an object, found {}", schema.name,
                   value->literal.type().name());
  }
  if (!schema.label_json.empty() && label == nullptr) {
    for (size_t i = 0; i < value->children.size(); i += 2) {
      const Expr& key = *value->children[i];
      const Label named{key.literal.as_string(), key.span};
      Result<void> added =
          add_blocks(schema, place, &named, std::move(value->children[i + 1]), body);
      if (!added) return added;
    }
    return {};
  }
  Block block = new_block(std::string(schema.name), place);
  if (label != nullptr) block.labels.push_back(*label);
  Result<void> filled;
  if (schema.use == BlockUse::kFreeForm) {
    filled = fill_free_body(std::move(value), block.body);
  } else if (schema.body != nullptr) {
    filled = fill_body(std::move(value), *schema.body, block.body);
  }
  if (!filled) return filled;
  body.blocks.push_back(std::move(block));
  return {};
}

void add_attribute(const Expr& key, ExprPtr value, Body& body) {
  Attribute attribute;
  attribute.name = key.literal.as_string();
  attribute.name_span = key.span;
  attribute.span = join(key.span, value->span);
  attribute.value = std::move(value);
  body.attributes.push_back(std::move(attribute));
}

/// A key that an object has twice is an error, as an argument that is set twice is.
Result<void> check_keys(const Expr& object) {
  std::vector<std::pair<std::string_view, Span>> keys;
  for (size_t i = 0; i < object.children.size(); i += 2) {
    const Expr& key = *object.children[i];
    keys.emplace_back(key.literal.as_string(), key.span);
  }
  std::ranges::sort(keys, {},
                    [](const auto& key) { return std::pair(key.first, key.second.begin); });
  const auto first =
      std::ranges::adjacent_find(keys, {}, [](const auto& key) { return key.first; });
  if (first == keys.end()) return {};
  return fail_at(std::next(first)->second, "\"{}\" is set twice, first in line {}", first->first,
                 position_of(first->second).line);
}

/// The object's end, where something is missing.
Span end_of(const Expr& object) {
  return {object.span.source, object.span.end - 1, object.span.end};
}

Result<void> fill_body(ExprPtr object, const BodySchema& schema, Body& body) {
  if (Result<void> keys = check_keys(*object); !keys) return keys;
  body.end = end_of(*object);
  for (size_t i = 0; i < object->children.size(); i += 2) {
    const Expr& key = *object->children[i];
    ExprPtr& value = object->children[i + 1];
    const std::string& name = key.literal.as_string();
    const auto block = std::ranges::find(schema.blocks, name, &BlockSchema::name);
    const bool unset = value->kind == Expr::Kind::kLiteral && value->literal.is_null();
    if (block != schema.blocks.end() && unset) continue;
    if (block == schema.blocks.end()) {
      add_attribute(key, is_map(schema, name) ? unwrapped(std::move(value)) : std::move(value),
                    body);
      continue;
    }
    Result<void> added = add_blocks(*block, key.span, nullptr, std::move(value), body);
    if (!added) return added;
  }
  return {};
}

/// Without a table an object is a block, and so is each of an array of objects.
Result<void> fill_free_body(ExprPtr object, Body& body) {
  if (Result<void> keys = check_keys(*object); !keys) return keys;
  body.end = end_of(*object);
  for (size_t i = 0; i < object->children.size(); i += 2) {
    const Expr& key = *object->children[i];
    ExprPtr& value = object->children[i + 1];
    const bool objects = value->kind == Expr::Kind::kObject ||
                         (value->kind == Expr::Kind::kTuple && !value->children.empty() &&
                          std::ranges::all_of(value->children, [](const ExprPtr& e) {
                            return e->kind == Expr::Kind::kObject;
                          }));
    if (!objects) {
      add_attribute(key, std::move(value), body);
      continue;
    }
    const BlockSchema inner{
        .name = key.literal.as_string(), .json = {}, .use = BlockUse::kFreeForm};
    Result<void> added = add_blocks(inner, key.span, nullptr, std::move(value), body);
    if (!added) return added;
  }
  return {};
}

}  // namespace

bool looks_like_json(std::string_view text) {
  const size_t first = text.find_first_not_of(kSpace);
  return first != std::string_view::npos && text[first] == '{';
}

Result<File> parse_json_file(std::string name, std::string text, const BodySchema& schema,
                             const HclLimits& limits) {
  File file;
  file.source = std::make_shared<const Source>(std::move(name), std::move(text));
  if (file.source->text().size() > limits.max_bytes) {
    return fail(Code::kLimit, "{}: {} bytes, at most {} are taken", file.source->name(),
                file.source->text().size(), limits.max_bytes);
  }
  Result<ExprPtr> document = JsonReader(*file.source, limits).read_document();
  if (!document) return pass(document);
  Result<void> filled = fill_body(std::move(*document), schema, file.body);
  if (!filled) return pass(filled);
  return file;
}

}  // namespace sluice::hcl
