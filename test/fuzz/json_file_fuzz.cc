// core/hcl/json_file: no text hangs or breaks it, an error names its place, what it takes is JSON
// to core/json too, and what is decoded of it reads back. The limits are small, so that reaching
// them is part of what is tried.
#include "core/hcl/json_file.h"

#include "core/hcl/eval.h"
#include "core/hcl/functions.h"
#include "test/fuzz/fuzz.h"

namespace sluice::fuzz {

namespace {

using hcl::ArgumentSchema;
using hcl::BlockSchema;
using hcl::BodySchema;
using enum hcl::ArgumentType;
using enum hcl::BlockUse;

constexpr hcl::HclLimits kLimits = {
    .max_nodes = 2'000, .max_depth = 30, .max_steps = 20'000, .max_made_bytes = 1u << 20};

// A table with each kind of argument and block, two levels deep.
constexpr std::string_view kWords[] = {"x", "y"};
constexpr ArgumentSchema kInnerArguments[] = {{"path", "path"}, {"on", "on", kBool}};
constexpr BodySchema kInner = {kInnerArguments, {}};
constexpr BlockSchema kOuterBlocks[] = {{"inner", "inner", kRepeated, &kInner},
                                        {"label", "label", kByLabel, &kInner, "Name"},
                                        {"free", "free", kFreeForm}};
constexpr ArgumentSchema kArguments[] = {{"text", "text"},
                                         {"whole", "whole", kWhole, 0, 65535},
                                         {"number", "number", kNumber},
                                         {"time", "time", kDuration, 0},
                                         {"texts", "texts", kStrings},
                                         {"any", "any", kAny},
                                         {"map", "map", kStringMap},
                                         {"lists", "lists", kStringListMap},
                                         hcl::one_of("word", "word", kWords),
                                         hcl::not_ours("not", "not")};
constexpr BodySchema kOuter = {kArguments, kOuterBlocks};
constexpr BlockSchema kTopBlocks[] = {{"once", "once", kOnce, &kOuter},
                                      {"each", "each", kRepeated, &kOuter},
                                      {"label", "label", kByLabel, &kOuter, "Name"},
                                      {"free", "free", kFreeForm},
                                      {"never", "never", kRefused}};
constexpr BodySchema kTop = {kArguments, kTopBlocks};

void check_place(const Error& error) {
  CHECK(error.message.starts_with("f.json:"));
}

}  // namespace

void run(std::string_view input) {
  (void)hcl::looks_like_json(input);
  const Result<hcl::File> file = hcl::parse_json_file("f.json", std::string(input), kTop, kLimits);
  if (!file) return check_place(file.error());
  CHECK(hcl::looks_like_json(input));
  CHECK(parse_json(input).has_value());
  hcl::Evaluator evaluator({.functions = &hcl::standard_functions(), .limits = kLimits});
  const hcl::Scope scope;
  const Result<Json> json = hcl::decode_body(file->body, kTop, file->body.end, evaluator, scope);
  if (!json) return check_place(json.error());
  const Result<Json> again = parse_json(to_json(*json));
  CHECK(again.has_value());
  CHECK(*again == *json);
}

}  // namespace sluice::fuzz
