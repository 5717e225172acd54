#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "engine/base/error.h"
#include "engine/gguf/gguf.h"
#include "engine/gguf/reader.h"

namespace mtmd::gguf {
namespace {

template <class T>
T load(const std::byte* data, std::size_t i) noexcept {
  T v;
  std::memcpy(&v, data + i * sizeof v, sizeof v);
  return v;
}

}  // namespace

std::optional<std::int64_t> Value::as_integer(std::size_t i) const noexcept {
  if (i >= count_) return std::nullopt;
  switch (element_type_) {
    case ValueType::u8:
      return load<std::uint8_t>(data_, i);
    case ValueType::i8:
      return load<std::int8_t>(data_, i);
    case ValueType::u16:
      return load<std::uint16_t>(data_, i);
    case ValueType::i16:
      return load<std::int16_t>(data_, i);
    case ValueType::u32:
      return load<std::uint32_t>(data_, i);
    case ValueType::i32:
      return load<std::int32_t>(data_, i);
    case ValueType::i64:
      return load<std::int64_t>(data_, i);
    case ValueType::u64: {
      const auto v = load<std::uint64_t>(data_, i);
      if (v > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return std::nullopt;
      return static_cast<std::int64_t>(v);
    }
    case ValueType::f32:
    case ValueType::f64:
    case ValueType::boolean:
    case ValueType::string:
    case ValueType::array:
      return std::nullopt;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> Value::as_unsigned(std::size_t i) const noexcept {
  if (i < count_ && element_type_ == ValueType::u64) return load<std::uint64_t>(data_, i);
  const auto v = as_integer(i);
  if (!v || *v < 0) return std::nullopt;
  return static_cast<std::uint64_t>(*v);
}

std::optional<double> Value::as_number(std::size_t i) const noexcept {
  if (i >= count_) return std::nullopt;
  if (element_type_ == ValueType::f32) return load<float>(data_, i);
  if (element_type_ == ValueType::f64) return load<double>(data_, i);
  if (element_type_ == ValueType::u64) return static_cast<double>(load<std::uint64_t>(data_, i));
  const auto v = as_integer(i);
  if (!v) return std::nullopt;
  return static_cast<double>(*v);
}

std::optional<bool> Value::as_bool(std::size_t i) const noexcept {
  if (i >= count_ || element_type_ != ValueType::boolean) return std::nullopt;
  return data_[i] != std::byte{0};
}

std::optional<std::string_view> Value::as_string(std::size_t i) const noexcept {
  if (i >= strings_.size()) return std::nullopt;
  return strings_[i];
}

std::optional<Value> Value::as_array(std::size_t i) const noexcept {
  if (i >= arrays_.size()) return std::nullopt;
  return arrays_[i];
}

const Value* Metadata::find(std::string_view key) const noexcept {
  const auto key_of = [this](std::uint32_t i) { return entries_[i].key; };
  const auto it = std::ranges::lower_bound(sorted_, key, {}, key_of);
  return it != sorted_.end() && key_of(*it) == key ? &entries_[*it].value : nullptr;
}

namespace {

template <class T>
constexpr std::string_view type_name() {
  if constexpr (std::is_same_v<T, bool>)
    return "a bool";
  else if constexpr (std::is_same_v<T, std::string_view>)
    return "a string";
  else if constexpr (std::is_floating_point_v<T>)
    return "a floating-point number";
  else if constexpr (std::is_signed_v<T>)
    return sizeof(T) == 4 ? "a signed 32-bit integer" : "a signed 64-bit integer";
  else
    return sizeof(T) == 4 ? "an unsigned 32-bit integer" : "an unsigned 64-bit integer";
}

/// Element i as T, or nothing.
template <class T>
std::optional<T> convert(const Value& v, std::size_t i) {
  if constexpr (std::is_same_v<T, bool>) {
    return v.as_bool(i);
  } else if constexpr (std::is_same_v<T, std::string_view>) {
    return v.as_string(i);
  } else if constexpr (std::is_floating_point_v<T>) {
    if (v.element_type() != ValueType::f32 && v.element_type() != ValueType::f64) return std::nullopt;
    const auto x = v.as_number(i);
    if (!x) return std::nullopt;
    // A finite f64 beyond the range of f32 does not fit (and converting it would be undefined).
    if (std::is_same_v<T, float> && std::isfinite(*x) && std::fabs(*x) > std::numeric_limits<float>::max())
      return std::nullopt;
    return static_cast<T>(*x);
  } else if constexpr (std::is_same_v<T, std::uint64_t>) {
    return v.as_unsigned(i);
  } else {
    const auto x = v.as_integer(i);
    if (!x || *x < static_cast<std::int64_t>(std::numeric_limits<T>::min()) ||
        *x > static_cast<std::int64_t>(std::numeric_limits<T>::max()))
      return std::nullopt;
    return static_cast<T>(*x);
  }
}

std::string shown(const Value& v, std::size_t i) {
  const auto type = name(v.element_type());
  if (const auto u = v.as_unsigned(i)) return fmt::format("{} ({})", *u, type);
  if (const auto n = v.as_number(i)) return fmt::format("{} ({})", *n, type);
  if (const auto b = v.as_bool(i)) return fmt::format("{} (bool)", *b);
  if (const auto s = v.as_string(i)) return fmt::format("{} (string)", in_quotes(*s));
  return fmt::format("an array of {}", type);
}

template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};

/// Numbers that are stored as they are wanted, all at once: vocabularies have a hundred thousand and more.
template <class T>
bool copy_stored(const Value& v, std::vector<T>& out) {
  constexpr auto stored = std::is_same_v<T, std::int32_t> ? ValueType::i32
                          : std::is_same_v<T, float>      ? ValueType::f32
                                                          : ValueType::array;
  if (stored == ValueType::array || v.element_type() != stored) return false;
  if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) {
    const auto bytes = v.raw_scalars();
    out.resize(v.size());
    if (!bytes.empty()) std::memcpy(out.data(), bytes.data(), bytes.size());
  }
  return true;
}

}  // namespace

template <class T>
std::optional<T> Metadata::get(std::string_view key) const {
  const Value* v = find(key);
  if (!v) return std::nullopt;
  if constexpr (IsVector<T>::value) {
    using E = typename T::value_type;
    T out;
    if (copy_stored(*v, out)) return out;
    out.reserve(v->size());
    for (std::size_t i = 0; i < v->size(); ++i) {
      const auto e = convert<E>(*v, i);
      if (!e)
        fail(ErrorCategory::model, "{}: key {}: element {} is {}, expected {}", file_, in_quotes(key), i, shown(*v, i),
             type_name<E>());
      out.push_back(*e);
    }
    return out;
  } else {
    if (v->is_array())
      fail(ErrorCategory::model, "{}: key {} is an array of {} {}, expected {}", file_, in_quotes(key), v->size(),
           name(v->element_type()), type_name<T>());
    const auto x = convert<T>(*v, 0);
    if (!x)
      fail(ErrorCategory::model, "{}: key {} is {}, expected {}", file_, in_quotes(key), shown(*v, 0), type_name<T>());
    return x;
  }
}

template <class T>
T Metadata::require(std::string_view key) const {
  auto v = get<T>(key);
  if (!v)
    fail(ErrorCategory::model, "{}: key {} is missing; the model cannot be used without it", file_, in_quotes(key));
  return std::move(*v);
}

#define MTMD_INSTANTIATE(T)                                           \
  template std::optional<T> Metadata::get<T>(std::string_view) const; \
  template T Metadata::require<T>(std::string_view) const;
MTMD_INSTANTIATE(bool)
MTMD_INSTANTIATE(std::int32_t)
MTMD_INSTANTIATE(std::uint32_t)
MTMD_INSTANTIATE(std::int64_t)
MTMD_INSTANTIATE(std::uint64_t)
MTMD_INSTANTIATE(float)
MTMD_INSTANTIATE(double)
MTMD_INSTANTIATE(std::string_view)
MTMD_INSTANTIATE(std::vector<bool>)
MTMD_INSTANTIATE(std::vector<std::int32_t>)
MTMD_INSTANTIATE(std::vector<float>)
MTMD_INSTANTIATE(std::vector<std::string_view>)
#undef MTMD_INSTANTIATE

}  // namespace mtmd::gguf
