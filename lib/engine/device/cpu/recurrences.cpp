// Convolutions and delta rules along a sequence.
#include <algorithm>

#include "engine/device/cpu/attention_kernels.h"
#include "engine/device/cpu/cpu_device.h"
#include "engine/device/cpu/kv_rows.h"
#include "engine/device/cpu/scratch.h"

namespace mtmd {

void CpuDevice::do_causal_conv(Tensor y, const KvLayer& kv, std::span<const PagedQuery> queries, Vector kernel) {
  const std::int64_t n = kv.key_cols, taps = std::ssize(kernel) / n;
  cpu::Scratch& mine = cpu::Scratch::mine();
  const cpu::Scratch::Frame outer(mine);
  float* by_tap = mine.take<float>(taps * n);  // [taps, n]: a row multiplies a row
  for (std::int64_t c = 0; c < n; ++c)
    for (std::int64_t j = 0; j < taps; ++j) by_tap[j * n + c] = kernel[c * taps + j];
  for_rows(y.rows, taps * n, [&](std::int64_t first, std::int64_t last) {
    cpu::Scratch& scratch = cpu::Scratch::mine();
    const cpu::Scratch::Frame frame(scratch);
    float* key = scratch.take<float>(n);
    for (std::int64_t i = first; i < last; ++i) {
      const auto [begin, end] = queries[i].range;
      const cpu::KvSide keys(kv.type, kv.k, n, n, kv.block_tokens, queries[i].blocks);
      std::fill_n(y.row(i), n, 0.0f);
      for (std::int64_t j = std::max<std::int64_t>(0, taps - (end - begin)); j < taps; ++j) {
        keys.convert(ops(), 1, end - taps + j, 1, key);
        ops().multiply(key, key, by_tap + j * n, n);
        ops().add(y.row(i), y.row(i), key, n);
      }
    }
  });
}

void CpuDevice::do_delta_rule(Tensor y, Tensor q, Tensor k, Tensor v, Tensor decay, Tensor beta, Tensor state,
                              const DeltaHeads& h) {
  const auto add_weighted = ops().attention->add_weighted;
  pool_.parallel_for(h.n_value_heads, [&](std::int64_t head) {
    cpu::Scratch& scratch = cpu::Scratch::mine();
    const cpu::Scratch::Frame frame(scratch);
    float* change = scratch.take<float>(h.value_dim);
    const std::int64_t key_at = head / (h.n_value_heads / h.n_key_heads) * h.key_dim, value_at = head * h.value_dim;
    const Tensor s = state.rows_at(head * h.key_dim, h.key_dim);
    for (std::int64_t t = 0; t < y.rows; ++t) {
      const float keep = decay.row(t)[head];
      const float* key = k.row(t) + key_at;
      std::fill_n(change, h.value_dim, 0.0f);  // what S holds for this key
      add_weighted(change, key, s.data, s.stride, h.key_dim, h.value_dim);
      for (std::int32_t c = 0; c < h.value_dim; ++c)
        change[c] = beta.row(t)[head] * (v.row(t)[value_at + c] - keep * change[c]);
      for (std::int32_t i = 0; i < h.key_dim; ++i) ops().scale_add(s.row(i), keep, change, key[i], h.value_dim);
      std::fill_n(y.row(t) + value_at, h.value_dim, 0.0f);
      add_weighted(y.row(t) + value_at, q.row(t) + key_at, s.data, s.stride, h.key_dim, h.value_dim);
    }
  });
}

}  // namespace mtmd
