// Arithmetic and comparison.
#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/base/checked.h"
#include "engine/chat/operators.h"
#include "engine/chat/printf.h"
#include "engine/chat/utf8.h"

namespace mtmd::chat {
namespace {

std::string_view symbol(Op op) {
  switch (op) {
    case Op::add:
      return "+";
    case Op::sub:
      return "-";
    case Op::mul:
      return "*";
    case Op::div:
      return "/";
    case Op::floor_div:
      return "//";
    case Op::mod:
      return "%";
    case Op::pow:
      return "**";
    case Op::concat:
      return "~";
    case Op::eq:
      return "==";
    case Op::ne:
      return "!=";
    case Op::lt:
      return "<";
    case Op::le:
      return "<=";
    case Op::gt:
      return ">";
    case Op::ge:
      return ">=";
    case Op::in:
      return "in";
    case Op::not_in:
      return "not in";
    case Op::logical_and:
      return "and";
    case Op::logical_or:
      return "or";
  }
  return "";
}

std::string named(const Value& v) {
  const auto* u = v.get<Undefined>();
  return u && u->what ? fmt::format("{} (undefined)", *u->what) : std::string(type_name(v));
}

[[noreturn]] void mismatch(Runtime& rt, Op op, const Value& a, const Value& b) {
  rt.fail(fmt::format("{} {} {} has no meaning", named(a), symbol(op), named(b)));
}

bool is_integer(const Value& v) { return v.get<std::int64_t>() || v.get<bool>(); }
std::int64_t to_integer(const Value& v) { return v.get<bool>() ? *v.get<bool>() : *v.get<std::int64_t>(); }

std::int64_t checked(Runtime& rt, std::optional<std::int64_t> v) {
  if (!v) rt.fail("an integer that does not fit into 64 bits");
  return *v;
}

std::int64_t integer_power(Runtime& rt, std::int64_t base, std::int64_t exponent) {
  std::int64_t result = 1;
  if (base == 0 || base == 1) return exponent == 0 ? 1 : base;
  if (base == -1) return exponent % 2 ? -1 : 1;
  for (; exponent > 0; --exponent) result = checked(rt, checked_mul(result, base));  // at most 63 rounds
  return result;
}

Value integer_op(Runtime& rt, Op op, std::int64_t a, std::int64_t b) {
  if ((op == Op::div || op == Op::floor_div || op == Op::mod) && b == 0) rt.fail("division by zero");
  switch (op) {
    case Op::add:
      return checked(rt, checked_add(a, b));
    case Op::sub:
      if (std::int64_t r; !__builtin_sub_overflow(a, b, &r)) return r;
      checked(rt, std::nullopt);
      break;
    case Op::mul:
      return checked(rt, checked_mul(a, b));
    case Op::div:
      return static_cast<double>(a) / static_cast<double>(b);
    case Op::floor_div:
      if (b == -1) return integer_op(rt, Op::sub, 0, a);
      return a / b - (a % b != 0 && (a < 0) != (b < 0));
    case Op::mod: {
      if (b == -1) return std::int64_t{0};
      const std::int64_t r = a % b;
      return r != 0 && (r < 0) != (b < 0) ? r + b : r;
    }
    case Op::pow:
      if (b < 0) return std::pow(static_cast<double>(a), static_cast<double>(b));
      return integer_power(rt, a, b);
    default:
      break;
  }
  return {};
}

Value real_op(Runtime& rt, Op op, double a, double b) {
  if ((op == Op::div || op == Op::floor_div || op == Op::mod) && b == 0) rt.fail("division by zero");
  switch (op) {
    case Op::add:
      return a + b;
    case Op::sub:
      return a - b;
    case Op::mul:
      return a * b;
    case Op::div:
      return a / b;
    case Op::floor_div:
      return std::floor(a / b);
    case Op::mod:
      return a - std::floor(a / b) * b;
    case Op::pow:
      return std::pow(a, b);
    default:
      break;
  }
  return {};
}

/// sequence * n: the size is known before anything is made.
Value repeat(Runtime& rt, const Value& sequence, std::int64_t n) {
  const std::size_t times = n > 0 ? static_cast<std::size_t>(n) : 0;
  if (const auto* s = sequence.text()) {
    if (!s->empty() && times > rt.limits().max_output_bytes / s->size()) rt.fail("a repeated string that is too long");
    std::string out;
    out.reserve(s->size() * times);
    for (std::size_t i = 0; i < times && !s->empty(); ++i) out += *s;
    return rt.text(std::move(out));
  }
  const List& list = *sequence.list();
  if (!list.items.empty() && times > rt.limits().max_memory_bytes / sizeof(Value) / list.items.size()) {
    rt.fail("a repeated list that is too long");
  }
  rt.charge(list.items.size() * times);
  std::vector<Value> out;
  for (std::size_t i = 0; i < times; ++i) out.insert(out.end(), list.items.begin(), list.items.end());
  return rt.list(std::move(out), list.tuple);
}

Value join_sequences(Runtime& rt, const Value& a, const Value& b) {
  if (a.text()) return rt.text(*a.text() + *b.text());
  std::vector<Value> out = a.list()->items;
  out.insert(out.end(), b.list()->items.begin(), b.list()->items.end());
  return rt.list(std::move(out), a.list()->tuple);
}

/// a < b; nothing when they have no order.
std::optional<bool> less(Runtime& rt, const Value& a, const Value& b) {
  if (is_integer(a) && is_integer(b)) return to_integer(a) < to_integer(b);
  if (is_number(a) && is_number(b)) return to_real(a) < to_real(b);
  if (a.text() && b.text()) {
    rt.charge_bytes(std::min(a.text()->size(), b.text()->size()));
    return *a.text() < *b.text();  // the order of UTF-8 bytes is the order of code points
  }
  if (!a.list() || !b.list() || a.list()->tuple != b.list()->tuple) return std::nullopt;
  const auto &x = a.list()->items, &y = b.list()->items;
  for (std::size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
    rt.charge();
    if (!same(rt, x[i], y[i])) return less(rt, x[i], y[i]);
  }
  return x.size() < y.size();
}

}  // namespace

double to_real(const Value& v) {
  if (const auto* r = v.get<double>()) return *r;
  return static_cast<double>(to_integer(v));
}

Value binary(Runtime& rt, Op op, const Value& a, const Value& b) {
  if (op == Op::concat) return rt.text(text_of(rt, a) + text_of(rt, b));
  if (is_integer(a) && is_integer(b)) return integer_op(rt, op, to_integer(a), to_integer(b));
  if (is_number(a) && is_number(b)) return real_op(rt, op, to_real(a), to_real(b));
  if (op == Op::add) {
    const bool lists = a.list() && b.list() && a.list()->tuple == b.list()->tuple;
    if ((a.text() && b.text()) || lists) return join_sequences(rt, a, b);
  }
  if (op == Op::mul) {
    if ((a.text() || a.list()) && is_integer(b)) return repeat(rt, a, to_integer(b));
    if ((b.text() || b.list()) && is_integer(a)) return repeat(rt, b, to_integer(a));
  }
  if (op == Op::mod && a.text()) {
    const List* list = b.list();
    return rt.text(format_percent(rt, *a.text(), list && list->tuple ? list->items : std::vector<Value>{b}));
  }
  mismatch(rt, op, a, b);
}

Value negative(Runtime& rt, const Value& v) {
  if (is_integer(v)) return integer_op(rt, Op::sub, 0, to_integer(v));
  if (const auto* r = v.get<double>()) return -*r;
  rt.fail(fmt::format("a value of type {} has no negative", type_name(v)));
}

bool same(Runtime& rt, const Value& a, const Value& b) {
  rt.charge_bytes(std::min(weight(a), weight(b)));
  return equal(a, b);
}

bool contains(Runtime& rt, const Value& container, const Value& item) {
  if (const auto* text = container.text()) {
    const auto* part = item.text();
    if (!part) rt.fail(fmt::format("{} in a string: only a string can be in a string", named(item)));
    rt.charge_bytes(text->size());
    return find_text(*text, *part) != std::string_view::npos;
  }
  if (const auto* list = container.list()) {
    return std::any_of(list->items.begin(), list->items.end(), [&](const Value& v) {
      rt.charge();
      return same(rt, v, item);
    });
  }
  if (const auto* dict = container.dict()) {
    rt.charge(dict->entries.size() / 4);
    return dict->find(item) != nullptr;
  }
  if (container.is_undefined()) return false;
  mismatch(rt, Op::in, item, container);
}

bool compare(Runtime& rt, Op op, const Value& a, const Value& b) {
  switch (op) {
    case Op::eq:
      return same(rt, a, b);
    case Op::ne:
      return !same(rt, a, b);
    case Op::in:
      return contains(rt, b, a);
    case Op::not_in:
      return !contains(rt, b, a);
    default:
      break;
  }
  const bool swapped = op == Op::gt || op == Op::le;  // a > b is b < a; a <= b is not b < a
  const auto result = swapped ? less(rt, b, a) : less(rt, a, b);
  if (!result) mismatch(rt, op, a, b);
  if (op == Op::lt || op == Op::gt) return *result;
  const bool has_nan = is_number(a) && is_number(b) && (std::isnan(to_real(a)) || std::isnan(to_real(b)));
  return !*result && !has_nan;
}

}  // namespace mtmd::chat
