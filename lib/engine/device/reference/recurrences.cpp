// Convolutions and delta rules along a sequence, token by token.
#include <cmath>
#include <vector>

#include "engine/device/reference/reference_device.h"
#include "engine/quant/quant.h"

namespace mtmd {

void ReferenceDevice::do_causal_conv(Tensor y, const KvLayer& kv, std::span<const PagedQuery> queries, Vector kernel) {
  const std::int64_t taps = std::ssize(kernel) / kv.key_cols;
  const std::size_t bytes = row_bytes(kv.type, kv.key_cols);
  std::vector<float> key(static_cast<std::size_t>(kv.key_cols));
  for (std::int64_t i = 0; i < y.rows; ++i) {
    const auto [begin, end] = queries[i].range;
    std::vector<double> sum(key.size());
    for (std::int64_t j = 0; j < taps; ++j) {
      const std::int64_t position = end - taps + j;
      if (position < begin) continue;
      const std::size_t row =
          std::size_t(queries[i].blocks[position / kv.block_tokens]) * kv.block_tokens + position % kv.block_tokens;
      quant::find(kv.type)->decode(kv.k + row * bytes, key.data(), kv.key_cols);
      for (std::size_t c = 0; c < sum.size(); ++c) sum[c] += double{kernel[c * taps + j]} * key[c];
    }
    for (std::size_t c = 0; c < sum.size(); ++c) y.row(i)[c] = static_cast<float>(sum[c]);
  }
}

void ReferenceDevice::do_delta_rule(Tensor y, Tensor q, Tensor k, Tensor v, Tensor decay, Tensor beta, Tensor state,
                                    const DeltaHeads& h) {
  for (std::int32_t head = 0; head < h.n_value_heads; ++head) {
    const std::int64_t key_at = std::int64_t{head / (h.n_value_heads / h.n_key_heads)} * h.key_dim,
                       value_at = std::int64_t{head} * h.value_dim;
    const Tensor s = state.rows_at(std::int64_t{head} * h.key_dim, h.key_dim);
    for (std::int64_t t = 0; t < y.rows; ++t) {
      const float* key = k.row(t) + key_at;
      const float* query = q.row(t) + key_at;
      for (std::int32_t c = 0; c < h.value_dim; ++c) {
        double held = 0.0, out = 0.0;
        for (std::int32_t i = 0; i < h.key_dim; ++i) held += double{key[i]} * s.row(i)[c] * decay.row(t)[head];
        const double change = beta.row(t)[head] * (v.row(t)[value_at + c] - held);
        for (std::int32_t i = 0; i < h.key_dim; ++i) {
          float& cell = s.row(i)[c];
          cell = static_cast<float>(double{cell} * decay.row(t)[head] + key[i] * change);
          out += double{query[i]} * cell;
        }
        y.row(t)[value_at + c] = static_cast<float>(out);
      }
    }
  }
}

}  // namespace mtmd
