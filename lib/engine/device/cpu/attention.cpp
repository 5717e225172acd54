#include "engine/device/cpu/attention.h"

#include <vector>

#include "engine/device/cpu/cpu_device.h"

namespace mtmd {
namespace {

/// From this many queries on, packing keys and values for tiles pays.
constexpr std::int64_t kFewestForTiles = 4;

}  // namespace

void CpuDevice::do_attention(Tensor y, Tensor q, Tensor k, Tensor v, std::span<const KeyRange> ranges,
                             const AttentionOptions& options) {
  const cpu::KvSide keys(k, options.key_dim), values(v, options.value_dim);
  if (q.rows >= kFewestForTiles) {
    cpu::attend_tiles(pool_, ops(), options, {y, q, ranges, keys, values});
    return;
  }
  for (std::int64_t i = 0; i < q.rows; ++i) {
    const cpu::AttentionRun run{y.rows_at(i, 1), q.rows_at(i, 1), ranges.subspan(i, 1), keys, values};
    cpu::attend_single(pool_, ops(), options, {&run, 1});
  }
}

void CpuDevice::do_attention(Tensor y, Tensor q, const KvLayer& kv, std::span<const PagedQuery> queries,
                             const AttentionOptions& options) {
  // Kept between calls: generation should not allocate.
  static thread_local std::vector<KeyRange> ranges;
  static thread_local std::vector<cpu::AttentionRun> singles;
  ranges.clear(), singles.clear();
  for (const PagedQuery& query : queries) ranges.push_back(query.range);

  const std::int64_t n = q.rows;
  for (std::int64_t i = 0, end; i < n; i = end) {
    const std::span<const std::int32_t> blocks = queries[i].blocks;
    const auto same_table = [&](const PagedQuery& other) {
      return other.blocks.data() == blocks.data() && other.blocks.size() == blocks.size();
    };
    for (end = i + 1; end < n && same_table(queries[end]);) ++end;
    const cpu::KvSide keys(kv.type, kv.k, kv.key_cols, options.key_dim, kv.block_tokens, blocks);
    const cpu::KvSide values(kv.type, kv.v, kv.value_cols, options.value_dim, kv.block_tokens, blocks);
    const auto run = [&](std::int64_t first, std::int64_t count) {
      return cpu::AttentionRun{y.rows_at(first, count), q.rows_at(first, count),
                               std::span<const KeyRange>(ranges).subspan(first, count), keys, values};
    };
    if (end - i >= kFewestForTiles)
      cpu::attend_tiles(pool_, ops(), options, run(i, end - i));
    else
      for (std::int64_t j = i; j < end; ++j) singles.push_back(run(j, 1));
  }
  if (!singles.empty()) cpu::attend_single(pool_, ops(), options, singles);
}

}  // namespace mtmd
