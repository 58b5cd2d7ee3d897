// What the functions of templates have in common, and where they are: four tables that
// add_template_helpers() puts together. Internal to orchestrator/node; pure, any thread.
#pragma once

#include <array>
#include <string>

#include "core/text_template/template.h"

namespace sluice::orchestrator {

using TemplateArguments = std::span<const Json>;

inline std::unexpected<Error> wrong_count(size_t want, size_t got) {
  return fail(Code::kInvalid, "wants {} arguments, got {}", want, got);
}

/// A function of as many strings.
template <size_t N, class Run>
text_template::Function of_texts(Run run) {
  return [run](TemplateArguments args) -> Result<Json> {
    if (args.size() != N) return wrong_count(N, args.size());
    std::array<std::string, N> texts;
    for (size_t i = 0; i < N; ++i) {
      if (!args[i].is_string()) return fail(Code::kInvalid, "argument {} is no string", i + 1);
      texts[i] = args[i].as_string();
    }
    return run(texts);
  };
}

/// add, minimum, parseInt, parseJSON, toJSON, ...
void add_template_numbers(text_template::Functions& functions);
/// parseYAML, toYAML.
void add_template_yaml(text_template::Functions& functions);
/// explode, byTag, mergeMap, ...
void add_template_maps(text_template::Functions& functions);

}  // namespace sluice::orchestrator
