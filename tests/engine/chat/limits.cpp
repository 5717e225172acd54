// Errors that name the construct, and templates that try to use up time, memory or the stack.
#include <ctime>
#include <random>

#include "engine/chat/render.h"

namespace mtmd::chat {
namespace {
using namespace test;

bool says(const std::string& message, std::string_view part) { return message.find(part) != std::string::npos; }

TEST(Errors, SyntaxErrorsNameThePlaceAndTheConstruct) {
  const std::pair<const char*, const char*> cases[] = {
      {"a\n{% frobnicate x %}", "line 2, column 4: the statement '{% frobnicate %}' is not supported"},
      {"{% include 'x' %}", "'{% include %}' is not supported"},
      {"{{ x|frob }}", "line 1, column 6: the filter 'frob' is not supported"},
      {"{{ x is frobbed }}", "the test 'frobbed' is not supported"},
      {"{{ 1 + }}", "expected an expression, found '}}'"},
      {"{{ (1 }}", "unexpected '}', expected ')'"},
      {"{{ 'abc }}", "column 4: the string that begins here is not closed"},
      {"x {{ 1", "column 3: the '{{' that begins here has no '}}'"},
      {"{% if x", "has no '%}'"},
      {"{# x", "the comment that begins here has no '#}'"},
      {"{% raw %}x", "has no '{% endraw %}'"},
      {"{% if x %}a", "'{% endif %}' is missing"},
      {"{% for i in x %}a", "'{% endfor %}' is missing"},
      {"{% endif %}", "'{% endif %}' without the block"},
      {"{% else %}", "without the block"},
      {"{% break %}", "'break' outside of a for block"},
      {"{% for i in x %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}", "'break' outside"},
      {"{% for in x %}{% endfor %}", "expected 'in'"},
      {"{% set 1 = 2 %}", "expected a name to assign to"},
      {"{{ a b }}", "expected '}}', found 'b'"},
      {"{{ a ! b }}", "unexpected character '!'"},
      {"{{ 99999999999999999999 }}", "out of range"},
      {"{% macro m(a=1, b) %}{% endmacro %}", "has no default"},
      {"{{ f(a=1, 2) }}", "without a name after one with a name"},
      {"{{ x[1:2:3:4] }}", "at most start, stop and step"},
      {"{{ '\\ud800' }}", "stands for no character"},
  };
  for (const auto& [source, part] : cases)
    EXPECT_TRUE(says(error_of(source), part)) << source << ": " << error_of(source);
}

TEST(Errors, RuntimeErrorsSayWhatWasFound) {
  const std::pair<const char*, const char*> cases[] = {
      {"\n\n{{ 1 + 'a' }}", "line 3, column 6: integer + string has no meaning"},
      {"{{ 1 / 0 }}", "division by zero"},
      {"{{ 1 % 0 }}", "division by zero"},
      {"{{ 9223372036854775807 + 1 }}", "does not fit into 64 bits"},
      {"{{ -9223372036854775807 - 2 }}", "does not fit into 64 bits"},
      {"{{ 10 ** 30 }}", "does not fit into 64 bits"},
      {"{{ 1 < 'a' }}", "integer < string has no meaning"},
      {"{% for i in 5 %}{% endfor %}", "type integer has no elements"},
      {"{% for a, b in [[1]] %}{% endfor %}", "1 values for 2 names"},
      {"{% set x = 1 %}{% set x.y = 2 %}", "'x' is no namespace"},
      {"{{ [1].append(2) }}", "append() would change a list"},
      {"{{ {}.update({}) }}", "update() would change a mapping"},
      {"{{ 'a'.frob() }}", "'frob' of a string is undefined"},
      {"{{ 5() }}", "type integer cannot be called"},
      {"{{ 'a'.replace('b') }}", "needs the argument 'new'"},
      {"{{ 'a'|trim(chars='x', y=1) }}", "has no argument 'y'"},
      {"{{ 'a'|upper(1) }}", "takes at most 0 arguments"},
      {"{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}", "takes 1 arguments"},
      {"{{ nothing|tojson }}", "'nothing' (undefined) cannot be written as JSON"},
      {"{{ [range]|tojson }}", "function cannot be written as JSON"},
      {"{{ [1,2][::0] }}", "step 0"},
      {"{{ 'a'.split('') }}", "empty separator"},
      {"{{ {[1]: 2} }}", "type list cannot be a key"},
      {"{{ '%d' % 'x' }}", "needs a number"},
      {"{{ [3, 'a']|sort }}", "has no meaning"},
  };
  for (const auto& [source, part] : cases)
    EXPECT_TRUE(says(error_of(source), part)) << source << ": " << error_of(source);
}

std::string repeated(std::string_view part, int n) {
  std::string out;
  for (int i = 0; i < n; ++i) out += part;
  return out;
}

/// Each must end in an Error that contains the words, within seconds of processor time (sanitizers are slow).
TEST(Limits, BombsEndInErrors) {
  const std::string many = repeated("x", 20000);
  const std::pair<std::string, const char*> cases[] = {
      {"{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "steps"},
      {"{% for i in range(1000000000) %}{% endfor %}", "range of more than"},
      {"{{ 'a' * 1000000000 }}", "repeated string that is too long"},
      {"{{ [1] * 1000000000 }}", "repeated list that is too long"},
      {"{% set n = namespace(s='a') %}{% for i in range(99) %}{% set n.s = n.s + n.s %}{% endfor %}", "bytes"},
      {"{% set n = namespace(s=[1]) %}{% for i in range(99) %}{% set n.s = n.s + n.s %}{% endfor %}", ""},
      {"{% set n = namespace(s=[1]) %}{% for i in range(99) %}{% set n.s = [n.s, n.s] %}{% endfor %}{{ n.s }}",
       "too large"},
      {"{% set n = namespace(s=[1]) %}{% for i in range(9999) %}{% set n.s = [n.s] %}{% endfor %}", "nested deeper"},
      {"{% set n = namespace(s={}) %}{% for i in range(9999) %}{% set n.s = {'a': n.s} %}{% endfor %}",
       "nested deeper"},
      {"{% set n = namespace(s=[]) %}{% for i in range(9999) %}{% set n.s = [n.s.index] %}{% endfor %}",
       "nested deeper"},
      {"{% set n = namespace(l=[]) %}{% for i in range(9999) %}{% for j in [n.l] %}{% set n.l = loop %}{% endfor %}{% "
       "endfor %}",
       "nested deeper"},
      {"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "nested too deeply"},
      {"{% macro f(x) %}{{ caller() }}{% endmacro %}{% macro g() %}{% call f(1) %}{{ g() }}{% endcall %}{% endmacro "
       "%}{{ g() }}",
       "nested too deeply"},
      {"{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}", "nested too deeply"},
      {"{{ '%9999s' % 'a' }}", "above 1000"},
      {"{{ 'a'.ljust(999999999999) }}", "too long"},
      {"{{ [1]|tojson(indent=100000) }}", "above 64"},
      {"{{ [1]|batch(99999999)|list }}", "batch"},
      {"{{ ('a' * 99999).replace('', 'b' * 99999) }}", ""},
      {"{% for i in range(99999) %}" + many + "{% endfor %}", "writes more than"},
      {"{{ " + repeated("(", 5000) + "1" + repeated(")", 5000) + " }}", "nested deeper"},
      {"{{ " + repeated("[", 5000) + " }}", "expected ']'"},
      {"{{ " + repeated("[", 5000) + repeated("]", 5000) + " }}", "nested deeper"},
      {"{{ " + repeated("-", 5000) + "1 }}", "nested deeper"},
      {"{{ " + repeated("not ", 5000) + "1 }}", "nested deeper"},
      {"{{ 1" + repeated("+1", 50000) + " }}", "nested operations"},
      {"{{ x" + repeated(".a", 50000) + " }}", "nested operations"},
      {"{{ x" + repeated("|trim", 50000) + " }}", "nested operations"},
      {"{{ x" + repeated(" if x else x", 50000) + " }}", "nested"},
      {repeated("{% if 1 %}", 5000), "nested deeper"},
      {repeated("{% for i in x %}", 5000), "nested deeper"},
      {repeated("y", (1 << 20) + 1), "bytes; at most"},
  };
  const Limits limits{.max_steps = 500'000, .max_output_bytes = 2 << 20, .max_memory_bytes = 32 << 20};
  for (const auto& [source, part] : cases) {
    const std::clock_t start = std::clock();
    const std::string message = error_of(source, ErrorCategory::model, Json::object(), limits);
    EXPECT_TRUE(says(message, part)) << source.substr(0, 120) << ": " << message;
    EXPECT_LT(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC, 10) << source.substr(0, 120);
  }
}

TEST(Limits, CyclesOfNamespacesAndMacrosAreFreed) {  // LeakSanitizer watches
  const Case cases[] = {
      {"{% set n = namespace() %}{% set n.self = n %}{{ n.self.self == n }}", "True"},
      {"{% set n = namespace() %}{% macro m() %}{{ n.x }}{% endmacro %}{% set n.m = m %}{% set n.x = 1 %}{{ n.m() }}",
       "1"},
      {"{% for i in [1,2] %}{% macro m() %}{{ i }}{% endmacro %}{% set q = m %}{{ q() }}{% endfor %}", "12"},
      {"{% set n = namespace() %}{% for i in [1] recursive %}{% set n.l = loop %}{% endfor %}{{ n.l.index }}", "1"},
      {"{% for i in [1,2] %}{{ loop.changed(loop) }}{% endfor %}", "TrueTrue"},
  };
  expect_all(cases);
}

TEST(Limits, ContextIsBoundedToo) {
  Json deep = 1;
  for (int i = 0; i < 1000; ++i) deep = Json::array({deep});
  EXPECT_TRUE(says(error_of("x", ErrorCategory::input, {{"messages", deep}}), "nested deeper"));
  EXPECT_TRUE(says(error_of("x", ErrorCategory::input, {{"n", UINT64_MAX}}), "64 bits"));
  EXPECT_TRUE(says(error_of("x", ErrorCategory::input, Json::array()), "expected an object"));
  EXPECT_EQ(render("{{ s|length }} {{ s[0]|length }} {{ s|upper|length }}", {{"s", "\xff\xc3(a"}}), "4 1 4");
}

TEST(Limits, SmallLimitsAreKept) {
  EXPECT_TRUE(says(error_of("{% for i in range(100) %}{{ i }}{% endfor %}", ErrorCategory::model, Json::object(),
                            {.max_steps = 100}),
                   "100 steps"));
  EXPECT_TRUE(
      says(error_of("0123456789", ErrorCategory::model, Json::object(), {.max_output_bytes = 9}), "more than 9 bytes"));
  EXPECT_EQ(render("0123456789", Json::object(), {.max_output_bytes = 10}), "0123456789");
}

/// Any bytes: an Error or a text, never anything else.
TEST(Limits, RandomTemplatesDoNotCrash) {
  static constexpr std::string_view pieces[] = {
      "{{",    "}}",       "{%",       "%}",     "{#",   "#}",      "-",      "+",     " ",        "\n",
      "if",    "else",     "endif",    "for",    "in",   "endfor",  "set",    "macro", "endmacro", "(",
      ")",     "[",        "]",        "{",      "}",    "'",       "\"",     "x",     "1",        "2.5",
      ".",     ",",        ":",        "|",      "trim", "join",    "sort",   "is",    "not",      "defined",
      "and",   "or",       "==",       "<",      "~",    "*",       "**",     "//",    "%",        "namespace",
      "range", "loop",     "messages", "tojson", "call", "endcall", "filter", "raw",   "endraw",   "\\",
      "\xff",  "\xc3\xa9", "true",     "none",   "=",    "split",   "items",  "[::-1]"};
  std::mt19937 rng(7);
  const Limits small{.max_steps = 20000, .max_output_bytes = 1 << 16, .max_memory_bytes = 8 << 20};
  const Json context = {{"messages", {{{"role", "user"}, {"content", "hi"}}}}, {"x", {1, 2, 3}}};
  int n_rendered = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string source = i % 2 ? "{{ " : "{% ";
    for (auto k = rng() % 12; k > 0; --k)
      source += std::string(pieces[rng() % std::size(pieces)]) + (rng() % 3 ? " " : "");
    source += i % 2 ? " }}" : " %}";
    try {
      render(source, context, small);
      ++n_rendered;
    } catch (const Error& e) {
      EXPECT_TRUE(e.category() == ErrorCategory::model || e.category() == ErrorCategory::input) << e.what();
    }
  }
  EXPECT_GT(n_rendered, 100);
}

}  // namespace
}  // namespace mtmd::chat
