#include "core/json_filter.h"

#include "test/test.h"

namespace sluice {
namespace {

bool matches(std::string_view filter, std::string_view json) {
  const Result<JsonFilter> parsed = JsonFilter::parse(filter);
  CAPTURE(filter);
  REQUIRE(parsed);
  return parsed->matches(*parse_json(json));
}

}  // namespace

TEST_CASE("filters: each operator, both ways") {
  const char* job = R"({"ID":"web-1","Type":"service","Priority":50,"Stop":false,"Name":"",
    "Datacenters":["dc1","dc2"],"Meta":{"team":"a","a b":"c"},"Periodic":null})";
  for (const char* yes : {"Type == service",
                          "Type == \"service\"",
                          "Type != batch",
                          "Priority == 50",
                          "Stop == false",
                          "Meta.team == a",
                          "Meta[\"a b\"] == c",
                          "\"/Meta/team\" == a",
                          "dc1 in Datacenters",
                          "\"dc3\" not in Datacenters",
                          "Datacenters contains dc2",
                          "Datacenters not contains dc3",
                          "Meta contains team",
                          "ID matches \"^web-[0-9]+$\"",
                          "ID not matches \"^api\"",
                          "Name is empty",
                          "Periodic is empty",
                          "Nope is empty",
                          "Meta is not empty",
                          "ID contains \"eb\"",
                          "not Type == batch",
                          "Type == batch or Priority == 50",
                          "(Type == batch or Stop == false) and Priority == 50",
                          "not (Type == batch and Stop == false)"}) {
    CAPTURE(yes);
    EXPECT(matches(yes, job));
  }
  for (const char* no :
       {"Type == batch", "Type != service", "Nope == x", "dc3 in Datacenters", "Meta is empty",
        "Type == service and Priority == 1", "Type == batch or Stop == true and Priority == 50"}) {
    CAPTURE(no);
    EXPECT(!matches(no, job));
  }
}

TEST_CASE("filters: faults are named with their place") {
  for (const auto& [text, message] :
       {std::pair{"", "filter: at 0: expected a field's name, not the end"},
        {"Type =",
         "filter: at 5: expected an operator: ==, !=, contains, matches, in, is empty, "
         "not \"=\""},
        {"Type == ", "filter: at 8: expected a value, not the end"},
        {"Type == \"x", "filter: the string at 8 does not end"},
        {"Type == x y", "filter: at 10: expected and, or, or the end, not \"y\""},
        {"(Type == x", "filter: at 10: expected \")\", not the end"},
        {"Type is full", "filter: at 8: expected \"empty\", not \"full\""}}) {
    CAPTURE(text);
    const Result<JsonFilter> parsed = JsonFilter::parse(text);
    REQUIRE(!parsed);
    EXPECT_EQ(parsed.error().message, message);
  }
}

TEST_CASE("filters are bounded in size and depth") {
  EXPECT_EQ(JsonFilter::parse(std::string(kMaxFilterBytes + 1, 'a')).error().code, Code::kLimit);
  EXPECT_EQ(JsonFilter::parse(std::string(200, '(') + "A == b").error().code, Code::kLimit);
  std::string nots;
  for (int i = 0; i < 200; ++i) nots += "not ";
  EXPECT_EQ(JsonFilter::parse(nots + "A == b").error().code, Code::kLimit);
}

TEST_CASE("filters: a selector through a list holds where any item does, != as well") {
  const char* entry = R"({"Checks":[{"Status":"passing"},{"Status":"critical"}],"None":[]})";
  EXPECT(matches("Checks.Status == passing", entry));
  EXPECT(matches("Checks.Status == critical", entry));
  EXPECT(matches("Checks.Status != passing", entry));
  EXPECT(!matches("not Checks.Status == passing", entry));
  EXPECT(!matches("Checks.Status == warning", entry));
  EXPECT(!matches("None.Status != passing", entry));
}

TEST_CASE("filters: a selector or value that no such value has is refused by name") {
  const Json sample = *parse_json(
      R"({"Name":"","Port":0,"Up":false,"Meta":{},"Checks":[{"Status":""}],"Tags":[""]})");
  constexpr std::string_view kOpen[] = {"Meta"};
  const auto said = [&](std::string_view text) {
    Result<void> checked = JsonFilter::parse(text)->check_against(sample, kOpen);
    return checked ? std::string() : checked.error().message;
  };
  for (const char* good : {"Name == x", "Port == 80 and Up == true", "Meta.any == y", "x in Tags",
                           "not Checks.Status == passing", "Meta is empty"}) {
    CAPTURE(good);
    EXPECT_EQ(said(good), "");
  }
  EXPECT_EQ(said("Nope == x"), "Selector \"Nope\" is not valid");
  EXPECT_EQ(said("Name == x or Checks.Nope == y"), "Selector \"Checks.Nope\" is not valid");
  EXPECT_EQ(said("not Name.x == y"), "Selector \"Name.x\" is not valid");
  EXPECT_EQ(said("Port == x"), "Failed to coerce value \"x\" for selector \"Port\"");
  EXPECT_EQ(said("Up == x"), "Failed to coerce value \"x\" for selector \"Up\"");
  EXPECT_EQ(JsonFilter::parse("Name matches \"(\"").error().code, Code::kInvalid);
}

}  // namespace sluice
