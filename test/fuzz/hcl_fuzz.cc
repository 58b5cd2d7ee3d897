// core/hcl and the job files: no text hangs or breaks the parser or the evaluator, an error names
// its place, and what comes out is JSON that reads back. The limits are small, so that reaching
// them is part of what is tried.
#include "core/hcl/eval.h"
#include "core/hcl/functions.h"
#include "core/hcl/parser.h"
#include "core/hcl/schema.h"
#include "orchestrator/job_hcl.h"
#include "test/fuzz/fuzz.h"

namespace sluice::fuzz {

namespace {

constexpr hcl::HclLimits kLimits = {
    .max_nodes = 5'000, .max_depth = 50, .max_steps = 20'000, .max_made_bytes = 1u << 20};

void check_json(const Json& json) {
  Result<Json> again = parse_json(to_json(json), {.max_depth = 1000});
  CHECK(again.has_value());
}

void evaluate(const hcl::Expr& expr) {
  hcl::Evaluator evaluator({.functions = &hcl::standard_functions(), .limits = kLimits});
  Result<hcl::Value> value = evaluator.evaluate(expr, hcl::Scope());
  if (value) check_json(hcl::to_json_value(*value));
}

}  // namespace

void run(std::string_view input) {
  const std::string text(input);
  Result<hcl::File> file = hcl::parse_file("f.hcl", text, kLimits);
  if (!file) {
    CHECK(file.error().message.find("f.hcl:") != std::string::npos);
  } else {
    hcl::Evaluator evaluator({.functions = &hcl::standard_functions(), .limits = kLimits});
    Result<Json> json = hcl::free_form_json(file->body, evaluator, hcl::Scope());
    if (json) check_json(*json);
  }
  Result<Json> job = orchestrator::parse_job_hcl("f.nomad", text, {.limits = kLimits});
  if (!job) {
    CHECK(!job.error().message.empty());
  } else {
    CHECK(file.has_value());
    check_json(*job);
  }
  Result<hcl::Expression> expression = hcl::parse_expression("e", text, kLimits);
  if (expression) evaluate(*expression->expr);
  Result<hcl::Expression> whole = hcl::parse_template("t", text, kLimits);
  if (whole) evaluate(*whole->expr);
}

}  // namespace sluice::fuzz
