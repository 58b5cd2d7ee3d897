// Text templates in Go's language (text/template), as the `template` block of job files uses it:
// {{ if }}, {{ range }}, {{ with }}, {{ define }}, variables, pipelines, functions, {{- trimming
// -}}.
//
// What for: files that a node renders for a task. A Template is a value that never changes once it
// is parsed; rendering is pure but for the functions that the caller gives it. Values are Json: an
// object is both Go's map and its struct, walked in the order of its keys.
// What Go has as a struct says so with a member kRecord, its type's name: a field that it lacks is
// an error then, and not "<no value>". Limits: Limits. Any thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "core/result.h"

namespace sluice::text_template {

/// Not a field: nothing prints it or walks over it.
inline constexpr const char* kRecord = "";

/// The last argument is the value of the pipeline so far, where there is one. One that a caller
/// names kExecute is the renderer's own: the name of a defined template, and its dot.
inline constexpr std::string_view kExecute = "executeTemplate";
using Function = std::function<Result<Json>(std::span<const Json> arguments)>;
using Functions = std::map<std::string, Function, std::less<>>;

/// Go's own: and, or, not, eq, ne, lt, le, gt, ge, len, index, slice, print, printf, println, html,
/// js, urlquery. (and, or: render() stops at the argument that decides.)
const Functions& builtin_functions();

struct Limits {
  size_t text_bytes = 1024 * 1024;
  size_t output_bytes = 16 * 1024 * 1024;
  size_t depth = 64;         // of blocks, parentheses and templates that call templates
  size_t steps = 1'000'000;  // nodes and operands looked at in one rendering
};

struct Options {
  std::string left = "{{";
  std::string right = "}}";
  bool error_on_missing_key = false;  // else a missing key is "<no value>"
  Limits limits;
};

struct Tree;

class Template {
 public:
  /// Errors say `NAME:LINE: what`. A function that is in neither of the tables is one.
  static Result<Template> parse(std::string name, std::string_view text, const Functions& functions,
                                Options options = {});

  Result<std::string> render(const Json& dot, const Functions& functions) const;

 private:
  std::shared_ptr<const Tree> tree_;
};

/// As Go prints a value with %v.
std::string to_text(const Json& value);
/// What Go calls its type.
std::string_view kind_name(const Json& value);
/// fmt.Sprintf of Go.
Result<std::string> format(std::span<const Json> arguments);
/// false, 0, "", null and what is empty are not.
bool is_true(const Json& value);

}  // namespace sluice::text_template
