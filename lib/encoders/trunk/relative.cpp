#include "encoders/trunk/relative.h"

#include <algorithm>
#include <cassert>

#include "engine/device/rope_table.h"

namespace mtmd::encoders {
namespace {

AttentionOptions options_of(const RelativeHeads& heads, std::int64_t key_dim) {
  AttentionOptions options;
  options.n_heads = options.n_kv_heads = heads.n_heads;
  options.key_dim = static_cast<std::int32_t>(key_dim), options.value_dim = heads.head_dim;
  options.scale = heads.scale, options.softcap = heads.softcap;
  return options;
}

}  // namespace

NearDistances::NearDistances(Device& device, std::span<const float> lines, int period, const RelativeHeads& heads)
    : device_(&device), heads_(heads), period_(period) {
  const std::int64_t rows = std::ssize(lines) / heads.head_dim;
  shared_ = rows == 2 * period - 1;
  assert(shared_ || rows == std::int64_t{heads.n_heads} * (2 * period - 1));
  lines_ = Table(device, lines, rows, heads.head_dim);
}

// Rows of the same place in the period meet the same `period` rows of the table.
void NearDistances::add_scores(Tensor wide, Tensor q) const {
  const std::int64_t d = heads_.head_dim, all = wide.cols / heads_.n_heads, per_head = 2 * period_ - 1;
  for (std::int64_t place = 0; place < std::min<std::int64_t>(period_, q.rows); ++place) {
    const std::int64_t n = (q.rows - place + period_ - 1) / period_;
    for (std::int64_t head = 0; head < heads_.n_heads; ++head) {
      const Weight table = lines_.weight().rows_at((shared_ ? 0 : head * per_head) + period_ - 1 - place, period_);
      const Tensor from(q.row(place) + head * d, n, d, q.stride * period_);
      const Tensor to(wide.row(place) + head * all + d, n, period_, wide.stride * period_);
      device_->matmul(to, table, from);
    }
  }
}

void NearDistances::attend(Workspace& ws, Tensor y, Tensor q, Tensor k, Tensor v,
                           std::span<const KeyRange> ranges) const {
  const Workspace::Scope scope(ws);
  const std::int64_t d = heads_.head_dim, wide = d + period_, n_heads = heads_.n_heads;
  const Tensor wide_q = ws.tensor(q.rows, n_heads * wide), wide_k = ws.tensor(k.rows, n_heads * wide);
  for (std::int64_t head = 0; head < n_heads; ++head) {
    device_->copy(wide_q.cols_at(head * wide, d), q.cols_at(head * d, d));
    device_->copy(wide_k.cols_at(head * wide, d), k.cols_at(head * d, d));
  }
  add_scores(wide_q, q);
  for (std::int64_t j = 0; j < k.rows; ++j) {
    for (std::int64_t head = 0; head < n_heads; ++head) {
      float* unit = wide_k.row(j) + head * wide + d;
      std::fill_n(unit, period_, 0.0f);
      unit[j % period_] = 1.0f;
    }
  }
  device_->attention(y, wide_q, wide_k, v, ranges, options_of(heads_, wide));
}

SinusoidDistances::SinusoidDistances(gguf::Weights& weights, Device& device, const std::string& prefix,
                                     const RelativeHeads& heads)
    : device_(&device), heads_(heads) {
  const std::int64_t n = std::int64_t{heads.n_heads} * heads.head_dim, d = heads.head_dim;
  const auto bias = [&](const char* name) {
    return Table(device, weights.values(prefix + name, {heads.n_heads, d}), 1, n);
  };
  bias_u_ = bias("pos_bias_u"), bias_v_ = bias("pos_bias_v");
  const Vector w = weights.values(prefix + "linear_pos.weight", {n, kFeatures});
  std::vector<float> map(w.size());
  for (std::int64_t row = 0; row < n; ++row) {
    for (std::int64_t f = 0; f < kFeatures; ++f) {
      const float value = w[static_cast<std::size_t>(row * kFeatures + f)];
      const std::int64_t at = row / d * kFeatures + (f ^ 1);
      map[static_cast<std::size_t>(at * d + row % d)] = f % 2 == 0 ? -value : value;
    }
  }
  map_ = Table(device, map, std::int64_t{heads.n_heads} * kFeatures, d);
}

// With s, c the parts of W^T q for a sine and a cosine: s sin(i - j) + c cos(i - j) is the product of (cos j, sin j)
// with (c, -s) turned by i.
void SinusoidDistances::attend(Workspace& ws, Tensor y, Tensor q, Tensor k, Tensor v) const {
  const Workspace::Scope scope(ws);
  const std::int64_t d = heads_.head_dim, wide = kFeatures + d, n_heads = heads_.n_heads, n = q.rows;
  const Tensor wide_q = ws.tensor(n, n_heads * wide), wide_k = ws.tensor(n, n_heads * wide);
  const Tensor moved = ws.tensor(n, q.cols);
  const auto place = [&](Tensor to, Tensor from) {
    for (std::int64_t head = 0; head < n_heads; ++head)
      device_->copy(to.cols_at(head * wide + kFeatures, d), from.cols_at(head * d, d));
  };
  device_->add(moved, q, bias_u_.tensor());
  place(wide_q, moved);
  place(wide_k, k);
  device_->add(moved, q, bias_v_.tensor());
  for (std::int64_t head = 0; head < n_heads; ++head)
    device_->matmul(wide_q.cols_at(head * wide, kFeatures), map_.weight().rows_at(head * kFeatures, kFeatures),
                    moved.cols_at(head * d, d));
  std::vector<Position> positions;
  for (std::int64_t i = 0; i < n; ++i) positions.push_back({.t = static_cast<std::int32_t>(i)});
  RopeSpec waves;
  waves.n_dims = kFeatures, waves.base = 10000.0f;
  const RopeTable table = rope_table(waves, positions);
  device_->rope(wide_q, static_cast<std::int32_t>(wide), table, RopePairs::adjacent);
  for (std::int64_t j = 0; j < n; ++j) {
    for (std::int64_t f = 0; f < kFeatures; ++f) {
      const auto at = static_cast<std::size_t>(j * table.pairs + f / 2);
      const float value = f % 2 == 0 ? table.cos[at] : table.sin[at];
      for (std::int64_t head = 0; head < n_heads; ++head) wide_k.row(j)[head * wide + f] = value;
    }
  }
  const std::vector<KeyRange> ranges(static_cast<std::size_t>(n), {0, static_cast<std::int32_t>(n)});
  device_->attention(y, wide_q, wide_k, v, ranges, options_of(heads_, wide));
}

}  // namespace mtmd::encoders
