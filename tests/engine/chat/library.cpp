// Filters, tests, methods, global functions.
#include "engine/chat/render.h"

namespace mtmd::chat {
namespace {
using namespace test;

TEST(Library, TextFilters) {
  const Case cases[] = {
      {"{{ 'aB \u00e9'|upper }}|{{ 'AB \u00c9'|lower }}|{{ 'ab CD'|capitalize }}|{{ 'ab cd-ef (gh'|title }}",
       "AB \u00c9|ab \u00e9|Ab cd|Ab Cd-Ef (Gh"},
      {"[{{ ' \n x\t '|trim }}][{{ 'xxaxx'|trim('x') }}]", "[x][a]"},
      {"{{ 'aaa'|replace('a', 'b') }}{{ 'aaa'|replace('a', 'b', 2) }}{{ 'ab'|replace('', '-') }}", "bbbbba-a-b-"},
      {"{{ 'a\nb\n\nc'|indent }}|{{ 'a\nb'|indent(2, true) }}|{{ 'a\n\nb'|indent('>', blank=true) }}",
       "a\n    b\n\n    c|  a\n  b|a\n>\n>b"},
      {"{{ '<a href=\"x\">&'|e }}{{ '<'|safe }}", "&lt;a href=&#34;x&#34;&gt;&amp;<"},
      {"[{{ 'ab'|center(6) }}][{{ 'abc'|center(6) }}]", "[  ab  ][ abc  ]"},
      {"{{ '%s-%s'|format(1, 'b') }} {{ 'a b  c'|wordcount }} {{ 12|string + '!' }}", "1-b 3 12!"},
  };
  expect_all(cases);
}

TEST(Library, SequenceFilters) {
  const Case cases[] = {
      {"{{ [1,2]|join }}{{ ['a','b']|join(', ') }}{{ u|join('-', attribute='n') }}", "12a, bb-A-c"},
      {"{{ [3,1,2]|sort }}{{ ['b','A','c']|sort }}{{ ['b','A','c']|sort(case_sensitive=true) }}{{ "
       "[1,2]|sort(reverse=true) }}",
       "[1, 2, 3]['A', 'b', 'c']['A', 'b', 'c'][2, 1]"},
      {"{{ u|sort(attribute='n')|map(attribute='n')|list }}", "['A', 'b', 'c']"},
      {"{{ {'b': 1, 'A': 2}|dictsort }}{{ {'b': 1, 'a': 2}|dictsort(by='value', reverse=true) }}",
       "[('A', 2), ('b', 1)][('a', 2), ('b', 1)]"},
      {"{{ [1,2,3]|first }}{{ [1,2,3]|last }}[{{ []|first }}]{{ 'abc'|first }}{{ [1,2]|length }}{{ 'abc'|count }}",
       "13[]a23"},
      {"{{ 'ab'|list }}{{ {'a': 1}|list }}{{ {'a': 1}|items|list }}", "['a', 'b']['a'][('a', 1)]"},
      {"{{ [1,2,3]|reverse|list }}{{ 'abc'|reverse }}", "[3, 2, 1]cba"},
      {"{{ ['a','A','b']|unique|list }}{{ [1,1,2]|unique|list }}", "['a', 'b'][1, 2]"},
      {"{{ [3,1,2]|min }}{{ [3,1,2]|max }}{{ [1,2,3]|sum }}{{ u|sum(attribute='k', start=10) }}", "13616"},
      {"{{ [1,2,3]|batch(2)|list }}{{ [1,2,3]|batch(2, 0)|list }}", "[[1, 2], [3]][[1, 2], [3, 0]]"},
      {"{{ ['a','b']|map('upper')|list }}{{ u|map(attribute='x', default='-')|join }}{{ ['1','2']|map('int')|sum }}",
       "['A', 'B']---3"},
      {"{{ [0,1,'',2]|select|list }}{{ [1,2,3]|select('odd')|list }}{{ [1,2,3]|select('>', 1)|list }}",
       "[1, 2][1, 3][2, 3]"},
      {"{{ [1,2,3]|reject('odd')|list }}{{ u|selectattr('k', 'equalto', 2)|map(attribute='n')|first }}", "[2]A"},
      {"{{ u|rejectattr('k', 'gt', 1)|list|length }}{{ u|selectattr('x')|list }}{{ u|selectattr('k', 'in', [1, "
       "3])|list|length }}",
       "1[]2"},
  };
  expect_all(cases, {{"u", {{{"n", "b"}, {"k", 1}}, {{"n", "A"}, {"k", 2}}, {{"n", "c"}, {"k", 3}}}}});
}

TEST(Library, ValueFilters) {
  const Case cases[] = {
      {"{{ '42'|int }} {{ '4.7'|int }} {{ 'x'|int }} {{ 'x'|int(9) }} {{ 3.9|int }} {{ '1f'|int(base=16) }}",
       "42 4 0 9 3 31"},
      {"{{ '1.5'|float }} {{ 'x'|float }} {{ 2|float }}", "1.5 0.0 2.0"},
      {"{{ 2.5|round }} {{ 3.14159|round(2) }} {{ 2.1|round(0, 'ceil') }} {{ -5|abs }} {{ -1.5|abs }}",
       "2.0 3.14 3.0 5 1.5"},
      {"{{ {'a': [1, 2.0, none, true], '\u00e9': 'q\"\\n'}|tojson }}", R"({"a": [1, 2.0, null, true], "é": "q\"\n"})"},
      {"{{ {'b': 1, 'a': {'c': []}}|tojson(indent=2) }}", "{\n  \"b\": 1,\n  \"a\": {\n    \"c\": []\n  }\n}"},
      {"{{ {'b': 1, 'a': 2}|tojson(sort_keys=true, separators=(',', ':')) }}", R"({"a":2,"b":1})"},
      {"{{ '\u00e9\U0001F600'|tojson(ensure_ascii=true) }}", R"("\u00e9\ud83d\ude00")"},
      {"{{ '</script>&\\u0001'|tojson }}", R"("</script>&\u0001")"},
      {"{{ {'a': 1}|attr('keys') is callable }}", "True"},
  };
  expect_all(cases);
}

TEST(Library, Tests) {
  const Case cases[] = {
      {"{{ 1 is number }}{{ 1.0 is float }}{{ 1 is integer }}{{ true is boolean }}{{ true is integer }}",
       "TrueTrueTrueTrueFalse"},
      {"{{ 'a' is string }}{{ {} is mapping }}{{ [] is sequence }}{{ [] is iterable }}{{ 1 is iterable }}",
       "TrueTrueTrueTrueFalse"},
      {"{{ none is none }}{{ false is false }}{{ 0 is false }}{{ true is true }}", "TrueTrueFalseTrue"},
      {"{{ 'A' is upper }}{{ 'a' is lower }}{{ 'a' is upper }}{{ 1 is in [1] }}{{ 1 is eq 1 }}{{ 1 is ne(2) }}",
       "TrueTrueFalseTrueTrueTrue"},
      {"{{ 'upper' is filter }}{{ 'odd' is test }}{{ range is callable }}{{ 'nope' is filter }}", "TrueTrueTrueFalse"},
      {"{{ 1 is not string }}{{ 2 is lt 3 }}{{ 'x' is sameas 'x' }}", "TrueTrueTrue"},
  };
  expect_all(cases);
}

TEST(Library, StringMethods) {
  const Case cases[] = {
      {"{{ 'a b  c'.split() }}{{ 'a,b,c'.split(',', 1) }}{{ ',a,'.split(',') }}{{ ' a b c'.split(none, 1) }}",
       "['a', 'b', 'c']['a', 'b,c']['', 'a', '']['a', 'b c']"},
      {"{{ 'a,b,c'.rsplit(',', 1) }}{{ 'a b c '.rsplit(none, 1) }}{{ 'a b'.rsplit() }}",
       "['a,b', 'c']['a b', 'c']['a', 'b']"},
      {"{{ 'a\nb\r\nc\n'.splitlines() }}", "['a', 'b', 'c']"},
      {"[{{ ' x '.strip() }}][{{ 'xax'.lstrip('x') }}][{{ 'xax'.rstrip('x') }}][{{ '\u00a0\u3000x'.strip() }}]",
       "[x][ax][xa][x]"},
      {"{{ 'abc'.startswith('ab') }}{{ 'abc'.endswith(('x', 'c')) }}{{ 'abc'.startswith('') }}", "TrueTrueTrue"},
      {"{{ 'a-b'.replace('-', '+') }}{{ 'x\u00e9y'.find('y') }}{{ 'aXbX'.rfind('X') }}{{ 'a'.find('z') }}{{ "
       "'aaa'.count('a') }}",
       "a+b23-13"},
      {"{{ '-'.join(['a', 'b']) }}{{ 'a=b=c'.partition('=') }}{{ 'a=b=c'.rpartition('=') }}",
       "a-b('a', '=', 'b=c')('a=b', '=', 'c')"},
      {"{{ 'aB'.upper() }}{{ 'aB'.lower() }}{{ 'aB cD'.capitalize() }}{{ \"it's aB\".title() }}", "ABabAb cdIt'S Ab"},
      {"[{{ 'a'.ljust(3) }}][{{ 'a'.rjust(3, '.') }}][{{ 'ab'.center(5) }}][{{ '-5'.zfill(4) }}]",
       "[a  ][..a][  ab ][-005]"},
      {"{{ '12'.isdigit() }}{{ 'ab'.isalpha() }}{{ ''.isdigit() }}{{ ' '.isspace() }}{{ 'A'.isupper() }}{{ "
       "'a1'.isalnum() }}",
       "TrueTrueFalseTrueTrueTrue"},
      {"{{ 'abc'.removeprefix('a') }}{{ 'abc'.removesuffix('c') }}{{ '{1} {0} {k}{{'.format(1, 2, k=3) }}{{ "
       "'{}{}'.format(1, 2) }}",
       "bcab2 1 3{12"},
  };
  expect_all(cases);
}

TEST(Library, GlobalFunctions) {
  const Case cases[] = {
      {"{{ range(3)|list }}{{ range(1, 7, 2)|list }}{{ range(3, 0, -1)|list }}", "[0, 1, 2][1, 3, 5][3, 2, 1]"},
      {"{{ dict(a=1, b=2) }}{{ dict({'a': 1}, a=3) }}", "{'a': 1, 'b': 2}{'a': 3}"},
      {"{% set j = joiner('; ') %}{% for i in [1,2,3] %}{{ j() }}{{ i }}{% endfor %}", "1; 2; 3"},
      {"{% set n = namespace({'a': 1}, b=2) %}{{ n.a }}{{ n.b }}{{ n['b'] }}{{ n.c is defined }}", "122False"},
      {"{{ strftime_now('%d %b %Y, %A %B %-d %H:%M:%S %j %y %p %I %%') }}",
       "26 Jul 2024, Friday July 26 00:00:00 208 24 AM 12 %"},
  };
  expect_all(cases);
  EXPECT_NE(error_of("{{ strftime_now('%Q') }}").find("%Q"), std::string::npos);
}

TEST(Library, RaiseExceptionIsAnInputError) {
  const auto message = error_of("\n{{ raise_exception('no ' ~ 'way') }}", ErrorCategory::input);
  EXPECT_NE(message.find("no way"), std::string::npos);
  EXPECT_NE(message.find("line 2"), std::string::npos);
}

}  // namespace
}  // namespace mtmd::chat
