// Arithmetic on sizes that come from files: the result, or nothing when it does not fit.
#pragma once

#include <concepts>
#include <optional>

namespace mtmd {

template <std::integral T>
constexpr std::optional<T> checked_mul(T a, T b) noexcept {
  T r;
  if (__builtin_mul_overflow(a, b, &r)) return std::nullopt;
  return r;
}

template <std::integral T>
constexpr std::optional<T> checked_add(T a, T b) noexcept {
  T r;
  if (__builtin_add_overflow(a, b, &r)) return std::nullopt;
  return r;
}

/// Smallest multiple of `unit` (> 0) that is at least `n`; the caller knows that it fits.
template <std::integral T>
constexpr T round_up(T n, T unit) noexcept {
  return (n + unit - 1) / unit * unit;
}

template <std::integral T>
constexpr T ceil_div(T n, T unit) noexcept {
  return (n + unit - 1) / unit;
}

}  // namespace mtmd
