// core/text_template with the functions of a task's templates, and YAML: no text hangs or breaks
// them, an error names its place, and YAML that was written reads back. The limits
// are small, so that reaching them is part of what is tried.
#include "core/text_template/template.h"

#include "orchestrator/node/template_inputs.h"
#include "test/fuzz/fuzz.h"

namespace sluice::fuzz {

namespace {

const text_template::Functions& functions() {
  static const text_template::Functions kAll = [] {
    text_template::Functions all;
    orchestrator::add_template_helpers(all);
    return all;
  }();
  return kAll;
}

Result<Json> call(const char* name, const Json& argument) {
  return functions().at(name)(std::span(&argument, 1));
}

}  // namespace

void run(std::string_view input) {
  const Result<text_template::Template> parsed = text_template::Template::parse(
      "t", input, functions(),
      {.left = "{{",
       .right = "}}",
       .error_on_missing_key = false,
       .limits = {.text_bytes = 4096, .output_bytes = 65536, .depth = 20, .steps = 2000}});
  if (parsed) {
    const Result<std::string> made = parsed->render(Json::object(), functions());
    if (!made) CHECK(made.error().message.starts_with("t:"));
  } else {
    CHECK(parsed.error().message.starts_with("t:"));
  }

  // The first writing may lose line ends at the end of the last text, as consul-template's does.
  Result<Json> value = call("parseYAML", Json(std::string(input)));
  if (!value) return;
  std::string written;
  for (int round = 0; round < 3; ++round) {
    const Result<Json> text = call("toYAML", *value);
    if (!text) return;
    CHECK(round < 2 || text->as_string() == written);
    written = text->as_string();
    value = call("parseYAML", *text);
    CHECK(value.has_value());
  }
}

}  // namespace sluice::fuzz
