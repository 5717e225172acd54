#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/base/checked.h"
#include "engine/device/cpu/attention.h"
#include "engine/device/cpu/attention_ways.h"
#include "engine/device/cpu/scratch.h"

namespace mtmd::cpu {
namespace {

/// Packed keys and values of one pass: 8 MB, which stay in the cache behind the cores. More heads share a pass when
/// keys are few, long sequences take several passes per head.
constexpr std::int64_t kPassBytes = std::int64_t{8} << 20;

/// Way: how packed operands look and are multiplied (attention_ways.h).
template <class Way>
class Tiles {
 public:
  Tiles(ThreadPool& pool, const OpKernels& ops, const AttentionOptions& options, const AttentionRun& run);
  void run();

 private:
  static constexpr std::int64_t kQueries = Way::kQueryBlock, kKeys = Way::kKeyBlock;

  std::int64_t state_floats() const { return kQueries * (padded_dv_ + 2); }
  TileState state_at(float* data) const {
    return {data, data + kQueries * padded_dv_, data + kQueries * (padded_dv_ + 1)};
  }
  void clear(const TileState& state) const;

  void pass(std::int64_t first_head, std::int64_t n_heads, std::int64_t first_key, std::int64_t end_key);
  void pack(std::int64_t head, std::int64_t slot, std::int64_t key, std::int64_t n_keys) const;
  void rows(std::int64_t head, std::int64_t slot, std::int64_t block, std::int64_t first_key,
            std::int64_t end_key) const;
  void finish(const TileState& state, std::int64_t head, std::int64_t first_row, std::int64_t n_rows) const;

  /// Rows of a kv head: the query heads that share it, query by query, so that neighbours see nearly the same keys.
  std::int64_t query_of(std::int64_t row) const { return row / group_; }
  std::int64_t head_of(std::int64_t kv_head, std::int64_t row) const { return kv_head * group_ + row % group_; }

  ThreadPool& pool_;
  const OpKernels& ops_;
  const AttentionOptions& options_;
  const AttentionRun& run_;
  const Way way_;
  std::int64_t group_, dk_, dv_, padded_dv_, n_rows_, row_blocks_;
  std::int64_t begin_key_ = 0, end_key_ = 0;  ///< union of all ranges, begin rounded down to a tile
  std::byte* packed_ = nullptr;               ///< [slot][keys of the tile, values of the tile]
  float* states_ = nullptr;                   ///< only when a head takes several passes
};

template <class Way>
Tiles<Way>::Tiles(ThreadPool& pool, const OpKernels& ops, const AttentionOptions& options, const AttentionRun& run)
    : pool_(pool),
      ops_(ops),
      options_(options),
      run_(run),
      way_(ops, options),
      group_(options.n_heads / options.n_kv_heads),
      dk_(options.key_dim),
      dv_(options.value_dim),
      padded_dv_(way_.padded_dv()),
      n_rows_(run.q.rows * group_),
      row_blocks_(ceil_div(n_rows_, kQueries)) {
  begin_key_ = std::numeric_limits<std::int64_t>::max();
  for (const KeyRange& r : run.ranges) {
    if (r.end <= r.begin) continue;
    begin_key_ = std::min<std::int64_t>(begin_key_, r.begin / kKeys * kKeys);
    end_key_ = std::max<std::int64_t>(end_key_, r.end);
  }
  begin_key_ = std::min(begin_key_, end_key_);
}

template <class Way>
void Tiles<Way>::run() {
  const std::int64_t blocks = ceil_div(end_key_ - begin_key_, kKeys);
  const std::int64_t pass_blocks = std::max<std::int64_t>(1, kPassBytes / way_.block_bytes());
  const std::int64_t n_kv = options_.n_kv_heads;
  if (blocks <= pass_blocks) {
    const std::int64_t heads = std::min(n_kv, pass_blocks / std::max<std::int64_t>(1, blocks));
    for (std::int64_t h = 0; h < n_kv; h += heads) pass(h, std::min(heads, n_kv - h), begin_key_, end_key_);
    return;
  }
  Scratch& scratch = Scratch::mine();
  const Scratch::Frame frame(scratch);
  states_ = scratch.take<float>(row_blocks_ * state_floats());
  for (std::int64_t h = 0; h < n_kv; ++h) {
    for (std::int64_t b = 0; b < row_blocks_; ++b) clear(state_at(states_ + b * state_floats()));
    for (std::int64_t key = begin_key_; key < end_key_; key += pass_blocks * kKeys)
      pass(h, 1, key, std::min(end_key_, key + pass_blocks * kKeys));
  }
}

template <class Way>
void Tiles<Way>::clear(const TileState& state) const {
  std::fill(state.o, state.m, 0.0f);
  std::fill(state.m, state.l, -std::numeric_limits<float>::infinity());
  std::fill(state.l, state.l + kQueries, 0.0f);
}

template <class Way>
void Tiles<Way>::pass(std::int64_t first_head, std::int64_t n_heads, std::int64_t first_key, std::int64_t end_key) {
  const std::int64_t blocks = ceil_div(end_key - first_key, kKeys);
  Scratch& scratch = Scratch::mine();
  const Scratch::Frame frame(scratch);
  packed_ = scratch.take<std::byte>(n_heads * blocks * way_.block_bytes());
  pool_.parallel_for(n_heads * blocks, [&](std::int64_t slot) {
    const std::int64_t key = first_key + slot % blocks * kKeys;
    pack(first_head + slot / blocks, slot, key, std::min(kKeys, end_key - key));
  });
  pool_.parallel_for(n_heads * row_blocks_, [&](std::int64_t task) {
    const std::int64_t head = task / row_blocks_;
    // The last rows of a causal prompt have the most to do: they go first.
    rows(first_head + head, head * blocks, row_blocks_ - 1 - task % row_blocks_, first_key, end_key);
  });
}

template <class Way>
void Tiles<Way>::pack(std::int64_t head, std::int64_t slot, std::int64_t key, std::int64_t n_keys) const {
  std::byte* to = packed_ + slot * way_.block_bytes();
  Scratch& scratch = Scratch::mine();
  const Scratch::Frame frame(scratch);
  float* converted = scratch.take<float>(kKeys * std::max(dk_, dv_));
  way_.pack_keys(to, run_.keys.rows(ops_, head, key, n_keys, converted), n_keys);
  way_.pack_values(to, run_.values.rows(ops_, head, key, n_keys, converted), n_keys);
}

template <class Way>
void Tiles<Way>::rows(std::int64_t head, std::int64_t slot, std::int64_t block, std::int64_t first_key,
                      std::int64_t end_key) const {
  const std::int64_t first_row = block * kQueries, n_rows = std::min(kQueries, n_rows_ - first_row);
  Scratch& scratch = Scratch::mine();
  const Scratch::Frame frame(scratch);
  typename Way::Work work = way_.work(scratch);
  const TileState state = state_at(states_ ? states_ + block * state_floats() : scratch.take<float>(state_floats()));
  if (!states_) clear(state);
  KeyRange ranges[kQueries];
  for (std::int64_t r = 0; r < n_rows; ++r) {
    const std::int64_t row = first_row + r;
    ranges[r] = run_.ranges[query_of(row)];
    way_.pack_query(work, r, run_.q.row(query_of(row)) + head_of(head, row) * dk_);
  }
  for (std::int64_t key = first_key; key < end_key; key += kKeys, ++slot) {
    const std::int64_t n_keys = std::min(kKeys, end_key - key);
    Visible visible[kQueries] = {};
    std::int64_t first = n_keys, last = 0;
    for (std::int64_t r = 0; r < n_rows; ++r) {
      const std::int64_t begin = std::clamp<std::int64_t>(ranges[r].begin - key, 0, n_keys);
      const std::int64_t end = std::clamp<std::int64_t>(ranges[r].end - key, 0, n_keys);
      visible[r] = {static_cast<std::int32_t>(begin), static_cast<std::int32_t>(end)};
      if (begin < end) first = std::min(first, begin), last = std::max(last, end);
    }
    if (first < last) way_.tile(state, work, packed_ + slot * way_.block_bytes(), visible, n_rows, first, last);
  }
  if (end_key == end_key_) finish(state, head, first_row, n_rows);
}

template <class Way>
void Tiles<Way>::finish(const TileState& state, std::int64_t head, std::int64_t first_row, std::int64_t n_rows) const {
  for (std::int64_t r = 0; r < n_rows; ++r) {
    float* y = run_.y.row(query_of(first_row + r)) + head_of(head, first_row + r) * dv_;
    const float l = state.l[r];
    float factor = l == 0.0f ? 0.0f : 1.0f / l;
    if (!options_.sinks.empty() && l != 0.0f) {  // the sink's share, at the row's maximum or its own
      const float sink = options_.sinks[static_cast<std::size_t>(head_of(head, first_row + r))], m = state.m[r];
      factor = sink <= m ? 1.0f / (l + std::exp(sink - m)) : std::exp(m - sink) / (l * std::exp(m - sink) + 1.0f);
    }
    ops_.scale(y, state.o + r * padded_dv_, factor, dv_);
  }
}

}  // namespace

void attend_tiles(ThreadPool& pool, const OpKernels& ops, const AttentionOptions& options, const AttentionRun& run) {
  if (Bf16Way::pays(ops, options.precision))
    Tiles<Bf16Way>(pool, ops, options, run).run();
  else
    Tiles<FloatWay>(pool, ops, options, run).run();
}

}  // namespace mtmd::cpu
