#include "orchestrator/job_hcl.h"

#include <algorithm>
#include <iterator>

#include "core/hcl/eval.h"
#include "core/hcl/functions.h"
#include "core/hcl/parser.h"
#include "core/hcl/schema.h"
#include "orchestrator/job_hcl_schema.h"
#include "orchestrator/job_hcl_variables.h"

namespace sluice::orchestrator {

namespace {

constexpr std::string_view kTopBlocks[] = {"job", "variable", "variables", "locals"};

// The one job block of the file; everything else at the top must be known.
Result<const hcl::Block*> find_job(const hcl::File& file) {
  if (!file.body.attributes.empty()) {
    const hcl::Attribute& first = file.body.attributes.front();
    return hcl::fail_at(first.name_span,
                        "expected job \"name\" {{ ... }}, found the argument \"{}\"", first.name);
  }
  const hcl::Block* job = nullptr;
  for (const hcl::Block& block : file.body.blocks) {
    if (block.type != "job") {
      bool known = std::ranges::find(kTopBlocks, block.type) != std::end(kTopBlocks);
      if (known) continue;
      std::string_view close = hcl::closest_name(block.type, kTopBlocks, std::size(kTopBlocks));
      return hcl::fail_at(block.type_span,
                          "expected a block job, variable or locals, found \"{}\"{}", block.type,
                          close.empty() ? "" : fmt::format("; did you mean \"{}\"?", close));
    }
    if (job) {
      return hcl::fail_at(block.type_span, "a file holds one job, the first is in line {}",
                          hcl::position_of(job->type_span).line);
    }
    if (block.labels.empty()) {
      return hcl::fail_at(block.type_span, "expected a label: job \"name\" {{ ... }}");
    }
    if (block.labels.size() > 1) {
      return hcl::fail_at(block.labels[1].span,
                          "expected \"{{\": the block \"job\" takes one label");
    }
    job = &block;
  }
  if (!job) return hcl::fail_at(file.body.end, "expected a block job \"name\" {{ ... }}");
  return job;
}

}  // namespace

// A job in the API's own form, with or without {"Job": ...} around it.
static Result<Json> parse_api_form(const std::string& file_name, const std::string& text) {
  Result<Json> json = parse_json(text);
  if (!json) return pass(json, "{}", file_name);
  if (json->find("Job")) {
    Json job = *json->find("Job");
    json = std::move(job);
  }
  if (!json->is_object()) return fail(Code::kInvalid, "{}: an object is required", file_name);
  return Json::object({{"Job", std::move(*json)}});
}

Result<Json> parse_job_hcl(std::string file_name, std::string text, const JobHclOptions& options) {
  size_t first = text.find_first_not_of(" \t\r\n");
  if (first != std::string::npos && text[first] == '{') return parse_api_form(file_name, text);
  Result<hcl::File> file = hcl::parse_file(std::move(file_name), std::move(text), options.limits);
  if (!file) return pass(file);
  Result<const hcl::Block*> job = find_job(*file);
  if (!job) return pass(job);

  hcl::Evaluator evaluator({.functions = &hcl::standard_functions(),
                            .host = options.host,
                            .keeps_unknown_references = true,
                            .limits = options.limits});
  hcl::Scope scope;
  Result<void> declared = declare_variables(*file, options, evaluator, scope);
  if (!declared) return pass(declared);

  const hcl::Block& block = **job;
  Result<Json> decoded =
      hcl::decode_body(block.body, kJobSchema, block.type_span, evaluator, scope);
  if (!decoded) return decoded;
  const std::string& label = block.labels[0].text;
  Json out = Json::object(
      {{"ID", decoded->get_string("ID", label)}, {"Name", decoded->get_string("Name", label)}});
  for (JsonMember& member : decoded->as_object()) out.set(member.key, std::move(member.value));
  return Json::object({{"Job", std::move(out)}});
}

}  // namespace sluice::orchestrator
