#include "core/json.h"

#include "test/test.h"

namespace sluice {

TEST_CASE("json: what is parsed is written back, in the same order") {
  const char* text =
      R"({"z":1,"a":[true,false,null,-7,1.5,"x"],"o":{},"e":[],"big":9223372036854775807})";
  auto value = parse_json(text);
  REQUIRE(value.has_value());
  EXPECT_EQ(to_json(*value), text);
  EXPECT(value->find("a")->as_array()[3].is_int());
  EXPECT_EQ(value->find("nothing"), nullptr);
}

TEST_CASE("json: integers beyond 63 bits become doubles, beyond 64 bits an error") {
  auto value = parse_json("18446744073709551615");
  REQUIRE(value.has_value());
  EXPECT(value->kind() == Json::Kind::kDouble);
  EXPECT_EQ(value->as_double(), 18446744073709551615.0);
  EXPECT_EQ(parse_json("18446744073709551616").error().code, Code::kInvalid);
  EXPECT(Json(uint64_t{1} << 63).kind() == Json::Kind::kDouble);
  EXPECT_EQ(Json(uint32_t{7}).as_int(), 7);
}

TEST_CASE("json: strings are escaped as RFC 8259 demands, and no more") {
  EXPECT_EQ(to_json(Json("a\"b\\c\n\r\t\b\f\x01<>&/\x7f é €")),
            "\"a\\\"b\\\\c\\n\\r\\t\\b\\f\\u0001<>&/\x7f é €\"");
  // Broken UTF-8: a lone tail, an overlong form, a surrogate, a cut sequence.
  EXPECT_EQ(to_json(Json("\x80|\xC0\xAF|\xED\xA0\x80|\xE2\x82")),
            "\"\xEF\xBF\xBD|\xEF\xBF\xBD\xEF\xBF\xBD|\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD|"
            "\xEF\xBF\xBD\xEF\xBF\xBD\"");
  EXPECT_EQ(to_json(Json("\xF0\x9F\x8C\x8A")), "\"\xF0\x9F\x8C\x8A\"");
  EXPECT_EQ(to_json(Json(std::string_view("a\0b", 3))), "\"a\\u0000b\"");
}

TEST_CASE("json: doubles are written as the shortest that reads back") {
  EXPECT_EQ(to_json(Json(0.1)), "0.1");
  EXPECT_EQ(to_json(Json(1e18)), "1000000000000000000");
  EXPECT_EQ(to_json(Json(1e20)), "1e+20");
  EXPECT_EQ(to_json(Json(1e21)), "1e+21");
  EXPECT_EQ(to_json(Json(1e-7)), "1e-07");
  EXPECT_EQ(to_json(Json(-0.0)), "-0");
  // What was written reads back, where it has no point too (the fuzz target found -2.5e20).
  for (double value : {-2.5e20, 9.3e18, -9.3e18, 9.2e18, 1e300}) {
    Result<Json> again = parse_json(to_json(Json(value)));
    REQUIRE(again.has_value());
    EXPECT_EQ(again->as_double(), value);
  }
  EXPECT_EQ(to_json(Json(std::numeric_limits<double>::infinity())), "null");
}

TEST_CASE("json: of a key given twice the last counts") {
  auto value = parse_json(R"({"a":1,"b":2,"a":3})");
  REQUIRE(value.has_value());
  EXPECT_EQ(to_json(*value), R"({"b":2,"a":3})");
}

TEST_CASE("json: limits on bytes, depth and values") {
  EXPECT_EQ(parse_json("[1,2]", {.max_bytes = 4}).error().code, Code::kLimit);
  EXPECT(parse_json("[[[1]]]", {.max_depth = 3}).has_value());
  auto deep = parse_json("[[[[1]]]]", {.max_depth = 3});
  EXPECT_EQ(deep.error().code, Code::kLimit);
  EXPECT_EQ(deep.error().message, "JSON is nested deeper than 3");
  EXPECT(parse_json("[1,2]", {.max_values = 3}).has_value());
  EXPECT_EQ(parse_json("[1,2,3]", {.max_values = 3}).error().code, Code::kLimit);
  EXPECT_EQ(parse_json(std::string(100000, '[') + std::string(100000, ']')).error().code,
            Code::kLimit);
}

TEST_CASE("json: what is no JSON is refused") {
  for (const char* text : {"", " ", "{", "{a:1}", "[1,]", "01", "nul", "\"\x01\"", "1 2",
                           "\"\xFF\"", "{\"a\":1,}", "\"\\x\"", "// c\n1", "1e999"}) {
    CAPTURE(text);
    auto value = parse_json(text);
    REQUIRE(!value.has_value());
    EXPECT_EQ(value.error().code, Code::kInvalid);
  }
}

TEST_CASE("json: building, finding, changing") {
  Json job = Json::object({{"ID", "a"}, {"Count", 2}, {"Tags", Json::array({"x", "y"})}});
  EXPECT_EQ(to_json(job), R"({"ID":"a","Count":2,"Tags":["x","y"]})");
  job.set("Count", 0).set("Up", true);
  job.find("Tags")->push("z");
  EXPECT(job.erase("ID"));
  EXPECT(!job.erase("ID"));
  EXPECT_EQ(to_json(job), R"({"Count":0,"Tags":["x","y","z"],"Up":true})");
  EXPECT_EQ(job.get_int("Count", 5), 0);
  EXPECT_EQ(job.get_int("None", 5), 5);
  EXPECT_EQ(job.get_string("Count", "f"), "f");
  EXPECT_EQ(job.get_bool("Up"), true);
  EXPECT_EQ(Json::object({{"n", 3.0}}).get_int("n"), 3);
  EXPECT_EQ(Json::object({{"n", 3.5}}).get_int("n", -1), -1);
  Json grown;
  grown.push(1);
  EXPECT_EQ(to_json(grown), "[1]");
}

TEST_CASE("json: equality is deep, blind to the order of members and to 1 or 1.0") {
  EXPECT(*parse_json(R"({"a":1,"b":[{"c":null}]})") ==
         *parse_json(R"({"b":[{"c":null}],"a":1.0})"));
  EXPECT(*parse_json("[1,2]") != *parse_json("[2,1]"));
  EXPECT(*parse_json(R"({"a":1})") != *parse_json(R"({"a":1,"b":2})"));
  EXPECT(Json(0) != Json(false));
  EXPECT(Json("") != Json(nullptr));
}

TEST_CASE("json: the writer, compact and indented") {
  std::string out = "data: ";
  JsonWriter writer(out);
  writer.begin_object().member("a", 1).member("s", "x").key("l").begin_array();
  writer.value(true).null().value(uint64_t{18446744073709551615u}).begin_object().end_object();
  writer.raw("[0]").end_array().member("j", Json::array({1, Json()})).end_object();
  EXPECT_EQ(out,
            R"(data: {"a":1,"s":"x","l":[true,null,18446744073709551615,{},[0]],"j":[1,null]})");

  EXPECT_EQ(
      to_json(*parse_json(R"({"a":[1,{"b":2}],"c":{},"d":[]})"), 2),
      "{\n  \"a\": [\n    1,\n    {\n      \"b\": 2\n    }\n  ],\n  \"c\": {},\n  \"d\": []\n}");
}

}  // namespace sluice
