// Functions of strings.
#include <algorithm>
#include <limits>

#include "core/hcl/functions_impl.h"
#include "core/hcl/unicode.h"

namespace sluice::hcl {

namespace {

Result<Value> upper(Arguments arguments, CallContext&) {
  return Value::string(to_upper(arguments[0].as_string()));
}
Result<Value> lower(Arguments arguments, CallContext&) {
  return Value::string(to_lower(arguments[0].as_string()));
}
Result<Value> title(Arguments arguments, CallContext&) {
  return Value::string(to_title(arguments[0].as_string()));
}

Result<Value> reverse(Arguments arguments, CallContext&) {
  std::string_view rest = arguments[0].as_string();
  std::string out(rest.size(), '\0');
  size_t end = rest.size();
  while (!rest.empty()) {
    size_t length = first_character(rest);
    end -= length;
    std::ranges::copy(rest.substr(0, length), out.begin() + static_cast<std::ptrdiff_t>(end));
    rest.remove_prefix(length);
  }
  return Value::string(std::move(out));
}

Result<Value> strlen_of(Arguments arguments, CallContext&) {
  return Value::number(static_cast<int64_t>(count_characters(arguments[0].as_string())));
}

// The bytes of that many characters, at most all.
size_t bytes_of(std::string_view text, int64_t characters) {
  size_t length = 0;
  for (int64_t i = 0; i < characters && length < text.size(); ++i) {
    length += first_character(text.substr(length));
  }
  return length;
}

// A negative offset counts from the end, a negative length means all that follows. With such an
// offset a length of 0 does not end at once: the reference has it so.
Result<Value> substr(Arguments arguments, CallContext&) {
  std::string_view text = arguments[0].as_string();
  Result<int64_t> offset = whole(arguments[1], "offset");
  if (!offset) return pass(offset);
  Result<int64_t> length = whole(arguments[2], "length");
  if (!length) return pass(length);
  bool from_end = *offset < 0;
  if (from_end) {
    *offset += static_cast<int64_t>(count_characters(text));
  } else if (*length == 0) {
    return Value::string("");
  }
  text.remove_prefix(bytes_of(text, *offset));
  if (*length < 0 || (from_end && *length == 0)) return Value::string(std::string(text));
  return Value::string(std::string(text.substr(0, bytes_of(text, *length))));
}

Result<Value> join_strings(Arguments arguments, CallContext& context) {
  if (arguments.size() < 2) return fail(Code::kInvalid, "takes at least one list");
  const std::string& separator = arguments[0].as_string();
  std::string out;
  bool first = true;
  for (const Value& list : arguments.subspan(1)) {
    for (const Value& item : list.items()) {
      if (item.is_null()) return fail(Code::kInvalid, "an element of the list is null");
      if (!context.budget.spend_bytes(separator.size() + item.as_string().size())) {
        return too_much();
      }
      if (!first) out += separator;
      first = false;
      out += item.as_string();
    }
  }
  return Value::string(std::move(out));
}

Result<Value> sort(Arguments arguments, CallContext&) {
  Value::Items items = arguments[0].items();
  for (const Value& item : items) {
    if (item.is_null()) return fail(Code::kInvalid, "an element of the list is null");
  }
  std::ranges::sort(items, sorts_before);
  return Value::list(Type::string(), std::move(items));
}

Result<Value> split(Arguments arguments, CallContext& context) {
  const std::string& separator = arguments[0].as_string();
  std::string_view rest = arguments[1].as_string();
  Value::Items out;
  auto add = [&](std::string_view part) {
    out.push_back(Value::string(std::string(part)));
    return context.budget.spend_steps(1);
  };
  if (separator.empty()) {
    while (!rest.empty()) {
      size_t length = first_code_point(rest).length;
      if (!add(rest.substr(0, length))) return too_much();
      rest.remove_prefix(length);
    }
    return Value::list(Type::string(), std::move(out));
  }
  while (true) {
    size_t at = rest.find(separator);
    if (!add(rest.substr(0, at))) return too_much();
    if (at == std::string_view::npos) break;
    rest.remove_prefix(at + separator.size());
  }
  return Value::list(Type::string(), std::move(out));
}

// Every "\n", "\r\n" and "\r" at the end.
Result<Value> chomp(Arguments arguments, CallContext&) {
  std::string text = arguments[0].as_string();
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return Value::string(std::move(text));
}

Result<Value> replace_in(std::string_view text, std::string_view from, std::string_view to,
                         Budget& budget) {
  std::string out;
  if (from.empty()) {
    // Before each code point, and at the end.
    while (true) {
      out += to;
      if (!budget.spend_bytes(to.size() + 1)) return too_much();
      if (text.empty()) break;
      size_t length = first_code_point(text).length;
      out += text.substr(0, length);
      text.remove_prefix(length);
    }
    return Value::string(std::move(out));
  }
  while (true) {
    size_t at = text.find(from);
    out += text.substr(0, at);
    if (at == std::string_view::npos) break;
    if (!budget.spend_bytes(to.size() + at)) return too_much();
    out += to;
    text.remove_prefix(at + from.size());
  }
  return Value::string(std::move(out));
}

Result<Value> replace(Arguments arguments, CallContext& context) {
  return replace_in(arguments[0].as_string(), arguments[1].as_string(), arguments[2].as_string(),
                    context.budget);
}

Result<Value> indent(Arguments arguments, CallContext& context) {
  Result<int64_t> spaces = whole(arguments[0], "spaces");
  if (!spaces) return pass(spaces);
  if (*spaces < 0) return fail(Code::kInvalid, "the number of spaces must not be below 0");
  if (!context.budget.spend_bytes(static_cast<uint64_t>(*spaces))) return too_much();
  std::string pad = "\n" + std::string(static_cast<size_t>(*spaces), ' ');
  return replace_in(arguments[1].as_string(), "\n", pad, context.budget);
}

// What `drop` holds for is cut off at both ends.
template <class Predicate>
std::string trim_code_points(std::string_view text, Predicate drop) {
  while (!text.empty()) {
    CodePoint c = first_code_point(text);
    if (!drop(c, text.substr(0, c.length))) break;
    text.remove_prefix(c.length);
  }
  while (!text.empty()) {
    size_t start = text.size() - 1;
    while (start > 0 && (static_cast<unsigned char>(text[start]) & 0xC0) == 0x80) --start;
    CodePoint c = first_code_point(text.substr(start));
    if (!drop(c, text.substr(start))) break;
    text.remove_suffix(text.size() - start);
  }
  return std::string(text);
}

Result<Value> trimspace(Arguments arguments, CallContext&) {
  return Value::string(trim_code_points(
      arguments[0].as_string(), [](CodePoint c, std::string_view) { return is_space(c.value); }));
}

Result<Value> trim(Arguments arguments, CallContext&) {
  const std::string& set = arguments[1].as_string();
  return Value::string(trim_code_points(
      arguments[0].as_string(),
      [&](CodePoint, std::string_view bytes) { return set.find(bytes) != std::string::npos; }));
}

Result<Value> trimprefix(Arguments arguments, CallContext&) {
  std::string_view text = arguments[0].as_string();
  if (text.starts_with(arguments[1].as_string()))
    text.remove_prefix(arguments[1].as_string().size());
  return Value::string(std::string(text));
}

Result<Value> trimsuffix(Arguments arguments, CallContext&) {
  std::string_view text = arguments[0].as_string();
  if (text.ends_with(arguments[1].as_string())) text.remove_suffix(arguments[1].as_string().size());
  return Value::string(std::string(text));
}

}  // namespace

void add_string_functions(std::vector<Function>& out) {
  const Parameter text{"text", Type::string()};
  const Parameter strings{"list", Type::list(Type::string())};
  out.push_back({"upper", {text}, false, upper});
  out.push_back({"lower", {text}, false, lower});
  out.push_back({"title", {text}, false, title});
  out.push_back({"reverse", {text}, false, reverse});
  out.push_back({"strrev", {text}, false, reverse});
  out.push_back({"strlen", {text}, false, strlen_of});
  out.push_back(
      {"substr", {text, {"offset", Type::number()}, {"length", Type::number()}}, false, substr});
  out.push_back({"join", {{"separator", Type::string()}, strings}, true, join_strings});
  out.push_back({"sort", {strings}, false, sort});
  out.push_back({"split", {{"separator", Type::string()}, text}, false, split});
  out.push_back({"chomp", {text}, false, chomp});
  out.push_back({"indent", {{"spaces", Type::number()}, text}, false, indent});
  out.push_back({"replace",
                 {text, {"substring", Type::string()}, {"replacement", Type::string()}},
                 false,
                 replace});
  out.push_back({"trim", {text, {"characters", Type::string()}}, false, trim});
  out.push_back({"trimspace", {text}, false, trimspace});
  out.push_back({"trimprefix", {text, {"prefix", Type::string()}}, false, trimprefix});
  out.push_back({"trimsuffix", {text, {"suffix", Type::string()}}, false, trimsuffix});
}

}  // namespace sluice::hcl
