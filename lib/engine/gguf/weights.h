// The only door from tensor names to weights: every tensor is asked for with the shape it must have.
#pragma once

#include <deque>
#include <initializer_list>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "engine/gguf/gguf.h"

namespace mtmd::gguf {

/// Throws Error(model) naming file, tensor, found and expected. Not thread-safe; used while loading. The views it hands
/// out live as long as the File and this object.
class Weights {
 public:
  explicit Weights(const File& file) : file_(file) {}

  /// A matrix [out, in] of any dtype; also accepts a 1-D tensor as [1, in] when out is 1, and higher-dimensional ones
  /// whose trailing dimensions multiply to `in` (a conv kernel [D, 3, p, p] as [D, 3*p*p]).
  Weight matrix(std::string_view name, std::int64_t out, std::int64_t in);
  /// MoE: [experts, out, in].
  Weight experts(std::string_view name, std::int64_t n, std::int64_t out, std::int64_t in);
  /// A parameter vector as f32 (converted and kept here when stored otherwise).
  Vector vector(std::string_view name, std::int64_t n);
  /// The same, but empty / null when the file has no such tensor (a wrong shape is still an error).
  Weight matrix_if(std::string_view name, std::int64_t out, std::int64_t in);
  Vector vector_if(std::string_view name, std::int64_t n);
  /// Any tensor as f32, all dimensions flattened; for position tables and conv kernels.
  Vector values(std::string_view name, std::initializer_list<std::int64_t> shape);

  const TensorInfo* find(std::string_view name) const noexcept { return file_.find(name); }
  bool has(std::string_view name) const noexcept { return find(name) != nullptr; }
  const File& file() const noexcept { return file_; }
  /// Tensors of the file that nobody asked for (worth a warning).
  std::vector<std::string_view> unused() const;

 private:
  const TensorInfo& get(std::string_view name);
  Vector as_f32(const TensorInfo& t);
  const File& file_;
  std::unordered_set<std::string_view> used_;
  std::deque<std::vector<float>> converted_;
};

}  // namespace mtmd::gguf
