// Broken HCL, with the exact place and message of each.
#include "core/hcl/eval.h"
#include "core/hcl/parser.h"
#include "core/hcl/schema.h"
#include "test/test.h"

namespace sluice::hcl {

namespace {

struct Broken {
  const char* source;
  const char* error;  // "line:column: message"
};

// Parses and, if that works, evaluates a file; the first line of the error without the file's name.
std::string error_of(const char* source) {
  auto file = parse_file("t", source);
  std::string message;
  if (!file) {
    message = file.error().message;
  } else {
    Evaluator evaluator(EvalOptions{});
    auto json = free_form_json(file->body, evaluator, Scope());
    if (!json) message = json.error().message;
  }
  if (message.empty()) return "no error";
  message = message.substr(0, message.find('\n'));
  return message.starts_with("t:") ? message.substr(2) : message;
}

}  // namespace

TEST_CASE("hcl: broken bodies") {
  const Broken table[] = {
      {"a", "1:2: expected \"=\" and a value, or \"{\", after \"a\", found the end of the file"},
      {"a\n", "1:2: expected \"=\" and a value, or \"{\", after \"a\", found the end of the line"},
      {"a 1\n", "1:3: expected \"=\" and a value, or \"{\", after \"a\", found the number 1"},
      {"a =\n", "1:4: expected a value after \"a =\", found the end of the line"},
      {"a = ", "1:5: expected a value after \"a =\", found the end of the file"},
      {"a : 1\n", "1:3: expected \"=\" after \"a\" (\":\" stands only inside a map's braces)"},
      {"a = 1 b = 2\n", "1:7: expected a new line after the value, found the name \"b\""},
      {"a = 1,\n", "1:6: expected a new line after the value (no comma), found \",\""},
      {"a = 1\na = 2\n", "2:1: \"a\" is set twice, first in line 1"},
      {"\"a\" = 1\n",
       "1:1: expected a name without quotes; quoted keys stand in a map: name = { \"key\" = value "
       "}"},
      {"1 = 2\n", "1:1: expected an argument or a block, found the number 1"},
      {"= 2\n", "1:1: expected an argument or a block, found \"=\""},
      {"}\n", "1:1: expected an argument or a block, found \"}\" without a \"{\" before it"},
      {"a {\n", "2:1: expected \"}\" for the \"{\" of line 1, column 3"},
      {"a {\n  b {\n}\n", "4:1: expected \"}\" for the \"{\" of line 1, column 3"},
      {"a { b = 1 c = 2 }\n",
       "1:11: expected \"}\" (a block on one line holds at most one argument), found the name "
       "\"c\""},
      {"a { b = 1\n}\n",
       "1:10: expected \"}\" on the same line, or a new line after the block's \"{\", found the "
       "end "
       "of the line"},
      {"a { b { } }\n",
       "1:5: a block on one line holds at most one argument: expected a new line after \"{\""},
      {"a { } b { }\n", "1:7: expected a new line after the block's \"}\", found the name \"b\""},
      {"a \"x\" = 1\n",
       "1:7: expected \"{\" after the block \"a\"'s label (an argument's name is one word), found "
       "\"=\""},
      {"a b 1\n", "1:5: expected \"{\" or a label for the block \"a\", found the number 1"},
      {"a \"${b}\" {\n}\n", "1:4: expected plain text: a label holds no ${...} and no %{...}"},
      {"a = /* open\n", "1:5: expected a value, found a comment that is never closed"},
      {"a = 'x'\n", "1:5: expected a value, found a single quote (strings take double quotes)"},
      {"a = @\n", "1:5: expected a value, found \"@\""},
  };
  for (const Broken& broken : table) {
    CAPTURE(broken.source);
    EXPECT_EQ(error_of(broken.source), broken.error);
  }
}

TEST_CASE("hcl: broken expressions") {
  const Broken table[] = {
      {"a = 1 +\n", "1:8: expected a value, found the end of the line"},
      {"a = (1\n", "2:1: expected \")\", found the end of the file"},
      {"a = (1]\n", "1:7: expected \")\", found \"]\""},
      {"a = [1 2]\n", "1:8: expected \",\" or \"]\" in the list, found the number 2"},
      {"a = [1,\n", "2:1: expected a value, found the end of the file"},
      {"a = {b 1}\n", "1:8: expected \"=\" or \":\" after the key, found the number 1"},
      {"a = {b = 1 c = 2}\n",
       "1:12: expected \",\", a new line or \"}\" in the map, found the name \"c\""},
      {"a = {b.c = 1}\n",
       "1:6: expected a key: quote it to mean the text, or put it in parentheses to mean its "
       "value"},
      {"a = {\n", "2:1: expected a key or \"}\" in the map, found the end of the file"},
      {"a = true ? 1\n",
       "1:13: expected \":\" and the value if the condition is false, found the end of the line"},
      {"a = f(1\n",
       "2:1: expected \",\" or \")\" in the arguments of a function, found the end of "
       "the file"},
      {"a = f(b... 1)\n", "1:12: expected \")\" after \"...\", found the number 1"},
      {"a = b.\n",
       "1:7: expected a name, a number or \"*\" after \".\", found the end of the line"},
      {"a = b[1\n", "2:1: expected \"]\" after the index, found the end of the file"},
      {"a = b.*.c.*\n", "1:11: expected a name: a second \".*\" does not work, use \"[*]\""},
      {"a = [for in b : c]\n",
       "1:13: expected \"in\" after the variables of \"for\", found the name "
       "\"b\""},
      {"a = [for b c : d]\n",
       "1:12: expected \"in\" after the variables of \"for\", found the name \"c\""},
      {"a = [for b, 1 in c : d]\n",
       "1:13: expected a second variable's name after \",\", found the number 1"},
      {"a = [for b in c d]\n",
       "1:17: expected \":\" after the collection of \"for\", found the name \"d\""},
      {"a = [for b in c : d => e]\n",
       "1:21: expected \"]\" or \"if\" (a \"for\" that makes keys and values stands in braces), "
       "found "
       "\"=>\""},
      {"a = {for b in c : d}\n",
       "1:20: expected \"=>\" after the key (a \"for\" in braces makes keys and values), found "
       "\"}\""},
      {"a = [for b in c : d e]\n",
       "1:21: expected \"]\" or \"if\" at the end of the \"for\", found the name \"e\""},
      {"a = 1e9999999\n", "1:5: expected a number that fits"},
  };
  for (const Broken& broken : table) {
    CAPTURE(broken.source);
    EXPECT_EQ(error_of(broken.source), broken.error);
  }
}

TEST_CASE("hcl: broken strings") {
  const Broken table[] = {
      {"a = \"b\n",
       "1:5: expected a closing quote on the same line (text of several lines goes into a "
       "heredoc)"},
      {"a = \"b", "1:5: expected a closing quote for this string before the end of the file"},
      {"a = \"\\q\"\n",
       "1:6: expected one of \\n \\r \\t \\\" \\\\ \\uNNNN \\UNNNNNNNN (a backslash "
       "itself is written \\\\)"},
      {"a = \"\\u12\"\n", "1:6: expected 4 hexadecimal digits after \\u"},
      {"a = \"\\ud800\"\n", "1:6: expected the number of a character that Unicode has"},
      {"a = \"${b\"\n",
       "1:9: expected \"}\" for the \"${\" of line 1, column 6, found a quoted string"},
      {"a = \"${b c}\"\n",
       "1:10: expected \"}\" for the \"${\" of line 1, column 6, found the name \"c\""},
      {"a = \"${}\"\n", "1:8: expected a value, found \"}\""},
      {"a = \"%{ whle b }\"\n",
       "1:9: expected if, else, endif, for or endfor after \"%{\", found \"whle\""},
      {"a = \"%{ if true }b\"\n",
       "1:6: expected %{ endif } for this \"if\" before the template's end"},
      {"a = \"%{ endif }\"\n",
       "1:6: expected no \"endif\" here: nothing is open that it belongs to"},
      {"a = \"%{ for b in [] }\"\n",
       "1:6: expected %{ endfor } for this \"for\" before the template's end"},
      {"a = \"%{ if true }%{ endfor }%{ endif }\"\n",
       "1:18: expected no \"endfor\" here: nothing is open that it belongs to"},
      {"a = <<EOT\nb\n", "1:5: expected a line with \"EOT\" alone to end this heredoc"},
      {"a = <<EOT\n${b:-c}\nEOT\n",
       "2:4: expected \"}\" for the \"${\" of line 2, column 1 (text for another language is "
       "written "
       "\"$${\"), found \":\""},
      {"a = << EOT\n", "1:5: expected a value, found \"<\""},
  };
  for (const Broken& broken : table) {
    CAPTURE(broken.source);
    EXPECT_EQ(error_of(broken.source), broken.error);
  }
}

TEST_CASE("hcl: expressions that have no value") {
  const Broken table[] = {
      {"a = b\n", "1:5: there is no variable \"b\""},
      {"a = f()\n", "1:5: there is no function \"f\""},
      {"a = 1 / 0\n", "1:9: division by zero"},
      {"a = \"x\" + 1\n", "1:5: a number is required, this is \"x\""},
      {"a = [] + 1\n", "1:5: a number is required, this is tuple"},
      {"a = -null\n", "1:6: a number is required, this is null"},
      {"a = !\"yes\"\n", "1:6: true or false is required, this is \"yes\""},
      {"a = null ? 1 : 2\n", "1:5: true or false is required, this is null"},
      {"a = true ? [] : {}\n",
       "1:12: the two values of a conditional must be of one type, they are tuple and object"},
      {"a = [1][1]\n", "1:9: index 1 is out of range, the list has 1 element"},
      {"a = [1, 2][-1]\n", "1:12: index -1 is out of range, the list has 2 elements"},
      {"a = [1][0.5]\n", "1:9: the index of a list is a whole number"},
      {"a = [1][\"x\"]\n", "1:9: the index of a list: a number is required, this is \"x\""},
      {"a = {count = 1}.coutn\n",
       "1:17: the object has no element \"coutn\"; did you mean \"count\"?"},
      {"a = {b = 1}[\"c\"]\n", "1:13: the object has no element \"c\""},
      {"a = 1.b\n", "1:7: cannot take \"b\" of a number: only a map or object has named elements"},
      {"a = null.b\n", "1:10: cannot take \"b\" of a null value"},
      {"a = true[0]\n", "1:10: cannot take an element of a bool"},
      {"a = \"x${[]}\"\n", "1:9: a tuple cannot stand in a string"},
      {"a = \"x${null}\"\n", "1:9: a null value cannot stand in a string"},
      {"a = [for b in 1 : b]\n",
       "1:15: \"for\" goes over a list, set, map or object, this is number"},
      {"a = {for b in [1, 1] : b => b}\n",
       "1:24: the key \"1\" comes twice (to collect the values of a key write \"...\" after the "
       "value)"},
      {"a = {(null) = 1}\n", "1:6: a string is required, this is null"},
      {"a = [for b in [1] : b if 2]\n", "1:26: true or false is required, this is number"},
      {"dynamic \"a\" {\n}\n", "1:1: dynamic: expected for_each = ... in it"},
      {"dynamic {\n}\n", "1:1: dynamic: expected one label, the type of the blocks to make"},
      {"dynamic \"a\" {\n  for_each = 1\n  content {\n  }\n}\n",
       "2:14: for_each: a list, set, map or object is required"},
      {"dynamic \"a\" {\n  for_each = []\n}\n", "1:1: dynamic: expected a block content { } in it"},
      {"dynamic \"a\" {\n  foreach = []\n}\n",
       "2:3: dynamic: expected for_each, iterator or labels, found \"foreach\""},
      {"a = 1\na {\n}\n", "2:1: \"a\" is set already, in line 1"},
  };
  for (const Broken& broken : table) {
    CAPTURE(broken.source);
    EXPECT_EQ(error_of(broken.source), broken.error);
  }
}

}  // namespace sluice::hcl
