// A type for every tensor, so that a model of a given size loses as little as possible: errors are measured (sweep.h),
// weighed by what they do to the answers, and spent by a knapsack.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "mtmd/quality/evaluator.h"
#include "mtmd/quality/sweep.h"

namespace mtmd::quality {

/// Called before each piece of work; returning false stops with Error(interrupted).
using OnTensor = std::function<bool(std::size_t done, std::size_t total, std::string_view tensor)>;

class TypeSearch {
 public:
  struct Tensor {
    OpenTensor open;
    std::vector<Candidate> candidates;  ///< by size
    double gain = 1;                    ///< divergence per relative output error; 1: not measured
  };
  using Types = std::map<std::string, DType, std::less<>>;

  /// Measures every tensor's candidates. Throws what sweep() throws, and Error(usage) when no type fits a tensor.
  TypeSearch(std::vector<OpenTensor> open, std::span<const DType> types, std::int64_t sample, ThreadPool& pool,
             const OnTensor& on_tensor);

  /// Measures what errors do: one tensor at a time in the candidate nearest to `bits` per weight, KL divergence over
  /// relative error. What follows the tensor in the model is in it, which no error of a single matrix knows.
  void weigh(Evaluator& evaluator, double bits, ThreadPool& pool, const OnTensor& on_tensor);

  /// The types with the smallest sum of gain x error in `bytes`; `weighed` false: of the errors alone. Throws
  /// Error(usage), saying how much would do, when even the smallest do not fit.
  Types choose(std::uint64_t bytes, bool weighed = true) const;
  double predicted(const Types& types) const;
  std::uint64_t bytes(const Types& types) const;
  std::uint64_t least_bytes() const;
  std::span<const Tensor> tensors() const noexcept { return tensors_; }

 private:
  std::vector<Tensor> tensors_;
};

/// The divergence of a model with these types (of `open`; others stay as they are).
DivergenceReport evaluate(Evaluator& evaluator, std::span<const OpenTensor> open, const TypeSearch::Types& types,
                          ThreadPool& pool);

}  // namespace mtmd::quality
