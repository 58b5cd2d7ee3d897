// Every name of the job language is either a field that is kept, or refused by its name: none is
// passed over in silence.
#include <fmt/format.h>

#include "orchestrator/job.h"
#include "orchestrator/job_hcl_schema.h"
#include "test/test.h"

namespace sluice::orchestrator {

namespace {

using hcl::ArgumentSchema;
using hcl::ArgumentType;
using hcl::BlockSchema;
using hcl::BlockUse;
using hcl::BodySchema;

struct Step {
  std::string name;
  BlockUse use;
};
using Path = std::vector<Step>;

/// Names that the file's decoder takes out again stand in lower case.
bool is_internal(std::string_view name) {
  return name.front() >= 'a' && name.front() <= 'z';
}

Json some_value(const ArgumentSchema& argument) {
  switch (argument.type) {
    case ArgumentType::kString:
      return Json(std::string(argument.words.empty() ? "x" : argument.words.back()));
    case ArgumentType::kAny: return Json("x");
    case ArgumentType::kWhole:
    case ArgumentType::kNumber: return Json(int64_t{7});
    case ArgumentType::kBool: return Json(argument.json != "Enabled");  // whose default is true
    case ArgumentType::kDuration: return Json(int64_t{1'000'000'007});
    case ArgumentType::kStrings: return Json::array({Json("x")});
    case ArgumentType::kStringMap: return Json::object({{"x", "y"}});
    case ArgumentType::kStringListMap: return Json::object({{"x", Json::array({Json("y")})}});
  }
  return {};
}

Json wrap(const Path& path, std::string_view name, Json value) {
  Json inner = Json::object();
  inner.set(name, std::move(value));
  for (auto step = path.rbegin(); step != path.rend(); ++step) {
    Json outer = Json::object();
    if (step->use == BlockUse::kRepeated) {
      outer.set(step->name, Json::array({std::move(inner)}));
    } else if (step->use == BlockUse::kByLabel) {
      outer.set(step->name, Json::object({{"x", std::move(inner)}}));
    } else {
      outer.set(step->name, std::move(inner));
    }
    inner = std::move(outer);
  }
  return inner;
}

const Json* find(const Json& job, const Path& path, std::string_view name) {
  const Json* at = &job;
  for (const Step& step : path) {
    at = at->find(step.name);
    if (at == nullptr) return nullptr;
    if (step.use == BlockUse::kRepeated) {
      if (!at->is_array() || at->size() == 0) return nullptr;
      at = &at->as_array().front();
    } else if (step.use == BlockUse::kByLabel) {
      at = at->find("x");
      if (at == nullptr) return nullptr;
    }
  }
  return at->find(name);
}

struct Walk {
  std::vector<std::string> passed_over;
  size_t kept = 0, refused = 0;

  void look(const Path& path, std::string_view name, const Json& value) {
    std::string place;
    for (const Step& step : path) place += step.name + ".";
    place += name;
    if (name == "ConsulToken") return;  // a warning says so
    auto job = decode_job(wrap(path, name, value));
    if (!job) {
      if (job.error().message.find("not supported by sluice") == std::string::npos) {
        passed_over.push_back(place + ": " + job.error().message);
      }
      ++refused;
      return;
    }
    std::string text;
    {
      JsonWriter out(text);
      write_job(out, *job);
    }
    const auto written = parse_json(text);
    REQUIRE(written);
    const Json* there = find(*written, path, name);
    if (there == nullptr || *there != value) passed_over.push_back(place);
    ++kept;
  }

  void body(const BodySchema& schema, const Path& path) {
    for (const ArgumentSchema& argument : schema.arguments) {
      if (!is_internal(argument.json)) look(path, argument.json, some_value(argument));
    }
    for (const BlockSchema& block : schema.blocks) {
      const std::string name(block.json == "ports" ? "DynamicPorts" : block.json);
      if (is_internal(name)) continue;
      if (block.use == BlockUse::kRefused) {
        look(path, name, Json::object({{"X", "y"}}));
      } else if (block.use == BlockUse::kFreeForm) {
        look(path, name, Json::object({{"x", "y"}}));
      } else {
        Path inside = path;
        inside.push_back({name, block.use});
        body(*block.body, inside);
      }
    }
  }
};

}  // namespace

TEST_CASE("every name of the job language is kept, or refused by name") {
  Walk walk;
  walk.body(kJobSchema, {});
  std::string list;
  for (const std::string& name : walk.passed_over) list += name + "\n";
  EXPECT_EQ(list, "");
  EXPECT(walk.kept > 250);
  EXPECT(walk.refused > 40);
}

TEST_CASE("a ConsulToken is not kept, and a warning says that it is not checked") {
  auto job = decode_job(Json::object({{"ID", "x"}, {"ConsulToken", "secret"}}));
  REQUIRE(job);
  REQUIRE(warnings(*job).size() == 1);
  EXPECT(warnings(*job)[0].find("ConsulToken is not checked") != std::string::npos);
  std::string text;
  {
    JsonWriter out(text);
    write_job(out, *job);
  }
  EXPECT_EQ(text.find("secret"), std::string::npos);
}

}  // namespace sluice::orchestrator
