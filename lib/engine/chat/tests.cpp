// Tests: `x is NAME`.
#include <algorithm>
#include <cmath>

#include "engine/chat/builtins.h"
#include "engine/chat/operators.h"
#include "engine/chat/utf8.h"

namespace mtmd::chat {
namespace {

const Value& argument(Runtime& rt, const Args& args, std::string_view test) {
  if (args.positional.size() != 1 || !args.named.empty())
    rt.fail(fmt::format("the test '{}' needs one argument", test));
  return args.positional[0];
}

std::int64_t integer(Runtime& rt, const Value& v, std::string_view test) {
  if (const auto* i = v.get<std::int64_t>()) return *i;
  if (const auto* b = v.get<bool>()) return *b;
  rt.fail(fmt::format("the test '{}' needs integers, found a value of type {}", test, type_name(v)));
}

template <Op op>
bool compares(Runtime& rt, const Value& v, const Args& args) {
  return compare(rt, op, v, argument(rt, args, "comparison"));
}

bool is_cased(Runtime& rt, const Value& v, std::string (*change)(std::string_view),
              std::string (*other)(std::string_view)) {
  const std::string text = text_of(rt, v);
  return change(text) == text && other(text) != text;
}

bool divisible(Runtime& rt, const Value& v, const Args& args) {
  const std::int64_t by = integer(rt, argument(rt, args, "divisibleby"), "divisibleby");
  if (by == 0) rt.fail("divisibleby 0");
  return by == -1 || integer(rt, v, "divisibleby") % by == 0;
}

/// Identity, as far as values have one: the same object, or the same constant.
bool same_as(Runtime& rt, const Value& v, const Args& args) {
  const Value& other = argument(rt, args, "sameas");
  if (v.data().index() != other.data().index()) return false;
  if (v.list()) return v.list() == other.list();
  if (v.dict()) return v.dict() == other.dict();
  return same(rt, v, other);
}

struct NamedTest {
  std::string_view name;
  Test test;
};

constexpr NamedTest table[] = {
    {"defined", [](Runtime&, const Value& v, const Args&) { return !v.is_undefined(); }},
    {"undefined", [](Runtime&, const Value& v, const Args&) { return v.is_undefined(); }},
    {"none", [](Runtime&, const Value& v, const Args&) { return v.is_none(); }},
    {"boolean", [](Runtime&, const Value& v, const Args&) { return v.get<bool>() != nullptr; }},
    {"true", [](Runtime&, const Value& v, const Args&) { return v.get<bool>() && *v.get<bool>(); }},
    {"false", [](Runtime&, const Value& v, const Args&) { return v.get<bool>() && !*v.get<bool>(); }},
    {"integer", [](Runtime&, const Value& v, const Args&) { return v.get<std::int64_t>() != nullptr; }},
    {"float", [](Runtime&, const Value& v, const Args&) { return v.get<double>() != nullptr; }},
    {"number", [](Runtime&, const Value& v, const Args&) { return is_number(v); }},
    {"string", [](Runtime&, const Value& v, const Args&) { return v.text() != nullptr; }},
    {"mapping", [](Runtime&, const Value& v, const Args&) { return v.dict() != nullptr; }},
    {"sequence",
     [](Runtime&, const Value& v, const Args&) { return v.text() || v.list() || v.dict() || v.is_undefined(); }},
    {"iterable", [](Runtime&, const Value& v,
                    const Args&) { return v.text() || v.list() || v.dict() || v.loop() || v.is_undefined(); }},
    {"callable", [](Runtime&, const Value& v, const Args&) { return v.callable() != nullptr; }},
    {"odd", [](Runtime& rt, const Value& v, const Args&) { return integer(rt, v, "odd") % 2 != 0; }},
    {"even", [](Runtime& rt, const Value& v, const Args&) { return integer(rt, v, "even") % 2 == 0; }},
    {"divisibleby", divisible},
    {"sameas", same_as},
    {"in", [](Runtime& rt, const Value& v, const Args& a) { return contains(rt, argument(rt, a, "in"), v); }},
    {"upper", [](Runtime& rt, const Value& v, const Args&) { return is_cased(rt, v, to_upper, to_lower); }},
    {"lower", [](Runtime& rt, const Value& v, const Args&) { return is_cased(rt, v, to_lower, to_upper); }},
    {"filter", [](Runtime&, const Value& v, const Args&) { return v.text() && find_filter(*v.text()); }},
    {"test", [](Runtime&, const Value& v, const Args&) { return v.text() && find_test(*v.text()); }},
    {"escaped", [](Runtime&, const Value&, const Args&) { return false; }},
    {"eq", compares<Op::eq>},
    {"equalto", compares<Op::eq>},
    {"ne", compares<Op::ne>},
    {"lt", compares<Op::lt>},
    {"lessthan", compares<Op::lt>},
    {"le", compares<Op::le>},
    {"gt", compares<Op::gt>},
    {"greaterthan", compares<Op::gt>},
    {"ge", compares<Op::ge>},
    // `select('==', x)` names the operators themselves
    {"==", compares<Op::eq>},
    {"!=", compares<Op::ne>},
    {"<", compares<Op::lt>},
    {"<=", compares<Op::le>},
    {">", compares<Op::gt>},
    {">=", compares<Op::ge>},
};

}  // namespace

Test find_test(std::string_view name) noexcept {
  for (const NamedTest& t : table) {
    if (t.name == name) return t.test;
  }
  return nullptr;
}

}  // namespace mtmd::chat
