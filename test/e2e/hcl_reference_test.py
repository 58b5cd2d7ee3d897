"""Our HCL answers as the reference implementation does: forms written by hand, and random ones."""

import pytest

from helpers.hcl_pair import Generator, both, differs

EXPRESSIONS = r'''
true ? [1, "a"] : [2]
true ? {a = 1} : {a = "x"}
true ? {a = 1} : {b = "x"}
true ? {a = 1} : {b = [1]}
true ? [] : ["a"]
true ? [[1]] : [["a"]]
false ? convert([1], list(number)) : ["a"]
true ? convert({a = 1}, map(number)) : {b = "x"}
true ? null : [1]
true ? [null] : ["a"]
true ? 1 : "a"
true ? true : "a"
true ? true : 1
convert([1, "a", true], list(string))
convert(["1", "2"], list(number))
convert({a = 1, b = "x"}, map(string))
convert({a = 1}, object({a = string}))
convert({a = 1}, object({a = string, b = number}))
convert({a = 1, b = 2}, object({a = number}))
convert([1, 2], tuple([string, number]))
convert([1], tuple([string, number]))
convert("1", number)
convert("yes", bool)
convert("1", bool)
convert(1, bool)
convert([[1], ["a"]], list(list(string)))
convert([1, 1, 2], set(string))
convert([[1], [1], [2]], set(any))
convert({a = [1], b = ["x"]}, map(list(string)))
convert([], list(any))
convert([1, "a"], list(any))
convert([1, [2]], list(any))
convert({a = 1, b = [2]}, map(any))
convert(null, string)
[for k, v in {b = 1, a = 2} : "${k}=${v}"]
{for v in ["a", "b", "a"] : v => v...}
{for v in ["a", "a"] : v => v}
[for v in convert([3, 1, 2], set(number)) : v]
[for k, v in convert(["b", "a"], set(string)) : k]
[for v in [1, 2, 3] : v if v > 1]
[for v in null : v]
[for v in "abc" : v]
{for k, v in {a = 1} : k => {x = v}}
[1, 2, 3][*]
null[*]
"a"[*]
[{a = {b = 1}}, {a = {b = 2}}][*].a.b
[{a = [1, 2]}, {a = [3]}].*.a
[{a = [1, 2]}, {a = [3]}].*.a[0]
[{a = [1, 2]}, {a = [3]}][*].a[0]
[[{a = 1}], [{a = 2}]][*][*].a
convert([{a = 1}], list(object({a = number})))[*].a
[1, 2, 3]["1"]
[1, 2, 3][1.0]
{a = 1}["a"]
{"1" = 2}[1]
{a = 1}.a
[[1, 2]].0.1
[5].0
-[1][0]
!true == false
1 == "1"
[] == []
[1] == ["1"]
{a = 1} == {a = 1}
null == null
null == 1
convert(["a"], list(string)) == ["a"]
1 + 2 * 3 - 4 / 5 % 3
-7 % 3
7 % -3
5.5 % 2
1 / 3
10 / 4
0.1 + 0.7
1e100 + 1
123456789123456789123456789 * 987654321987654321
2 > 1 && 3 >= 3 || false
"1" + "2"
"a" + 1
true + 1
null + 1
true && "true"
"b" && true
"${1}" + 1
"${1}${2}" == "12"
"a ${[1]} b"
"a ${null} b"
"a ${true} ${1.50} b"
"${[1, 2]}"
"%{ if true }a%{ else }b%{ endif }c"
"%{ if false }a%{ endif }c"
"%{ for v in [1, 2] }${v},%{ endfor }"
"%{ for k, v in {a = 1} }${k}${v}%{ endfor }"
"a  ${~ "b" ~}  c"
"a  %{~ if true ~}  b  %{~ endif ~}  c"
"$${a} %%{b} $$ %% $$$ {a}"
"$$${1}"
"\u00e9\U0001f30a\n\t\"\\"
"\q"
"\u12"
<<EOT
  a
    b ${1}
EOT
<<-EOT
    a
      b
   c
  EOT
<<-EOT
    a

      ${1}
    %{ if true ~}
    b
    %{ endif ~}
    EOT
<<EOT
a\nb "c" $${d}
EOT
{a = 1, a = 2}
{(1) = 2, (true) = 3}
{"a b" = 1, "${"x"}y" = 2}
{a.b = 1}
{null = 1}
{(null) = 1}
[1, 2, ]
[1,, 2]
{a = 1, b = 2, }
{a = 1 b = 2}
(1
f(1)
upper("a"...)
max([1, 2, 3]...)
max(1, [2, 3]...)
try([][0], "b")
try([][0], {}.a)
can([][0])
can(1)
length("abc")
merge({a = 1}, {b = "x"}, null)
merge(convert({a = 1}, map(number)), convert({b = 2}, map(number)))
pow(2, 10)
log(16, 2)
regex_replace("hello world", "(\\w+) (\\w+)", "$2 $1")
cidrhost("::/0", 65536)
cidrhost("::/64", 65537)
cidrhost("::1.2.3.4/96", -2)
cidrsubnet("::/80", 16, 258)
range(1, 2, 0.25)
range(3, 0)
range(0, 3, -1)
range(0)
range(5, 1, -2)
setproduct(["a", "b"], [1, 2], [true])
setproduct(convert(["b", "a"], set(string)), convert([1], set(number)))
setproduct([], ["a"])
try(upper(null), {}.a, [1][1])
can(try([][0]))
try()
can(1, 2)
merge()
merge({a = {b = 1}}, {a = {c = 2}})
merge(null, null)
strlen("x́y")
reverse("x́y")
1 # a comment
1 // another
/* one */ 1
1 /* two
lines */
'''

TEMPLATES = [
    "", "plain", "${1}", "${[1]}", "a${1}b\n", "\"quoted\" \\n \\q",
    "%{ if true }\nyes\n%{ endif }\n",
    "%{ if true ~}\nyes\n%{ endif ~}\nend", "%{ for x in [1, 2, 3] ~}\n  - ${x}\n%{ endfor ~}\n",
    "${ \"a\" }", "$${x}", "%%{x}", "${", "${1", "%{ if true }", "%{ else }", "%{ endfor }",
    "%{ for x in [1] }%{ if x == 1 }${x}%{ endif }%{ endfor }", "a\n  ${~ 1 ~}  \nb", "é${1}€",
]

BODIES = [
    "", "\n\n", "a = 1", "a = 1\n", "a = 1\nb = \"x\"\n", "a {\n}\n", "a {}\n", "a { b = 1 }\n",
    "a { b = 1\n}\n", "a {\n  b = 1 }\n", "a \"x\" y {\n  b {\n    c = [1]\n  }\n}\n",
    "a = 1 b = 2\n",
    "a = 1, b = 2\n", "a : 1\n", "\"a\" = 1\n", "a = 1\na = 2\n", "a {\n", "}\n",
    "a { b { c = 1 } }\n",
    "a b c d {}\n", "a = {\n  b = 1\n  c : 2,\n\n  d = 3 }\n", "a = [\n  1,\n  2\n]\n", "a =\n1\n",
    "a = 1 +\n2\n", "a = (1 +\n2)\n", "# c\n// d\n/* e */ a = 1 # f\n", "a = <<E\nx\nE\nb = 2\n",
    "a = <<-E\n    x\n      y\n    E\n", "a = \"x\ny\"\n", "a {\n  b = 1\n}\na {\n  b = 2\n}\n",
    "a \"${b}\" {}\n", "a = b.\n", "a-b = 1\n_c = 2\né = 3\n", "1a = 1\n", "a = 1\r\nb = 2\r\n",
    "a = f(\n1,\n2\n)\n", "a = max(\n1,\n2\n)\n", "a = [for x in [1,\n2] :\nx]\n", "a 1\n",
    "a = \n",
    "a = {\n  for k, v in {b = 1} :\n  k => v\n}\n",
    "a = {\n  # c\n  for k, v in {b = 1} : k => v\n}\nb = 1\n", "“a” = 1\n", "a “b” {}\n",
    "a🌻 = 1\n", "نام = 1\nĀ = 2\na۱ = 3\nक्ष = 4\n", "a = \"\xff\"\n",
    "a = 1;\n", "a = 'x'\n", "a = {for k, v in {b = 1} : k => v}\nc {\n  d = a\n}\n",
]


def blocks(text):
    """Lines are cases of their own, but heredocs and what is open go on."""
    case = []
    for line in text.strip("\n").split("\n"):
        case.append(line)
        whole = "\n".join(case)
        if "<<" in case[0] and (len(case) == 1 or line.strip() != "EOT"):
            continue
        if whole.startswith("1 /* two") and "*/" not in whole:
            continue
        yield whole + ("\n" if "<<" in case[0] else "")
        case = []


def check(requests):
    wrong = []
    for request, ours, theirs in both(requests):
        different = differs(ours, theirs)
        if different:
            wrong.append("%r\n    %s" % (request["source"], different))
    assert not wrong, "%d of %d differ\n%s" % (len(wrong), len(requests), "\n".join(wrong[:20]))


def test_expressions_written_by_hand():
    cases = list(blocks(EXPRESSIONS))
    assert len(cases) > 120
    check([{"kind": "expression", "source": s} for s in cases])


def test_templates():
    check([{"kind": "template", "source": s} for s in TEMPLATES])


def test_bodies():
    check([{"kind": "body", "source": s} for s in BODIES])


@pytest.mark.parametrize("seed", [1, 2])
def test_random_expressions(seed):
    g = Generator(seed)
    check([{"kind": "expression", "source": g.any(g.r.randint(1, 4))} for _ in range(3000)])


@pytest.mark.parametrize("seed", [3, 4])
def test_random_calls(seed):
    g = Generator(seed)
    check([{"kind": "expression", "source": g.call()} for _ in range(3000)])


def test_damaged_expressions_are_refused_alike():
    g = Generator(5)
    sources = [g.damaged(g.r.randint(1, 3)) for _ in range(4000)]
    # The reference looks at the condition of a `for` even where there is nothing to go over.
    check([{"kind": "expression", "source": s} for s in sources
           if "in [] :" not in s and "in {} :" not in s])
