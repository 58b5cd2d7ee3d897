// base64, URLs and CSV.
#include <algorithm>

#include "core/ascii.h"
#include "core/base64.h"
#include "core/hcl/functions_impl.h"
#include "core/hcl/unicode.h"

namespace sluice::hcl {

namespace {

Result<Value> base64encode(Arguments arguments, CallContext&) {
  return Value::string(base64_encode(arguments[0].as_string()));
}

Result<Value> base64decode(Arguments arguments, CallContext&) {
  std::string text = arguments[0].as_string();
  std::erase_if(text, [](char c) { return c == '\r' || c == '\n'; });
  Result<std::string> bytes = base64_decode(text);
  if (!bytes) return fail(Code::kInvalid, "this is not base64");
  if (!is_valid_utf8(*bytes)) return fail(Code::kInvalid, "what is encoded is no text (UTF-8)");
  return Value::string(std::move(*bytes));
}

Result<Value> urlencode(Arguments arguments, CallContext&) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (char c : arguments[0].as_string()) {
    if (ascii::is_alphanumeric(c) || c == '-' || c == '_' || c == '.' || c == '~') {
      out += c;
    } else if (c == ' ') {
      out += '+';
    } else {
      auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return Value::string(std::move(out));
}

// ---- CSV, RFC 4180 ----

class CsvReader {
 public:
  explicit CsvReader(std::string_view text) : text_(text) {}

  /// The fields of the next line that is not empty; none at the end.
  Result<std::vector<std::string>> read_line();
  [[nodiscard]] size_t line() const { return line_; }

 private:
  Result<std::string> read_field();
  Result<std::string> read_quoted();
  std::string_view line_end(size_t at) const;

  std::string_view text_;
  size_t at_ = 0;
  size_t line_ = 1;
};

// "\n" or "\r\n" if that stands there, else an empty view.
std::string_view CsvReader::line_end(size_t at) const {
  std::string_view rest = text_.substr(at);
  if (rest.starts_with('\n')) return rest.substr(0, 1);
  if (rest.starts_with("\r\n")) return rest.substr(0, 2);
  return {};
}

Result<std::string> CsvReader::read_quoted() {
  std::string out;
  size_t opened = line_;
  ++at_;
  while (at_ < text_.size()) {
    char c = text_[at_];
    if (c == '"' && at_ + 1 < text_.size() && text_[at_ + 1] == '"') {
      out += c;
      at_ += 2;
    } else if (c == '"') {
      ++at_;
      bool ends = at_ == text_.size() || text_[at_] == ',' || !line_end(at_).empty();
      if (!ends) return fail(Code::kInvalid, "line {}: expected a comma after the quote", line_);
      return out;
    } else {
      std::string_view end = line_end(at_);
      if (!end.empty()) {
        out += '\n';  // of either kind
        at_ += end.size();
        ++line_;
      } else {
        out += c;
        ++at_;
      }
    }
  }
  return fail(Code::kInvalid, "line {}: a quote is not closed", opened);
}

Result<std::string> CsvReader::read_field() {
  if (at_ < text_.size() && text_[at_] == '"') return read_quoted();
  std::string out;
  while (at_ < text_.size() && text_[at_] != ',' && line_end(at_).empty()) {
    if (text_[at_] == '"') return fail(Code::kInvalid, "line {}: a quote inside a field", line_);
    out += text_[at_++];
  }
  return out;
}

Result<std::vector<std::string>> CsvReader::read_line() {
  while (!line_end(at_).empty()) {
    at_ += line_end(at_).size();
    ++line_;
  }
  std::vector<std::string> fields;
  if (at_ >= text_.size()) return fields;
  while (true) {
    Result<std::string> field = read_field();
    if (!field) return pass(field);
    fields.push_back(std::move(*field));
    if (at_ < text_.size() && text_[at_] == ',') {
      ++at_;
      continue;
    }
    at_ += line_end(at_).size();
    ++line_;
    return fields;
  }
}

Result<Value> csvdecode(Arguments arguments, CallContext& context) {
  CsvReader reader(arguments[0].as_string());
  Result<std::vector<std::string>> names = reader.read_line();
  if (!names) return pass(names);
  if (names->empty()) return fail(Code::kInvalid, "the line with the names is missing");
  std::vector<NamedType> columns;
  for (const std::string& name : *names) {
    bool twice = std::ranges::find(columns, name, &NamedType::name) != columns.end();
    if (twice) return fail(Code::kInvalid, "the column \"{}\" is there twice", name);
    columns.push_back({name, Type::string()});
    if (!context.budget.spend_steps(columns.size())) return too_much();
  }
  Value::Items rows;
  while (true) {
    size_t line = reader.line();
    Result<std::vector<std::string>> fields = reader.read_line();
    if (!fields) return pass(fields);
    if (fields->empty()) break;
    if (fields->size() != names->size()) {
      return fail(Code::kInvalid, "line {}: {} fields, the first line has {}", line, fields->size(),
                  names->size());
    }
    if (!context.budget.spend_steps(fields->size())) return too_much();
    Value::Members row;
    for (size_t i = 0; i < fields->size(); ++i) {
      row.push_back({(*names)[i], Value::string(std::move((*fields)[i]))});
    }
    rows.push_back(Value::object(std::move(row)));
  }
  return Value::list(Type::object(std::move(columns)), std::move(rows));
}

}  // namespace

void add_encoding_functions(std::vector<Function>& out) {
  const Parameter text{"text", Type::string()};
  out.push_back({"base64encode", {text}, false, base64encode});
  out.push_back({"base64decode", {text}, false, base64decode});
  out.push_back({"urlencode", {text}, false, urlencode});
  out.push_back({"csvdecode", {text}, false, csvdecode});
}

}  // namespace sluice::hcl
