// White space, literals, precedence, statements. Expected values are what Jinja 3 with trim_blocks, lstrip_blocks and
// loop controls gives (they were run through python3-jinja2 when they were written).
#include "engine/chat/render.h"

namespace mtmd::chat {
namespace {
using namespace test;

TEST(Syntax, WhiteSpaceRules) {
  const Case cases[] = {
      {"a\n", "a"},
      {"a\n\n", "a\n"},
      {"a\r\nb\rc", "a\nb\nc"},
      {"  {% if true %}\nx\n  {% endif %}\ny", "x\ny"},
      {"  {%+ if true %}\nx\n{% endif %}", "  x\n"},
      {"{% if true +%}\nx{% endif %}", "\nx"},
      {"  {{ 1 }}\n  {{ 2 }}\n", "  1\n  2"},
      {"a  {{- 1 -}}  \n b", "a1b"},
      {"a \n {%- if true -%} \n b \n {%- endif -%} \n c", "abc"},
      {"a {# note #}\nb", "a b"},
      {"  {# note #}\nb", "b"},
      {"a\n  {#- note -#}  \nb", "ab"},
      {"x {% if true %} y {% endif %} z", "x  y  z"},
      {"{% set a = 1 %}\n\nx", "\nx"},
      {"{% raw %}{{ no }} {% if %}{% endraw %}!", "{{ no }} {% if %}!"},
      {"a {%- raw -%}  b  {%- endraw -%}  c", "abc"},
      {"{% for i in [1,2] %}\n  {{ i }}\n{% endfor %}\n", "  1\n  2\n"},
      {"{{ '}}' ~ '%}' }}", "}}%}"},
      {"{{ {'a': {'b': 1}}['a']['b'] }}", "1"},
      {"{ {x} {", "{ {x} {"},
  };
  expect_all(cases);
}

TEST(Syntax, LiteralsAndEscapes) {
  const Case cases[] = {
      {R"({{ "a\n\t\\\"\x41\u00e9\U0001F600\101\q" }})", "a\n\t\\\"A\u00e9\U0001F600A\\q"},
      {"{{ 'a' 'b' }}", "ab"},
      {"{{ 1_000 }} {{ 0x1f }} {{ 0o17 }} {{ 0b101 }}", "1000 31 15 5"},
      {"{{ 1.5 }} {{ 1e3 }} {{ 2.5e-1 }} {{ 1.0 }} {{ 1e16 }} {{ 1e-5 }} {{ 123456789.125 }}",
       "1.5 1000.0 0.25 1.0 1e+16 1e-05 123456789.125"},
      {"{{ true }} {{ False }} {{ none }} {{ None }}", "True False None None"},
      {"{{ [1, 'a', [2.0], {'k': none}] }}", "[1, 'a', [2.0], {'k': None}]"},
      {"{{ (1,) }} {{ () }} {{ 1, 2 }}", "(1,) () (1, 2)"},
      {"{{ [\"it's\", 'say \"x\"', 'b\\\\s', 'n\\n'] }}", "[\"it's\", 'say \"x\"', 'b\\\\s', 'n\\n']"},
      {"{{ {1: 2, 'a': 3, 1: 4} }}", "{1: 4, 'a': 3}"},
      {"{{ [1, 2,] }}{{ {'a': 1,} }}", "[1, 2]{'a': 1}"},
  };
  expect_all(cases);
}

TEST(Syntax, OperatorsAndPrecedence) {
  const Case cases[] = {
      {"{{ 1 + 2 * 3 - 4 / 2 }}", "5.0"},
      {"{{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }}", "3 -4 1 2 3.0 0.5"},
      {"{{ 2 ** 10 }} {{ 2 ** -1 }} {{ (-2) ** 3 }}", "1024 0.5 -8"},
      {"{{ 'a' ~ 1 ~ none ~ true }}", "a1NoneTrue"},
      {"{{ 1 ~ 2 * 3 }}", "16"},
      {"{{ 'ab' * 3 }} {{ 2 * [1] }} {{ 'x' * -1 }}", "ababab [1, 1] "},
      {"{{ not 1 == 2 }} {{ not true or true }} {{ true and not false }}", "True True True"},
      {"{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 1 <= 1 != 2 }}", "True False True"},
      {"{{ 'a' in 'cat' }} {{ 1 not in [1, 2] }} {{ 'k' in {'k': 1} }} {{ not 1 in [2] }}", "True False True True"},
      {"{{ '' or 'x' }} {{ 0 and 1 }} {{ none or false or 3 }}", "x 0 3"},
      {"{{ 'a' if false else 'b' if false else 'c' }}", "c"},
      {"[{{ 'a' if false }}]", "[]"},
      {"{{ -3|abs }} {{ -3.5|int }} {{ 1 - -1 }}", "3 -3 2"},
      {"{{ [1, 2] + [3] }} {{ (1,) + (2,) }} {{ 'a' + 'b' }}", "[1, 2, 3] (1, 2) ab"},
      {"{{ true + 1 }} {{ 1 == 1.0 }} {{ true == 1 }} {{ 'a' < 'b' }} {{ [1, 2] < [1, 3] }}", "2 True True True True"},
      {"{{ '%s has %d, %5.2f%%' % ('x', 3, 1.5) }} {{ '%03d' % 7 }}", "x has 3,  1.50% 007"},
      {"{{ 'a|b'|replace('|', '-')|upper }}", "A-B"},
      {"{{ 3 is odd and 4 is even and 9 is divisibleby 3 and 9 is not divisibleby(2) }}", "True"},
      {"{{ 'x' if 1 is defined else 'y' }}", "x"},
  };
  expect_all(cases);
}

TEST(Syntax, SubscriptsAndSlices) {
  const Case cases[] = {
      {"{{ x[0] }}{{ x[-1] }}{{ x[9] }}{{ x.1 }}", "152"},
      {"{{ x[1:3] }} {{ x[:-1] }} {{ x[::-1] }} {{ x[::2] }} {{ x[3:1] }} {{ x[-2:] }} {{ x[4:0:-2] }}",
       "[2, 3] [1, 2, 3, 4] [5, 4, 3, 2, 1] [1, 3, 5] [] [4, 5] [5, 3]"},
      {"{{ s[0] }}{{ s[-1] }} {{ s[1:] }} {{ s[::-1] }} {{ s|length }}", "h\u00e9 \u00e4ll\u00e9 \u00e9ll\u00e4h 5"},
      {"{{ d.k }}{{ d['k'] }}{{ d.none_such }}{{ d['items'] }}", "vvown"},
      {"{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "k=v;items=own;"},
      {"{{ d.get('k') }} {{ d.get('z') }} {{ d.get('z', 1) }} {{ d.keys()|list }}", "v None 1 ['k', 'items']"},
  };
  expect_all(cases, {{"x", {1, 2, 3, 4, 5}}, {"s", "h\u00e4ll\u00e9"}, {"d", {{"k", "v"}, {"items", "own"}}}});
}

TEST(Syntax, LoopsAndScopes) {
  const Case cases[] = {
      {"{% for i in [3,4,5] %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}"
       "{{ loop.last }}{{ loop.length }} {% endfor %}",
       "1032TrueFalse3 2121FalseFalse3 3210FalseTrue3 "},
      {"{% for i in [1,2,3] %}{{ loop.previtem }}<{{ i }}>{{ loop.nextitem }} {% endfor %}", "<1>2 1<2>3 2<3> "},
      {"{% for i in [] %}x{% else %}none{% endfor %}{% for i in nothing %}x{% endfor %}", "none"},
      {"{% for i in range(10) if i is odd %}{{ i }}/{{ loop.length }} {% endfor %}", "1/5 3/5 5/5 7/5 9/5 "},
      {"{% for i in range(9) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 4 %}{% break %}{% endif %}{{ i }}{% "
       "endfor %}",
       "013"},
      {"{% set x = 1 %}{% for i in [1] %}{% set x = 2 %}{{ x }}{% endfor %}{{ x }}", "21"},
      {"{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}", "2"},
      {"{% set n = namespace(a=0) %}{% for i in [1,2] %}{% set n.a = n.a + i %}{% endfor %}{{ n.a }}", "3"},
      {"{% for a, b in [(1, 2), [3, 4]] %}{{ a }}{{ b }}{% endfor %}{% for (a, b) in [(5, 6)] %}{{ a }}{% endfor %}",
       "12345"},
      {"{% set a, b = 1, 2 %}{{ b }}{{ a }}", "21"},
      {"{% for c in 'h\u00e9' %}[{{ c }}]{% endfor %}{% for k in {'a': 1} %}{{ k }}{% endfor %}", "[h][\u00e9]a"},
      {"{% for i in [1,1,2] %}{{ loop.changed(i) }}{{ loop.cycle('a', 'b') }} {% endfor %}", "Truea Falseb Truea "},
      {"{% for i in [[1, [2]], [3, []]] recursive %}{{ i[0] if i is sequence else i }}{{ loop(i[1]) if i is sequence "
       "and i[1] "
       "is sequence }}{{ loop.depth }} {% endfor %}",
       "122 1 31 "},
      {"{% set t %}a{{ 1 }}{% endset %}[{{ t }}]{% set u | upper %}xy{% endset %}{{ u }}", "[a1]XY"},
      {"{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{{ a }}", "3"},
      {"{% filter upper | trim %}  ab {% endfilter %}", "AB"},
      {"{% generation %}x{{ 1 }}{% endgeneration %}", "x1"},
      {"{% if 0 %}a{% elif '' %}b{% elif 1 %}c{% else %}d{% endif %}", "c"},
  };
  expect_all(cases);
}

TEST(Syntax, Macros) {
  const Case cases[] = {
      {"{% macro m(a, b=2, c=a) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }} {{ m(1, c=3) }} {{ m(b=5, a=4) }}",
       "121 123 454"},
      {"{% macro m(a) %}[{{ a }}]{% endmacro %}{{ m() }}{{ m('x')|upper }}", "[][X]"},
      {"{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, k=3) }}", "(1, 2){'k': 3}"},
      {"{% macro f(n) %}{{ n }}{% if n %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}", "3210"},
      {"{% macro m() %}{{ x }}{% endmacro %}{% set x = 7 %}{{ m() }}", "7"},
      {"{% macro box(t) %}<{{ t }}:{{ caller(1) }}>{% endmacro %}{% call(n) box('a') %}in{{ n }}{% endcall %}",
       "<a:in1>"},
      {"{% macro m(a, b) %}{{ a }}{{ b }}{% endmacro %}{{ m(*[1], **{'b': 2}) }}{{ m.name }}", "12m"},
  };
  expect_all(cases);
}

TEST(Syntax, UndefinedValues) {
  const Case cases[] = {
      {"[{{ x }}]{{ x is defined }}{{ x is undefined }}{% if x %}a{% endif %}{{ x|length }}{{ x|default('d') }}",
       "[]FalseTrue0d"},
      {"{{ d.k }}{{ d.k is defined }}{{ d.k == none }}{{ x == y }}", "FalseFalseTrue"},
      {"{{ none.k }}{{ none is none }}", "True"},
      {"{{ ''|default('d') }}{{ ''|default('d', true) }}{{ none|default('d') }}", "dNone"},
      {"{{ 1 in x }}", "False"},
  };
  expect_all(cases, {{"d", Json::object()}});
  EXPECT_NE(error_of("{{ message.content.text }}", ErrorCategory::model, {{"message", Json::object()}})
                .find("'content' of a mapping"),
            std::string::npos);
  EXPECT_NE(error_of("{{ x.y }}").find("'x' is undefined"), std::string::npos);
  EXPECT_NE(error_of("{{ x() }}").find("'x' is undefined"), std::string::npos);
  EXPECT_NE(error_of("{{ 'a' + x }}").find("'x' (undefined)"), std::string::npos);
}

}  // namespace
}  // namespace mtmd::chat
