// Attention as written down: all scores of one query and head, softmax, weighted sum of values.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "engine/device/reference/reference_device.h"
#include "engine/quant/quant.h"

namespace mtmd {
namespace {

/// One query over keys and values whose rows are `stride` floats apart; position j is row j.
void attend(Tensor y, Tensor q, std::int64_t query, KeyRange range, const float* k, std::int64_t k_stride,
            const float* v, std::int64_t v_stride, const AttentionOptions& o) {
  const std::int64_t n = std::max(0, range.end - range.begin);
  std::vector<double> p(n), sum(o.value_dim);
  for (std::int32_t head = 0; head < o.n_heads; ++head) {
    const std::int32_t kv_head = head / (o.n_heads / o.n_kv_heads);
    const double sink = o.sinks.empty() ? -std::numeric_limits<double>::infinity() : o.sinks[head];
    double highest = sink;
    for (std::int64_t j = 0; j < n; ++j) {
      double s = 0.0;
      for (std::int32_t i = 0; i < o.key_dim; ++i)
        s += double{q.row(query)[head * o.key_dim + i]} * k[(range.begin + j) * k_stride + kv_head * o.key_dim + i];
      s *= o.scale;
      p[j] = o.softcap > 0.0f ? o.softcap * std::tanh(s / o.softcap) : s;
      highest = std::max(highest, p[j]);
    }
    double total = o.sinks.empty() ? 0.0 : std::exp(sink - highest);
    std::fill(sum.begin(), sum.end(), 0.0);
    for (std::int64_t j = 0; j < n; ++j) {
      p[j] = std::exp(p[j] - highest);
      total += p[j];
      for (std::int32_t i = 0; i < o.value_dim; ++i)
        sum[i] += p[j] * v[(range.begin + j) * v_stride + kv_head * o.value_dim + i];
    }
    for (std::int32_t i = 0; i < o.value_dim; ++i)
      y.row(query)[head * o.value_dim + i] = n == 0 ? 0.0f : static_cast<float>(sum[i] / total);
  }
}

/// Positions [0, end) of a paged sequence, decoded one behind the other.
std::vector<float> gather(const KvLayer& kv, const std::byte* rows, std::int32_t cols, const PagedQuery& query) {
  const std::size_t bytes = row_bytes(kv.type, cols);
  std::vector<float> values(static_cast<std::size_t>(std::max(0, query.range.end)) * cols);
  for (std::int32_t i = std::max(0, query.range.begin); i < query.range.end; ++i) {
    const std::size_t row = std::size_t(query.blocks[i / kv.block_tokens]) * kv.block_tokens + i % kv.block_tokens;
    quant::find(kv.type)->decode(rows + row * bytes, values.data() + std::size_t(i) * cols, cols);
  }
  return values;
}

}  // namespace

void ReferenceDevice::do_attention(Tensor y, Tensor q, Tensor k, Tensor v, std::span<const KeyRange> ranges,
                                   const AttentionOptions& options) {
  for (std::int64_t i = 0; i < q.rows; ++i) attend(y, q, i, ranges[i], k.data, k.stride, v.data, v.stride, options);
}

void ReferenceDevice::do_attention(Tensor y, Tensor q, const KvLayer& kv, std::span<const PagedQuery> queries,
                                   const AttentionOptions& options) {
  for (std::int64_t i = 0; i < q.rows; ++i) {
    const std::vector<float> k = gather(kv, kv.k, kv.key_cols, queries[i]);
    const std::vector<float> v = gather(kv, kv.v, kv.value_cols, queries[i]);
    attend(y, q, i, queries[i].range, k.data(), kv.key_cols, v.data(), kv.value_cols, options);
  }
}

void ReferenceDevice::do_kv_store(const KvLayer& kv, Tensor k, Tensor v, std::span<const std::int64_t> rows) {
  const quant::Format* format = quant::find(kv.type);
  for (std::int64_t i = 0; i < k.rows; ++i) {
    const auto store = [&](const float* row, std::byte* cache, std::int64_t n) {
      format->encode(row, cache + std::size_t(rows[i]) * row_bytes(kv.type, n), n, nullptr, quant::Effort::standard);
    };
    store(k.row(i), kv.k, kv.key_cols);
    store(v.row(i), kv.v, kv.value_cols);
  }
}

}  // namespace mtmd
