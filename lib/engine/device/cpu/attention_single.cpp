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

/// One chunk of one query: scores of all heads into p [n_heads, kLongestChunk], then, with the weights there, sums of
/// values into the partials. Rows are read in the order in which they lie, a tile at a time.
class Chunk {
 public:
  Chunk(const OpKernels& ops, const AttentionOptions& o, const AttentionRun& run, KeyRange keys)
      : ops_(ops), kernels_(*ops.attention), o_(o), run_(run), keys_(keys), group_(o.n_heads / o.n_kv_heads) {}

  void run(const Partials& partials, std::int64_t query, std::int64_t chunk) const {
    Scratch& scratch = Scratch::mine();
    const Scratch::Frame frame(scratch);
    float* converted = scratch.take<float>(kTile * o_.n_kv_heads * std::max(o_.key_dim, o_.value_dim));
    float* p = scratch.take<float>(o_.n_heads * kLongestChunk);
    for (std::int64_t key = keys_.begin; key < keys_.end;) key += scores(key, p + key - keys_.begin, converted);
    for (std::int64_t head = 0; head < o_.n_heads; ++head) {
      float* part = partials.at(query, head, chunk);
      part[1] = kernels_.softmax_row(p + head * kLongestChunk, keys_.end - keys_.begin, o_.softcap, &part[0]);
      std::fill(part + 2, part + 2 + o_.value_dim, 0.0f);
    }
    float* sums = partials.at(query, 0, chunk) + 2;
    const std::int64_t pitch = partials.at(query, 1, chunk) - partials.at(query, 0, chunk);
    for (std::int64_t key = keys_.begin; key < keys_.end;)
      key += weigh(key, p + key - keys_.begin, sums, pitch, converted);
  }

 private:
  /// Both return the number of keys done.
  std::int64_t scores(std::int64_t key, float* p, float* converted) const {
    std::int64_t n = std::min<std::int64_t>(kTile, keys_.end - key);
    if (o_.key_dim % kernels_.lanes == 0) {
      if (const std::uint16_t* rows = run_.keys.half_rows(key, n)) {
        for (std::int64_t h = 0; h < o_.n_kv_heads; ++h)
          kernels_.dots_f16(p + h * group_ * kLongestChunk, kLongestChunk, run_.q.data + h * group_ * o_.key_dim,
                            group_, rows + h * o_.key_dim, run_.keys.half_stride(), n, o_.key_dim, o_.scale);
        return n;
      }
    }
    run_.keys.convert(ops_, o_.n_kv_heads, key, n, converted);
    for (std::int64_t head = 0; head < o_.n_heads; ++head)
      kernels_.dots(p + head * kLongestChunk, run_.q.data + head * o_.key_dim,
                    converted + head / group_ * n * o_.key_dim, o_.key_dim, n, o_.key_dim, o_.scale);
    return n;
  }

  std::int64_t weigh(std::int64_t key, const float* p, float* sums, std::int64_t pitch, float* converted) const {
    std::int64_t n = std::min<std::int64_t>(kTile, keys_.end - key);
    if (o_.value_dim % kernels_.lanes == 0) {
      if (const std::uint16_t* rows = run_.values.half_rows(key, n)) {
        for (std::int64_t h = 0; h < o_.n_kv_heads; ++h)
          kernels_.add_weighted_f16(sums + h * group_ * pitch, pitch, p + h * group_ * kLongestChunk, kLongestChunk,
                                    group_, rows + h * o_.value_dim, run_.values.half_stride(), n, o_.value_dim);
        return n;
      }
    }
    run_.values.convert(ops_, o_.n_kv_heads, key, n, converted);
    for (std::int64_t head = 0; head < o_.n_heads; ++head)
      kernels_.add_weighted(sums + head * pitch, p + head * kLongestChunk, converted + head / group_ * n * o_.value_dim,
                            o_.value_dim, n, o_.value_dim);
    return n;
  }

  const OpKernels& ops_;
  const AttentionKernels& kernels_;
  const AttentionOptions& o_;
  const AttentionRun& run_;
  KeyRange keys_;
  std::int64_t group_;
};

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
      Chunk(ops, options, run, chunk_of(run.ranges[0], chunk)).run(partials, query, chunk);
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
