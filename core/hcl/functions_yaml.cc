// yamldecode and yamlencode.
#include "core/hcl/functions_impl.h"
#include "core/hcl/yaml_document.h"

namespace sluice::hcl {

namespace {

bool write_text(YamlEmitter& out, std::string_view text) {
  return out.scalar(text, text.contains('\n') ? YamlStyle::kBlock : YamlStyle::kQuoted);
}

bool write_value(YamlEmitter& out, const Value& value) {
  if (value.is_null()) return out.scalar("null", YamlStyle::kPlain);
  if (value.type().is_sequence()) {
    if (!out.begin_sequence()) return false;
    for (const Value& item : value.items()) {
      if (!write_value(out, item)) return false;
    }
    return out.end_sequence();
  }
  if (value.type().is_mapping()) {
    if (!out.begin_mapping()) return false;
    for (const NamedValue& member : value.members()) {
      if (!write_text(out, member.name) || !write_value(out, member.value)) return false;
    }
    return out.end_mapping();
  }
  if (value.kind() == Type::Kind::kString) return write_text(out, value.as_string());
  if (value.kind() == Type::Kind::kBool) {
    return out.scalar(value.as_bool() ? "true" : "false", YamlStyle::kPlain);
  }
  return out.scalar(value.as_number().text(), YamlStyle::kPlain);
}

Result<Value> yamldecode(Arguments arguments, CallContext& context) {
  return read_yaml(arguments[0].as_string(), YamlWords::kCty, context.budget);
}

Result<Value> yamlencode(Arguments arguments, CallContext&) {
  YamlEmitter out;
  write_value(out, arguments[0]);
  Result<std::string> text = out.finish();
  if (!text) return pass(text);
  // The reference ends a document that is one plain word so.
  bool plain = arguments[0].is_null() || arguments[0].kind() == Type::Kind::kNumber ||
               arguments[0].kind() == Type::Kind::kBool;
  if (plain) *text += "...\n";
  return Value::string(std::move(*text));
}

}  // namespace

void add_yaml_functions(std::vector<Function>& out) {
  out.push_back({"yamldecode", {{"text", Type::string()}}, false, yamldecode});
  out.push_back({"yamlencode", {{"value", Type::dynamic(), true}}, false, yamlencode});
}

}  // namespace sluice::hcl
