// Shape checks of the op fronts: a wrong shape is our own mistake, so it is Error(internal) with the op's name.
#pragma once

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "engine/base/error.h"
#include "engine/tensor/tensor.h"

namespace mtmd::device_checks {

inline std::string shape(const Tensor& t) { return fmt::format("[{}, {}]", t.rows, t.cols); }
inline std::string shape(const Weight& w) {
  return w.experts == 1 ? fmt::format("{} [{}, {}]", name(w.type), w.rows, w.cols)
                        : fmt::format("{} [{}, {}, {}]", name(w.type), w.experts, w.rows, w.cols);
}

/// What stands for an argument in a message; made only when the check fails, the hot path allocates nothing.
inline std::string printable(const Tensor& t) { return shape(t); }
inline std::string printable(const Weight& w) { return shape(w); }
inline std::string printable(std::string_view s) { return std::string(s); }
template <class T>
requires std::is_arithmetic_v<T> T printable(T value) { return value; }
template <class T>
using Printable = decltype(printable(std::declval<const T&>()));

/// Throws unless `ok`. `Args` is deduced from the values; the format string is checked against them.
template <class... Args>
void require(bool ok, const char* op, fmt::format_string<std::type_identity_t<Printable<Args>>...> format,
             const Args&... args) {
  if (ok) [[likely]]
    return;
  const auto message = [&](const auto&... values) { return fmt::vformat(format, fmt::make_format_args(values...)); };
  fail(ErrorCategory::internal, "{}: {}", op, message(printable(args)...));
}

/// A view that can be walked: memory for its rows, rows that do not run into each other.
inline void require_view(const Tensor& t, const char* op, const char* what) {
  if (t.rows >= 0 && t.cols >= 0 && (t.size() == 0 || (t.data != nullptr && (t.rows == 1 || t.stride >= t.cols))))
    return;
  fail(ErrorCategory::internal, "{}: {} {} with stride {} is not a valid view", op, what, shape(t), t.stride);
}

inline void require_same(const Tensor& a, const Tensor& b, const char* op, const char* what_a, const char* what_b) {
  require_view(a, op, what_a);
  require_view(b, op, what_b);
  if (a.rows == b.rows && a.cols == b.cols) return;
  fail(ErrorCategory::internal, "{}: {} is {}, {} is {}; expected equal shapes", op, what_a, shape(a), what_b,
       shape(b));
}

/// True when some value belongs to both views.
inline bool overlap(const Tensor& a, const Tensor& b) {
  if (a.size() == 0 || b.size() == 0) return false;
  const float* a_end = a.row(a.rows - 1) + a.cols;
  const float* b_end = b.row(b.rows - 1) + b.cols;
  if (a_end <= b.data || b_end <= a.data) return false;
  if (a.stride != b.stride || a.rows == 1 || b.rows == 1) return true;
  // Columns of one wide matrix interleave in memory without touching each other.
  std::int64_t shift = (b.data - a.data) % a.stride;
  if (shift < 0) shift += a.stride;
  return shift < a.cols || shift + b.cols > a.stride;
}

}  // namespace mtmd::device_checks
