#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/base/checked.h"
#include "engine/device/cpu/attention.h"
#include "engine/device/cpu/attention_kernels.h"
#include "engine/device/cpu/scratch.h"

namespace mtmd::cpu {
namespace {

/// Keys per task: long enough to hide what a task costs, short enough to spread one sequence over many cores.
constexpr std::int64_t kChunk = 256;

/// Part `c` of a range; chunks begin at multiples of kChunk so that pages and chunks meet.
KeyRange chunk_of(KeyRange range, std::int64_t c) {
  const std::int64_t first = range.begin / kChunk * kChunk + c * kChunk;
  return {static_cast<std::int32_t>(std::max<std::int64_t>(first, range.begin)),
          static_cast<std::int32_t>(std::min<std::int64_t>(first + kChunk, range.end))};
}

std::int64_t chunk_count(KeyRange range) {
  return range.end <= range.begin ? 0 : ceil_div<std::int64_t>(range.end, kChunk) - range.begin / kChunk;
}

/// What a task leaves behind for one head: maximum, sum of weights, weighted values.
struct Partials {
  float* data;
  std::int64_t n_heads, n_chunks, value_dim;
  float* at(std::int64_t query, std::int64_t head, std::int64_t chunk) const {
    return data + ((query * n_heads + head) * n_chunks + chunk) * (value_dim + 2);
  }
};

void attend_chunk(const OpKernels& ops, const AttentionOptions& o, const AttentionRun& run, std::int64_t kv_head,
                  KeyRange keys, const Partials& partials, std::int64_t query, std::int64_t chunk) {
  const AttentionKernels& kernels = *ops.attention;
  const std::int64_t group = o.n_heads / o.n_kv_heads, n = keys.end - keys.begin;
  Scratch& scratch = Scratch::mine();
  const Scratch::Frame frame(scratch);
  float* rows = scratch.take<float>(kChunk * (std::max(o.key_dim, o.value_dim) + group));
  float* p = rows + kChunk * std::max(o.key_dim, o.value_dim);
  const Rows k = run.keys.rows(ops, kv_head, keys.begin, n, rows);
  for (std::int64_t g = 0; g < group; ++g) {
    const std::int64_t head = kv_head * group + g;
    kernels.dots(p + g * kChunk, run.q.data + head * o.key_dim, k.data, k.stride, n, o.key_dim, o.scale);
    float* part = partials.at(query, head, chunk);
    part[1] = kernels.softmax_row(p + g * kChunk, n, o.softcap, &part[0]);
  }
  const Rows v = run.values.rows(ops, kv_head, keys.begin, n, rows);
  for (std::int64_t g = 0; g < group; ++g)
    kernels.weighted_sum(partials.at(query, kv_head * group + g, chunk) + 2, p + g * kChunk, v.data, v.stride, n,
                         o.value_dim);
}

/// y = sum of the parts brought to one maximum, in the order of the keys.
void merge(float* y, const Partials& partials, std::int64_t query, std::int64_t head, std::int64_t n_chunks) {
  float highest = -std::numeric_limits<float>::infinity(), total = 0.0f;
  for (std::int64_t c = 0; c < n_chunks; ++c) highest = std::max(highest, partials.at(query, head, c)[0]);
  std::fill(y, y + partials.value_dim, 0.0f);
  for (std::int64_t c = 0; c < n_chunks; ++c) {
    const float* part = partials.at(query, head, c);
    const float factor = part[0] == highest ? 1.0f : std::exp(part[0] - highest);
    total += factor * part[1];
    for (std::int64_t i = 0; i < partials.value_dim; ++i) y[i] += factor * part[2 + i];
  }
  if (total == 0.0f) return;
  for (std::int64_t i = 0; i < partials.value_dim; ++i) y[i] /= total;
}

}  // namespace

void attend_single(ThreadPool& pool, const OpKernels& ops, const AttentionOptions& options,
                   std::span<const AttentionRun> runs) {
  const std::int64_t n_queries = std::ssize(runs), n_kv = options.n_kv_heads;
  std::int64_t most_chunks = 0;
  for (const AttentionRun& run : runs) most_chunks = std::max(most_chunks, chunk_count(run.ranges[0]));
  Partials partials{nullptr, options.n_heads, most_chunks, options.value_dim};
  Scratch& scratch = Scratch::mine();
  const Scratch::Frame frame(scratch);
  partials.data = scratch.take<float>(n_queries * partials.n_heads * most_chunks * (partials.value_dim + 2));

  // Heads of one chunk lie next to each other in memory, so they follow each other here.
  pool.parallel_for(n_queries * most_chunks * n_kv, [&](std::int64_t task) {
    const std::int64_t kv_head = task % n_kv, chunk = task / n_kv % most_chunks, query = task / n_kv / most_chunks;
    const AttentionRun& run = runs[query];
    if (chunk < chunk_count(run.ranges[0]))
      attend_chunk(ops, options, run, kv_head, chunk_of(run.ranges[0], chunk), partials, query, chunk);
  });
  const std::int64_t grain =
      std::max<std::int64_t>(1, (1 << 14) / (std::max<std::int64_t>(1, most_chunks) * options.value_dim));
  pool.parallel_ranges(n_queries * options.n_heads, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t query = i / options.n_heads, head = i % options.n_heads;
      merge(runs[query].y.data + head * options.value_dim, partials, query, head, chunk_count(runs[query].ranges[0]));
    }
  });
}

}  // namespace mtmd::cpu
