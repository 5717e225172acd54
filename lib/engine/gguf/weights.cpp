#include "engine/gguf/weights.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>

#include "engine/base/error.h"
#include "engine/gguf/reader.h"
#include "engine/quant/quant.h"

namespace mtmd::gguf {
namespace {

using Shape = std::span<const std::int64_t>;

/// GGUF does not record leading dimensions of 1 reliably; they carry no meaning.
Shape without_leading_ones(Shape s) {
  while (s.size() > 1 && s.front() == 1) s = s.subspan(1);
  return s;
}

bool same_shape(Shape a, Shape b) { return std::ranges::equal(without_leading_ones(a), without_leading_ones(b)); }

std::int64_t product(Shape s) { return std::accumulate(s.begin(), s.end(), std::int64_t{1}, std::multiplies<>()); }

/// Does `s`, read as `out` rows of everything behind, have rows of `in` values?
bool is_matrix(Shape s, std::int64_t out, std::int64_t in) {
  const auto fits = [&](Shape t) { return t.size() > 1 && t.front() == out && product(t.subspan(1)) == in; };
  if (out == 1 && product(s) == in && without_leading_ones(s).size() == 1) return true;
  for (Shape t = s; t.size() > 1; t = t.subspan(1)) {
    if (fits(t)) return true;
    if (t.front() != 1) return false;
  }
  return false;
}

std::string shown(Shape s) {
  std::string out = "[";
  for (const std::int64_t n : s) out += fmt::format("{}{}", out.size() > 1 ? ", " : "", n);
  return out + "]";
}

std::string path_of(const File& file, const TensorInfo& t) { return file.paths()[t.file].string(); }

[[noreturn]] void wrong_shape(const File& file, const TensorInfo& t, Shape wanted) {
  fail(ErrorCategory::model, "{}: tensor {} has the shape {}, the metadata ask for {}", path_of(file, t),
       in_quotes(t.name), shown(t.shape), shown(wanted));
}

const quant::Format& decoder(const File& file, const TensorInfo& t) {
  const quant::Format* f = quant::find(t.type);
  if (!f)
    fail(ErrorCategory::model, "{}: tensor {} has type {}, which cannot hold weights", path_of(file, t),
         in_quotes(t.name), name(t.type));
  return *f;
}

bool aligned_f32(const TensorInfo& t) {
  return t.type == DType::F32 && reinterpret_cast<std::uintptr_t>(t.data.data()) % alignof(float) == 0;
}

}  // namespace

const TensorInfo& Weights::get(std::string_view name) {
  const TensorInfo* t = file_.find(name);
  if (!t) {
    const auto arch = file_.metadata().get_or<std::string_view>("general.architecture", "unknown");
    fail(ErrorCategory::model, "{}: tensor {} is missing; a model of architecture {} needs it", file_.metadata().file(),
         in_quotes(name), in_quotes(arch));
  }
  used_.insert(t->name);
  return *t;
}

Weight Weights::matrix(std::string_view name, std::int64_t out, std::int64_t in) {
  const TensorInfo& t = get(name);
  if (!is_matrix(t.shape, out, in)) wrong_shape(file_, t, std::array{out, in});
  decoder(file_, t);
  return {t.type, t.data.data(), out, in, 1, file_.precision()};
}

Weight Weights::experts(std::string_view name, std::int64_t n, std::int64_t out, std::int64_t in) {
  const TensorInfo& t = get(name);
  const std::array wanted{n, out, in};
  if (!same_shape(t.shape, wanted)) wrong_shape(file_, t, wanted);
  decoder(file_, t);
  return {t.type, t.data.data(), out, in, n, file_.precision()};
}

Vector Weights::as_f32(const TensorInfo& t) {
  const auto n = static_cast<std::size_t>(t.n_values());
  if (aligned_f32(t)) return {reinterpret_cast<const float*>(t.data.data()), n};
  const quant::Format& format = decoder(file_, t);
  std::vector<float>& values = converted_.emplace_back(n);
  format.decode(t.data.data(), values.data(), t.n_values());
  return values;
}

Vector Weights::vector(std::string_view name, std::int64_t n) {
  const TensorInfo& t = get(name);
  // [n, 1] is how some converters store a bias or a scale of a convolution.
  if (t.n_values() != n || std::ranges::count_if(t.shape, [](std::int64_t d) { return d != 1; }) > 1)
    wrong_shape(file_, t, std::array{n});
  return as_f32(t);
}

Weight Weights::matrix_if(std::string_view name, std::int64_t out, std::int64_t in) {
  return has(name) ? matrix(name, out, in) : Weight{};
}

Vector Weights::vector_if(std::string_view name, std::int64_t n) { return has(name) ? vector(name, n) : Vector{}; }

Vector Weights::values(std::string_view name, std::initializer_list<std::int64_t> shape) {
  const TensorInfo& t = get(name);
  if (!same_shape(t.shape, {shape.begin(), shape.size()})) wrong_shape(file_, t, {shape.begin(), shape.size()});
  return as_f32(t);
}

std::vector<std::string_view> Weights::unused() const {
  std::vector<std::string_view> names;
  for (const TensorInfo& t : file_.tensors())
    if (!used_.contains(t.name)) names.push_back(t.name);
  return names;
}

}  // namespace mtmd::gguf
