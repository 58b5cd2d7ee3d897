#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/http.h"
#include "core/text_template/template.h"

namespace sluice::text_template {

namespace {

using Arguments = std::span<const Json>;

std::unexpected<Error> wrong_count(size_t want, size_t got) {
  return fail(Code::kInvalid, "wants {} arguments, got {}", want, got);
}

int order(const Json& a, const Json& b, bool& comparable) {
  comparable = true;
  const auto of = [](const auto& x, const auto& y) { return x < y ? -1 : y < x ? 1 : 0; };
  if (a.is_int() && b.is_int()) return of(a.as_int(), b.as_int());
  if (a.kind() == Json::Kind::kDouble && b.kind() == Json::Kind::kDouble) {
    return of(a.as_double(), b.as_double());
  }
  if (a.is_string() && b.is_string()) return of(a.as_string(), b.as_string());
  comparable = false;
  return 0;
}

/// Go's numbers of two kinds do not compare either: 1 and 1.0, which is what parseJSON makes.
std::unexpected<Error> incomparable(const Json& a, const Json& b) {
  return fail(Code::kInvalid, "incompatible types for comparison: {} ({}) and {} ({})", to_text(a),
              kind_name(a), to_text(b), kind_name(b));
}

Result<Json> compare(Arguments args, bool (*decide)(int)) {
  if (args.size() != 2) return wrong_count(2, args.size());
  bool comparable = false;
  const int how = order(args[0], args[1], comparable);
  if (!comparable) return incomparable(args[0], args[1]);
  return Json(decide(how));
}

Result<Json> equal(Arguments args) {
  if (args.size() < 2) return wrong_count(2, args.size());
  for (const Json& other : args.subspan(1)) {
    const bool kinds_fit = args[0].kind() == other.kind() || args[0].is_null() || other.is_null();
    if (!kinds_fit) return incomparable(args[0], other);
    if (args[0] == other) return Json(true);
  }
  return Json(false);
}

Result<Json> length(Arguments args) {
  if (args.size() != 1) return wrong_count(1, args.size());
  if (args[0].is_string()) return Json(static_cast<int64_t>(args[0].as_string().size()));
  if (args[0].is_array() || args[0].is_object() || args[0].is_null()) {
    return Json(static_cast<int64_t>(args[0].size()));
  }
  return fail(Code::kInvalid, "len of {}", to_text(args[0]));
}

Result<Json> index(Arguments args) {
  if (args.empty()) return wrong_count(1, 0);
  Json value = args[0];
  for (const Json& key : args.subspan(1)) {
    Json inner;
    if (value.is_object() && key.is_string()) {
      if (const Json* found = value.find(key.as_string())) inner = *found;
    } else if ((value.is_array() || value.is_string()) && key.is_int()) {
      const size_t size = value.is_array() ? value.size() : value.as_string().size();
      if (key.as_int() < 0 || static_cast<size_t>(key.as_int()) >= size) {
        return fail(Code::kInvalid, "index out of range: {}", key.as_int());
      }
      const auto at = static_cast<size_t>(key.as_int());
      inner = value.is_array() ? value.as_array()[at]
                               : Json(int64_t{static_cast<unsigned char>(value.as_string()[at])});
    } else if (!value.is_null()) {
      return fail(Code::kInvalid, "can't index {} with {}", to_text(value), to_text(key));
    }
    value = std::move(inner);
  }
  return value;
}

Result<Json> slice(Arguments args) {
  if (args.empty() || args.size() > 3) return wrong_count(3, args.size());
  const bool text = args[0].is_string();
  if (!text && !args[0].is_array()) return fail(Code::kInvalid, "slice of {}", to_text(args[0]));
  const auto size = static_cast<int64_t>(text ? args[0].as_string().size() : args[0].size());
  int64_t from = 0, to = size;
  if (args.size() > 1 && args[1].is_int()) from = args[1].as_int();
  if (args.size() > 2 && args[2].is_int()) to = args[2].as_int();
  if (from < 0 || to > size || from > to) {
    return fail(Code::kInvalid, "slice out of range: {}:{}", from, to);
  }
  if (text) {
    return Json(
        args[0].as_string().substr(static_cast<size_t>(from), static_cast<size_t>(to - from)));
  }
  const Json::Array& items = args[0].as_array();
  return Json(Json::Array(items.begin() + from, items.begin() + to));
}

/// Go's Sprint: a space between two operands neither of which is a string.
std::string print(Arguments args) {
  std::string out;
  for (size_t i = 0; i < args.size(); ++i) {
    if (i > 0 && !args[i].is_string() && !args[i - 1].is_string()) out += ' ';
    out += to_text(args[i]);
  }
  return out;
}

std::string print_line(Arguments args) {
  std::string out;
  for (size_t i = 0; i < args.size(); ++i) out += (i > 0 ? " " : "") + to_text(args[i]);
  return out + "\n";
}

std::string html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '&': out += "&amp;"; break;
      case '"': out += "&#34;"; break;
      case '\'': out += "&#39;"; break;
      case '\0': out += "\xef\xbf\xbd"; break;
      default: out += c;
    }
  }
  return out;
}

std::string javascript(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '\\': out += "\\\\"; break;
      case '\'': out += "\\'"; break;
      case '"': out += "\\\""; break;
      case '<': out += "\\u003C"; break;
      case '>': out += "\\u003E"; break;
      case '&': out += "\\u0026"; break;
      case '=': out += "\\u003D"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += fmt::format("\\u{:04X}", static_cast<unsigned>(c));
        } else {
          out += c;
        }
    }
  }
  return out;
}

Result<Json> joined_text(Arguments args, std::string (*change)(std::string_view)) {
  return Json(change(print(args)));
}

}  // namespace

bool is_true(const Json& value) {
  switch (value.kind()) {
    case Json::Kind::kNull: return false;
    case Json::Kind::kBool: return value.as_bool();
    case Json::Kind::kInt: return value.as_int() != 0;
    case Json::Kind::kDouble: return value.as_double() != 0;
    case Json::Kind::kString: return !value.as_string().empty();
    case Json::Kind::kArray:
    case Json::Kind::kObject: return value.size() > 0;
  }
  return false;
}

const Functions& builtin_functions() {
  static const Functions kFunctions = {
      // and, or are the renderer's; as functions they have all their arguments.
      {"and", [](Arguments) -> Result<Json> { return Json(); }},
      {"or", [](Arguments) -> Result<Json> { return Json(); }},
      {"not",
       [](Arguments args) -> Result<Json> {
         if (args.size() != 1) return wrong_count(1, args.size());
         return Json(!is_true(args[0]));
       }},
      {"eq", equal},
      {"ne",
       [](Arguments args) -> Result<Json> {
         if (args.size() != 2) return wrong_count(2, args.size());
         Result<Json> same = equal(args);
         if (!same) return same;
         return Json(!same->as_bool());
       }},
      {"lt", [](Arguments args) { return compare(args, [](int how) { return how < 0; }); }},
      {"le", [](Arguments args) { return compare(args, [](int how) { return how <= 0; }); }},
      {"gt", [](Arguments args) { return compare(args, [](int how) { return how > 0; }); }},
      {"ge", [](Arguments args) { return compare(args, [](int how) { return how >= 0; }); }},
      {"len", length},
      {"index", index},
      {"slice", slice},
      {"print", [](Arguments args) -> Result<Json> { return Json(print(args)); }},
      {"println", [](Arguments args) -> Result<Json> { return Json(print_line(args)); }},
      {"printf",
       [](Arguments args) -> Result<Json> {
         Result<std::string> text = format(args);
         if (!text) return pass(text);
         return Json(*std::move(text));
       }},
      {"html", [](Arguments args) { return joined_text(args, html); }},
      {"js", [](Arguments args) { return joined_text(args, javascript); }},
      {"urlquery",
       [](Arguments args) -> Result<Json> {
         std::string text = percent_encode(print(args));
         for (size_t at = 0; (at = text.find("%20", at)) != std::string::npos;)
           text.replace(at, 3, "+");
         return Json(std::move(text));
       }},
  };
  return kFunctions;
}

}  // namespace sluice::text_template
