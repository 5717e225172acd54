#include "mtmd/quality/observing_device.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "engine/base/error.h"

namespace mtmd::quality {
namespace {

constexpr std::int64_t kRows = 16;  ///< added up in single precision before they join the sums
constexpr std::int64_t kCols = 32;  ///< side by side, a number that compilers turn into whole vectors

/// sums[c] += squares of column c of `rows` rows, kN columns at once
template <std::int64_t kN>
void add_block(double* sums, Tensor x, std::int64_t row, std::int64_t rows, std::int64_t c) {
  float part[kN] = {};
  for (std::int64_t i = 0; i < rows; ++i) {
    const float* from = x.row(row + i) + c;
    for (std::int64_t j = 0; j < kN; ++j) part[j] += from[j] * from[j];
  }
  for (std::int64_t j = 0; j < kN; ++j) sums[c + j] += double{part[j]};
}

/// sums[c] += sum over rows of x[r][c]^2
void add_squares(double* sums, Tensor x) {
  for (std::int64_t r = 0; r < x.rows; r += kRows) {
    const std::int64_t n = std::min(kRows, x.rows - r);
    std::int64_t c = 0;
    for (; c + kCols <= x.cols; c += kCols) add_block<kCols>(sums, x, r, n, c);
    for (; c < x.cols; ++c) add_block<1>(sums, x, r, n, c);
  }
}

Tensor sized(std::vector<float>& memory, std::int64_t rows, std::int64_t cols) {
  if (std::ssize(memory) < rows * cols) memory.resize(static_cast<std::size_t>(rows * cols));
  return {memory.data(), rows, cols};
}

Vector part_of(Vector bias, std::int64_t expert, std::int64_t n) {
  return bias.empty() ? bias : bias.subspan(static_cast<std::size_t>(expert * n), static_cast<std::size_t>(n));
}

/// Pairs (token, choice) by expert: [offsets[e], offsets[e + 1]) of `pairs`, in the order of the tokens.
struct ByExpert {
  std::vector<std::int64_t> offsets, pairs;
};

ByExpert by_expert(const MoeRouting& routing, std::int64_t n_experts) {
  ByExpert b{std::vector<std::int64_t>(static_cast<std::size_t>(n_experts) + 1, 0),
             std::vector<std::int64_t>(routing.expert.size())};
  for (const std::int32_t e : routing.expert) ++b.offsets[static_cast<std::size_t>(e) + 1];
  for (std::size_t e = 1; e < b.offsets.size(); ++e) b.offsets[e] += b.offsets[e - 1];
  std::vector<std::int64_t> at = b.offsets;
  for (std::size_t i = 0; i < routing.expert.size(); ++i)
    b.pairs[static_cast<std::size_t>(at[static_cast<std::size_t>(routing.expert[i])]++)] = static_cast<std::int64_t>(i);
  return b;
}

}  // namespace

struct ObservingDevice::Sums {
  std::int64_t columns = 0;
  std::vector<double> squares;     ///< [experts, columns]
  std::vector<std::int64_t> rows;  ///< [experts]
};

ObservingDevice::ObservingDevice(Device& inner, const gguf::File& file, const ObserveOptions& options)
    : ForwardingDevice(inner), names_(file), options_(options) {
  const gguf::TensorInfo* output = file.find("output.weight");
  if (!output) output = file.find("token_embd.weight");
  if (output) output_ = output->data.data();
}

ObservingDevice::~ObservingDevice() = default;

/// Parts of one tensor that are multiplied with the same rows (a fused q, k and v) count once: the first part does.
ObservingDevice::Sums* ObservingDevice::sums_of(const Weight& w, std::int64_t expert) {
  const auto [tensor, row] = names_.find(w);
  if (!tensor) return nullptr;
  const bool block = tensor->name.starts_with("blk.");
  if (!block && !(options_.output && w.data == output_)) return nullptr;
  const std::int64_t experts = tensor->shape.size() > 2 ? tensor->shape[0] : 1;
  if (row != expert * (tensor->n_values() / w.cols / experts)) return nullptr;
  std::unique_ptr<Sums>& sums = sums_[tensor];
  if (!sums) {
    sums = std::make_unique<Sums>();
    sums->columns = w.cols;
    sums->squares.resize(static_cast<std::size_t>(experts * w.cols));
    sums->rows.resize(static_cast<std::size_t>(experts));
  }
  return sums.get();
}

void ObservingDevice::observe(std::span<const Weight> weights, Tensor x, std::int64_t expert) {
  bool squared = false;
  for (const Weight& w : weights) {
    Sums* sums = sums_of(w, expert);
    if (!sums) continue;
    if (!squared) {
      squares_.assign(static_cast<std::size_t>(x.cols), 0.0);
      add_squares(squares_.data(), x);
      squared = true;
    }
    double* to = sums->squares.data() + expert * sums->columns;
    for (std::int64_t c = 0; c < x.cols; ++c) to[c] += squares_[static_cast<std::size_t>(c)];
    sums->rows[static_cast<std::size_t>(expert)] += x.rows;
  }
}

void ObservingDevice::do_matmul(std::span<const Product> products, Tensor x) {
  std::array<Weight, 8> weights;
  const std::size_t n = std::min(products.size(), weights.size());
  for (std::size_t i = 0; i < n; ++i) weights[i] = products[i].w;
  observe(std::span(weights).first(n), x, 0);
  if (products.size() > n) fail(ErrorCategory::internal, "{} products of one input", products.size());
  if (products.size() != 1 || products[0].w.data != output_) return inner().matmul(products, x);
  // The logits: only those that somebody looks at.
  const std::int64_t skipped = std::min(skip_, x.rows);
  skip_ -= skipped;
  const Product& p = products[0];
  inner().matmul(p.y.rows_at(skipped, x.rows - skipped), p.w, x.rows_at(skipped, x.rows - skipped), p.options);
}

void ObservingDevice::do_gated(Tensor y, const Weight& gate, const Weight& up, Tensor x, Activation act,
                               Vector gate_bias, Vector up_bias) {
  observe(std::array{gate, up}, x, 0);
  inner().gated(y, gate, up, x, act, gate_bias, up_bias);
}

void ObservingDevice::do_moe(Tensor y, const MoeWeights& w, const MoeRouting& routing, Tensor x) {
  const std::int64_t ff = w.n_ff(), d = x.cols;
  const ByExpert sorted = by_expert(routing, w.n_experts());
  const Tensor out = sized(out_, std::ssize(routing.expert), d);  // per pair, in the routing's order
  for (std::int64_t e = 0; e < w.n_experts(); ++e) {
    const auto begin = static_cast<std::size_t>(sorted.offsets[static_cast<std::size_t>(e)]);
    const auto end = static_cast<std::size_t>(sorted.offsets[static_cast<std::size_t>(e) + 1]);
    const auto pairs = std::span(sorted.pairs).subspan(begin, end - begin);
    if (pairs.empty()) continue;
    const Tensor in = sized(gathered_, std::ssize(pairs), d);
    for (std::size_t i = 0; i < pairs.size(); ++i)
      std::copy_n(x.row(pairs[i] / routing.n_used), d, in.row(static_cast<std::int64_t>(i)));
    const Weight gate = w.gate_of(e), up = w.up_of(e), down = w.down.expert(e);
    const Tensor hidden = sized(hidden_, in.rows, ff);
    observe(std::array{gate, up}, in, e);
    inner().gated(hidden, gate, up, in, w.activation, part_of(w.gate_bias, e, ff), part_of(w.up_bias, e, ff));
    observe(std::span(&down, 1), hidden, e);
    inner().matmul(in, down, hidden, {.bias = part_of(w.down_bias, e, d)});
    for (std::size_t i = 0; i < pairs.size(); ++i)
      std::copy_n(in.row(static_cast<std::int64_t>(i)), d, out.row(pairs[i]));
  }
  for (std::int64_t i = 0; i < out.rows; ++i) {
    float* to = y.row(i / routing.n_used);
    const float weight = routing.weight[static_cast<std::size_t>(i)];
    for (std::int64_t c = 0; c < d; ++c) to[c] += weight * out.row(i)[c];
  }
}

ImportanceMatrix ObservingDevice::seen() const {
  ImportanceMatrix m;
  for (const auto& [tensor, sums] : sums_) {
    Importance e;
    e.sums.assign(sums->squares.begin(), sums->squares.end());
    e.counts.assign(sums->rows.begin(), sums->rows.end());
    if (std::ranges::any_of(e.sums, [](float v) { return !std::isfinite(v); }))
      fail(ErrorCategory::failed,
           "the inputs of {} are not finite (NaN, or beyond the range of numbers): the model file or its conversion is "
           "broken; try `mtmd verify`",
           tensor->name);
    m.entries.emplace(tensor->name, std::move(e));
  }
  return m;
}

}  // namespace mtmd::quality
