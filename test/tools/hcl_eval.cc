// Our HCL behind a pipe, for the differential test: requests and answers as
// test/tools/hcl_reference.
#include <fmt/core.h>

#include <iostream>

#include "core/hcl/eval.h"
#include "core/hcl/functions.h"
#include "core/hcl/parser.h"

namespace sluice::hcl {

namespace {

std::string type_text(const Type& type) {
  switch (type.kind()) {
    case Type::Kind::kList: return "list(" + type_text(type.element()) + ")";
    case Type::Kind::kSet: return "set(" + type_text(type.element()) + ")";
    case Type::Kind::kMap: return "map(" + type_text(type.element()) + ")";
    case Type::Kind::kTuple: {
      std::string out;
      for (const Type& element : type.elements()) {
        if (!out.empty()) out += ',';
        out += type_text(element);
      }
      return "tuple(" + out + ")";
    }
    case Type::Kind::kObject: {
      std::string out;
      for (const NamedType& attribute : type.attributes()) {
        if (!out.empty()) out += ',';
        append_json_string(out, attribute.name);
        out += '=' + type_text(attribute.type);
      }
      return "object(" + out + ")";
    }
    default: return type.name();
  }
}

// Numbers with all their digits, unlike to_json_value.
std::string value_text(const Value& value) {
  if (value.is_null()) return "null";
  std::string out;
  switch (value.kind()) {
    case Type::Kind::kBool: return value.as_bool() ? "true" : "false";
    case Type::Kind::kNumber: return value.as_number().text();
    case Type::Kind::kString: append_json_string(out, value.as_string()); return out;
    case Type::Kind::kList:
    case Type::Kind::kSet:
    case Type::Kind::kTuple:
      for (const Value& item : value.items()) {
        out += out.empty() ? "[" : ",";
        out += value_text(item);
      }
      return out.empty() ? "[]" : out + "]";
    case Type::Kind::kMap:
    case Type::Kind::kObject:
      for (const NamedValue& member : value.members()) {
        out += out.empty() ? "{" : ",";
        append_json_string(out, member.name);
        out += ':' + value_text(member.value);
      }
      return out.empty() ? "{}" : out + "}";
    case Type::Kind::kDynamic: break;
  }
  return "null";
}

Result<std::string> body_text(const Body& body, Evaluator& evaluator, const Scope& scope) {
  Value::Members members;
  for (const Attribute& attribute : body.attributes) {
    Result<Value> value = evaluator.evaluate(*attribute.value, scope);
    if (!value) return pass(value);
    members.push_back({attribute.name, *value});
  }
  std::string blocks;
  for (const Block& block : body.blocks) {
    Result<std::string> inner = body_text(block.body, evaluator, scope);
    if (!inner) return inner;
    Json labels = Json::array();
    for (const Label& label : block.labels) labels.push(label.text);
    if (!blocks.empty()) blocks += ',';
    blocks += fmt::format("[{},{},{}]", to_json(Json(block.type)), to_json(labels), *inner);
  }
  return fmt::format("[{},[{}]]", value_text(Value::object(std::move(members))), blocks);
}

std::string failed(const Error& error, bool parse, uint64_t forgiven = 0) {
  std::string out;
  JsonWriter writer(out);
  writer.begin_object().member("ok", false).member("error", error.message);
  // "t:line:column: ..."
  int line = 0;
  int column = 0;
  if (std::sscanf(error.message.c_str(), "t:%d:%d:", &line, &column) == 2) {
    writer.member("line", line).member("column", column);
  }
  writer.member("parse", parse).member("forgiven", forgiven).end_object();
  return out;
}

std::string succeeded(std::string_view type, std::string_view value, uint64_t forgiven) {
  std::string out;
  JsonWriter writer(out);
  writer.begin_object().member("ok", true).member("type", type).key("value").raw(value);
  writer.member("forgiven", forgiven).end_object();
  return out;
}

std::string answer(const Json& request) {
  std::string_view kind = request.get_string("kind");
  std::string source(request.get_string("source"));
  Evaluator evaluator({.functions = &standard_functions()});
  Scope scope;
  if (kind == "body") {
    Result<File> file = parse_file("t", source);
    if (!file) return failed(file.error(), true);
    Result<std::string> text = body_text(file->body, evaluator, scope);
    return text ? succeeded("body", *text, evaluator.forgiven_arms())
                : failed(text.error(), false, evaluator.forgiven_arms());
  }
  Result<Expression> expression =
      kind == "template" ? parse_template("t", source) : parse_expression("t", source);
  if (!expression) return failed(expression.error(), true);
  Result<Value> value = evaluator.evaluate(*expression->expr, scope);
  if (!value) return failed(value.error(), false, evaluator.forgiven_arms());
  return succeeded(type_text(value->type()), value_text(*value), evaluator.forgiven_arms());
}

}  // namespace

}  // namespace sluice::hcl

int main() {
  std::string line;
  while (std::getline(std::cin, line)) {
    sluice::Result<sluice::Json> request = sluice::parse_json(line);
    if (!request) return 1;
    std::cout << sluice::hcl::answer(*request) << '\n';
  }
  return 0;
}
