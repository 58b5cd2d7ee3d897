#include "core/text_template/template.h"

#include "test/test.h"

namespace sluice::text_template {

namespace {

const Json kDot = Json::object({{"Name", "web"},
                                {"N", 3},
                                {"F", 2.5},
                                {"On", true},
                                {"List", Json::array({"a", "b", "c"})},
                                {"Map", Json::object({{"y", 2}, {"x", 1}})},
                                {"Deep", Json::object({{"A", Json::object({{"B", "c"}})}})}});

const Functions kOwn = {
    {"up",
     [](std::span<const Json> args) -> Result<Json> {
       std::string text = to_text(args.back());
       for (char& c : text) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
       return Json(text);
     }},
    {"bad", [](std::span<const Json>) -> Result<Json> { return fail(Code::kInvalid, "no"); }},
};

std::string render(std::string_view text, Options options = {}) {
  auto parsed = Template::parse("t", text, kOwn, std::move(options));
  if (!parsed) return "parse: " + parsed.error().message;
  auto out = parsed->render(kDot, kOwn);
  return out ? *out : "render: " + out.error().message;
}

struct Row {
  const char *text, *wanted;
};

}  // namespace

TEST_CASE("text template: each action") {
  const Row table[] = {
      {"plain", "plain"},
      {"{{.Name}} {{ .N }} {{.F}} {{.On}}", "web 3 2.5 true"},
      {"{{.Deep.A.B}} {{(index .List 1)}} {{.List}} {{.Map}}", "c b [a b c] map[x:1 y:2]"},
      {"{{/* nothing }} */}}x", "x"},
      {"a  {{- \"b\" -}}  \n c", "abc"},
      {"{{\"q\\tx\\u00e9\"}}{{`raw \"}}`}}{{'a'}}", "q\tx\xc3\xa9raw \"}}97"},
      {"{{if .On}}yes{{else}}no{{end}}", "yes"},
      {"{{if .Nope}}yes{{else if eq .N 3}}three{{else}}no{{end}}", "three"},
      {"{{if and .On .Name}}1{{end}}{{if or .Nope 0 \"\"}}2{{else}}3{{end}}{{if not .On}}4{{end}}",
       "13"},
      {"{{with .Deep.A}}{{.B}}{{end}}{{with .Nope}}x{{else}}y{{end}}", "cy"},
      {"{{with $x := .Name}}{{$x}}{{.}}{{end}}", "webweb"},
      {"{{range .List}}[{{.}}]{{end}}", "[a][b][c]"},
      {"{{range $i, $e := .List}}{{$i}}{{$e}} {{end}}", "0a 1b 2c "},
      {"{{range $k, $v := .Map}}{{$k}}={{$v}};{{end}}", "x=1;y=2;"},
      {"{{range .Nope}}x{{else}}none{{end}}", "none"},
      {"{{range .List}}{{if eq . \"b\"}}{{continue}}{{end}}{{.}}{{end}}", "ac"},
      {"{{range .List}}{{if eq . \"b\"}}{{break}}{{end}}{{.}}{{end}}", "a"},
      {"{{range .List}}{{$.Name}}{{end}}", "webwebweb"},
      {"{{$x := 1}}{{if true}}{{$x = 2}}{{$y := 3}}{{end}}{{$x}}", "2"},
      {"{{define \"t1\"}}<{{.}}>{{end}}{{template \"t1\" .Name}}{{template \"t1\"}}",
       "<web><<no value>>"},
      {"{{block \"b\" .N}}n={{.}}{{end}}", "n=3"},
      {"{{.Name | up | printf \"%s-%s\" \"a\"}}", "a-WEB"},
      {"{{up (print .Name 1)}}{{len .List}}{{len .Name}}", "WEB133"},
      {"{{.Missing}}", "<no value>"},
      {"{{index .Map \"x\"}}{{index .Map \"z\"}}{{slice .Name 1 3}}", "1<no value>eb"},
      {"{{eq .N 1 2 3}} {{ne .N 3}} {{lt 1 2}} {{ge \"b\" \"a\"}} {{eq .F 2.5}}",
       "true false true true true"},
      {"{{1_000}} {{0x10}} {{-5}} {{1e3}} {{.5}}", "1000 16 -5 1000 0.5"},
      {"{{html \"<a>\"}} {{urlquery \"a b&\"}} {{js \"'x'\"}}", "&lt;a&gt; a+b%26 \\'x\\'"},
      {"{{print 1 2 \"a\" 3}}|{{println 1 \"a\"}}", "1 2a3|1 a\n"},
      {"{ {x} }}", "{ {x} }}"},
  };
  for (const Row& row : table) {
    CAPTURE(row.text);
    EXPECT_EQ(render(row.text), row.wanted);
  }
}

TEST_CASE("text template: printf") {
  const Row table[] = {
      {"{{printf \"%d|%5d|%-5d|%05d|%+d\" 7 7 7 7 7}}", "7|    7|7    |00007|+7"},
      {"{{printf \"%x %X %o %b %#x %c\" 255 255 8 5 255 233}}", "ff FF 10 101 0xff \xc3\xa9"},
      {"{{printf \"%s|%8s|%-4s|%.2s|%q\" \"ab\" \"ab\" \"ab\" \"abcd\" \"a\\\"b\"}}",
       "ab|      ab|ab  |ab|\"a\\\"b\""},
      {"{{printf \"%f %.2f %8.3f %g %e\" 1.5 1.5 1.5 1.5 1.5}}",
       "1.500000 1.50    1.500 1.5 1.500000e+00"},
      {"{{printf \"%t %v %v %v\" true 1 \"x\" false}}", "true 1 x false"},
      {"{{printf \"%d %%\" \"x\"}}", "%!d(string=x) %"},
      {"{{printf \"%d\"}} {{printf \"%s\" \"a\" 2}}", "%!d(MISSING) a%!(EXTRA int=2)"},
      {"{{printf \"%x\" \"hi\"}} {{printf \"100%\"}}", "6869 100%!(NOVERB)"},
  };
  for (const Row& row : table) {
    CAPTURE(row.text);
    EXPECT_EQ(render(row.text), row.wanted);
  }
}

TEST_CASE("text template: mistakes name their line") {
  const Row table[] = {
      {"{{.Name", "parse: t:1: an action without its }}"},
      {"\n\n{{if .X}}", "parse: t:3: if without its end"},
      {"{{end}}", "parse: t:1: unexpected {{end}}"},
      {"{{else}}", "parse: t:1: unexpected {{else}}"},
      {"\n{{nope}}", "parse: t:2: function \"nope\" not defined"},
      {"{{}}", "parse: t:1: an empty action"},
      {"{{.X | }}", "parse: t:1: a command is missing"},
      {"{{.X | .Y}}", "parse: t:1: a pipeline goes on with a function"},
      {"{{.X.Y}}", "render: t:1: nil pointer evaluating interface {}.Y"},
      {"{{eq 1 1.0}}",
       "render: t:1: eq: incompatible types for comparison: 1 (int) and 1 (float64)"},
      {"{{.X 1}}", "parse: t:1: what is no function takes no arguments"},
      {"{{(up .X}}", "parse: t:1: \"(\" without its \")\""},
      {"{{up .X)}}", "parse: t:1: unexpected \")\""},
      {"{{\"abc}}", "parse: t:1: an action without its }}"},
      {"{{\"a\\z\"}}", "parse: t:1: a wrong escape in a string"},
      {"{{'ab'}}", "parse: t:1: more than one character in ''"},
      {"{{1x}}", "parse: t:1: \"1x\" is no number"},
      {"{{break}}", "parse: t:1: break outside of a range"},
      {"{{$a, $b := .X}}", "parse: t:1: two variables are set only by range"},
      {"{{template}}", "parse: t:1: template: the name is missing"},
      {"{{define \"a\"}}", "parse: t:1: define \"a\" without its end"},
      {"{{#}}", "parse: t:1: unexpected \"#\""},
      {"\n{{bad}}", "render: t:2: bad: no"},
      {"{{$x}}", "render: t:1: undefined variable \"$x\""},
      {"{{template \"none\"}}", "render: t:1: template \"none\" not defined"},
      {"{{range .Name}}{{end}}", "render: t:1: range can't iterate over web"},
      {"{{.Name.X}}", "render: t:1: can't evaluate field X in web"},
      {"{{index .List 7}}", "render: t:1: index: index out of range: 7"},
      {"{{lt 1 \"a\"}}",
       "render: t:1: lt: incompatible types for comparison: 1 (int) and a (string)"},
      {"{{define \"r\"}}{{template \"r\"}}{{end}}{{template \"r\"}}",
       "render: t:1: templates call each other too deeply"},
  };
  for (const Row& row : table) {
    CAPTURE(row.text);
    EXPECT_EQ(render(row.text), row.wanted);
  }
}

TEST_CASE("text template: other delimiters, missing keys as errors, limits") {
  EXPECT_EQ(render("[[.Name]] {{.Name}}", {.left = "[[", .right = "]]"}), "web {{.Name}}");
  EXPECT_EQ(render("{{.Nope}}", {.error_on_missing_key = true}),
            "render: t:1: map has no entry for key \"Nope\"");
  EXPECT_EQ(render("{{.Name}}{{.Name}}", {.limits = {.output_bytes = 5}}),
            "render: t:1: the result is longer than 5 bytes");
  EXPECT_EQ(render("{{range 1000}}{{.}}{{end}}", {.limits = {.steps = 100}}),
            "render: t:1: too many steps");
  std::string deep;
  for (int i = 0; i < 200; ++i) deep += "{{if true}}";
  EXPECT_EQ(render(deep), "parse: t:1: blocks are nested too deeply");
  EXPECT_EQ(render("{{" + std::string(200, '(') + "1"), "parse: t:1: an action without its }}");
  EXPECT_EQ(render("{{" + std::string(200, '(') + "1}}"),
            "parse: t:1: parentheses are nested too deeply");
}

TEST_CASE("text template: what is cut anywhere is an error or a text, never more") {
  const std::string_view whole =
      "a{{if .On}}{{range $i, $e := .List}}{{$e | printf \"%s\\n\"}}{{end}}{{else}}`{{`x`}}{{end}}";
  for (size_t length = 0; length <= whole.size(); ++length) {
    (void)render(whole.substr(0, length));
    (void)render(whole.substr(length));
  }
}

}  // namespace sluice::text_template
