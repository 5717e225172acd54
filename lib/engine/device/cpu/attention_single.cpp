#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/base/checked.h"
#include "engine/device/cpu/attention.h"
#include "engine/device/cpu/attention_kernels.h"
#include "engine/device/cpu/scratch.h"

namespace mtmd::cpu {
namespace {

/// Rows converted at a time, all heads of them: they are read from memory as they lie, and stay in the cache.
constexpr std::int64_t kTile = 64;
/// Keys per task at most: enough to hide what a task costs.
constexpr std::int64_t kLongestChunk = 256;

/// Keys per task: short sequences are spread too. Depends on the sequence alone, so the result does.
std::int64_t chunk_size(KeyRange range) {
  return std::clamp(round_up<std::int64_t>((range.end - range.begin) / 16, kTile), kTile, kLongestChunk);
}

std::int64_t chunk_count(KeyRange range) {
  const std::int64_t size = chunk_size(range);
  return range.end <= range.begin ? 0 : ceil_div<std::int64_t>(range.end, size) - range.begin / size;
}

/// Part `c` of a range; chunks begin at multiples of their size so that pages and chunks meet.
KeyRange chunk_of(KeyRange range, std::int64_t c) {
  const std::int64_t size = chunk_size(range), first = (range.begin / size + c) * size;
  return {static_cast<std::int32_t>(std::max<std::int64_t>(first, range.begin)),
          static_cast<std::int32_t>(std::min<std::int64_t>(first + size, range.end))};
}

/// What a task leaves behind for one head: maximum, sum of weights, weighted values.
struct Partials {
  float* data;
  std::int64_t n_heads, n_chunks, value_dim;
  float* at(std::int64_t query, std::int64_t head, std::int64_t chunk) const {
    return data + ((query * n_heads + head) * n_chunks + chunk) * (value_dim + 2);
  }
};

void attend_chunk(const OpKernels& ops, const AttentionOptions& o, const AttentionRun& run, KeyRange keys,
                  const Partials& partials, std::int64_t query, std::int64_t chunk) {
  const AttentionKernels& kernels = *ops.attention;
  const std::int64_t group = o.n_heads / o.n_kv_heads;
  Scratch& scratch = Scratch::mine();
  const Scratch::Frame frame(scratch);
  float* converted = scratch.take<float>(kTile * o.n_kv_heads * std::max(o.key_dim, o.value_dim));
  float* p = scratch.take<float>(o.n_heads * kLongestChunk);

  for (std::int64_t key = keys.begin; key < keys.end; key += kTile) {
    const std::int64_t n = std::min<std::int64_t>(kTile, keys.end - key);
    run.keys.convert(ops, o.n_kv_heads, key, n, converted);
    for (std::int64_t head = 0; head < o.n_heads; ++head)
      kernels.dots(p + head * kLongestChunk + key - keys.begin, run.q.data + head * o.key_dim,
                   converted + head / group * n * o.key_dim, o.key_dim, n, o.key_dim, o.scale);
  }
  for (std::int64_t head = 0; head < o.n_heads; ++head) {
    float* part = partials.at(query, head, chunk);
    part[1] = kernels.softmax_row(p + head * kLongestChunk, keys.end - keys.begin, o.softcap, &part[0]);
    std::fill(part + 2, part + 2 + o.value_dim, 0.0f);
  }
  for (std::int64_t key = keys.begin; key < keys.end; key += kTile) {
    const std::int64_t n = std::min<std::int64_t>(kTile, keys.end - key);
    run.values.convert(ops, o.n_kv_heads, key, n, converted);
    for (std::int64_t head = 0; head < o.n_heads; ++head)
      kernels.add_weighted(partials.at(query, head, chunk) + 2, p + head * kLongestChunk + key - keys.begin,
                           converted + head / group * n * o.value_dim, o.value_dim, n, o.value_dim);
  }
}

/// y = sum of the parts brought to one maximum, in the order of the keys. sinks: see AttentionOptions.
void merge(float* y, const Partials& partials, std::int64_t query, std::int64_t head, std::int64_t n_chunks,
           Vector sinks) {
  float highest = sinks.empty() ? -std::numeric_limits<float>::infinity() : sinks[head], total = 0.0f;
  for (std::int64_t c = 0; c < n_chunks; ++c) highest = std::max(highest, partials.at(query, head, c)[0]);
  if (!sinks.empty()) total = std::exp(sinks[head] - highest);
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
  const std::int64_t n_queries = std::ssize(runs);
  std::int64_t most_chunks = 0;
  for (const AttentionRun& run : runs) most_chunks = std::max(most_chunks, chunk_count(run.ranges[0]));
  Partials partials{nullptr, options.n_heads, most_chunks, options.value_dim};
  Scratch& scratch = Scratch::mine();
  const Scratch::Frame frame(scratch);
  partials.data = scratch.take<float>(n_queries * partials.n_heads * most_chunks * (partials.value_dim + 2));

  pool.parallel_for(n_queries * most_chunks, [&](std::int64_t task) {
    const std::int64_t chunk = task % most_chunks, query = task / most_chunks;
    const AttentionRun& run = runs[query];
    if (chunk < chunk_count(run.ranges[0]))
      attend_chunk(ops, options, run, chunk_of(run.ranges[0], chunk), partials, query, chunk);
  });
  const std::int64_t grain =
      std::max<std::int64_t>(1, (1 << 14) / (std::max<std::int64_t>(1, most_chunks) * options.value_dim));
  pool.parallel_ranges(n_queries * options.n_heads, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t query = i / options.n_heads, head = i % options.n_heads;
      merge(runs[query].y.data + head * options.value_dim, partials, query, head, chunk_count(runs[query].ranges[0]),
            options.sinks);
    }
  });
}

}  // namespace mtmd::cpu
