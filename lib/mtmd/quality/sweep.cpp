#include "mtmd/quality/sweep.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "engine/base/error.h"

namespace mtmd::quality {
namespace {

constexpr std::int64_t kFewestRows = 16;

struct Power {
  double error = 0, signal = 0;
};

void decode_row(const gguf::TensorInfo& t, std::int64_t row, std::span<float> values) {
  const std::size_t bytes = row_bytes(t.type, std::ssize(values));
  quant::find(t.type)->decode(t.data.data() + static_cast<std::size_t>(row) * bytes, values.data(), std::ssize(values));
  for (const float v : values)
    if (!std::isfinite(v))
      fail(ErrorCategory::model, "{}: row {} holds a value that is not finite; `mtmd verify` lists all", t.name, row);
}

Power measure(const OpenTensor& t, std::int64_t row, const std::vector<float>& values, DType type) {
  const std::int64_t n = t.columns();
  const quant::Format& format = *quant::find(type);
  std::vector<std::byte> blocks(row_bytes(type, n));
  std::vector<float> back(static_cast<std::size_t>(n));
  const float* importance = t.importance_of(row);
  format.encode(values.data(), blocks.data(), n, importance, quant::Effort::standard);
  format.decode(blocks.data(), back.data(), n);
  Power p;
  for (std::size_t i = 0; i < back.size(); ++i) {
    const double weight = importance ? double{importance[i]} : 1.0, d = double{values[i]} - double{back[i]};
    p.error += weight * d * d;
    p.signal += weight * double{values[i]} * double{values[i]};
  }
  return p;
}

}  // namespace

const float* OpenTensor::importance_of(std::int64_t row) const noexcept {
  if (importance.empty()) return nullptr;
  const std::int64_t matrices = std::ssize(importance) / columns();
  return importance.data() + row / (rows() / matrices) * columns();
}

std::span<const DType> default_candidates() noexcept {
  static constexpr std::array kTypes = {DType::Q2_K,    DType::Q3_K,   DType::Q4_K,  DType::Q5_K,    DType::Q6_K,
                                        DType::IQ2_XXS, DType::IQ2_XS, DType::IQ2_S, DType::IQ3_XXS, DType::IQ3_S,
                                        DType::IQ4_XS,  DType::IQ4_NL, DType::Q4_0,  DType::Q4_1,    DType::Q5_0,
                                        DType::Q5_1,    DType::Q8_0,   DType::F16};
  return kTypes;
}

bool fits(DType type, const OpenTensor& t) noexcept {
  const quant::Format* format = quant::find(type);
  return format && format->encode && t.columns() % info(type).block_size == 0 &&
         (!format->needs_importance || !t.importance.empty());
}

std::vector<Candidate> sweep(const OpenTensor& t, std::span<const DType> types, std::int64_t sample, ThreadPool& pool) {
  const std::int64_t rows = t.rows(), n = std::min(rows, std::max(kFewestRows, sample / t.columns()));
  std::vector<DType> tried;
  for (const DType type : types)
    if (fits(type, t)) tried.push_back(type);
  std::vector<Power> powers(static_cast<std::size_t>(n) * tried.size());
  pool.parallel_for(n, [&](std::int64_t i) {
    const std::int64_t row = n == rows ? i : (2 * i + 1) * rows / (2 * n);
    std::vector<float> values(static_cast<std::size_t>(t.columns()));
    decode_row(*t.tensor, row, values);
    for (std::size_t k = 0; k < tried.size(); ++k)
      powers[static_cast<std::size_t>(i) * tried.size() + k] = measure(t, row, values, tried[k]);
  });
  std::vector<Candidate> all;
  for (std::size_t k = 0; k < tried.size(); ++k) {
    Power sum;
    for (std::size_t i = k; i < powers.size(); i += tried.size())
      sum.error += powers[i].error, sum.signal += powers[i].signal;
    all.push_back({tried[k], row_bytes(tried[k], t.tensor->n_values()), sum.signal > 0 ? sum.error / sum.signal : 0});
  }
  std::ranges::stable_sort(all, [](const Candidate& a, const Candidate& b) {
    return a.bytes != b.bytes ? a.bytes < b.bytes : a.error < b.error;
  });
  std::vector<Candidate> useful;
  for (const Candidate& c : all)
    if (useful.empty() || c.error < useful.back().error) useful.push_back(c);
  return useful;
}

std::vector<std::byte> encode(const OpenTensor& t, DType type, ThreadPool& pool) {
  const std::size_t bytes = row_bytes(type, t.columns());
  std::vector<std::byte> blocks(bytes * static_cast<std::size_t>(t.rows()));
  pool.parallel_ranges(t.rows(), std::max<std::int64_t>(1, 16384 / t.columns()),
                       [&](std::int64_t begin, std::int64_t end) {
                         std::vector<float> values(static_cast<std::size_t>(t.columns()));
                         for (std::int64_t r = begin; r < end; ++r) {
                           decode_row(*t.tensor, r, values);
                           quant::find(type)->encode(values.data(), blocks.data() + static_cast<std::size_t>(r) * bytes,
                                                     t.columns(), t.importance_of(r), quant::Effort::standard);
                         }
                       });
  return blocks;
}

}  // namespace mtmd::quality
