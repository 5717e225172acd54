#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/base/checked.h"
#include "engine/device/cpu/attention.h"
#include "engine/device/cpu/attention_kernels.h"
#include "engine/device/cpu/scratch.h"

namespace mtmd::cpu {
namespace {

/// Packed keys and values of one pass: 8 MB, which stay in the cache behind the cores. More heads share a pass when
/// keys are few, long sequences take several passes per head.
constexpr std::int64_t kPassFloats = std::int64_t{2} << 20;

class Tiles {
 public:
  Tiles(ThreadPool& pool, const OpKernels& ops, const AttentionOptions& options, const AttentionRun& run);
  void run();

 private:
  /// Running result of one block of rows: weighted values [kQueryBlock, padded_dv], maximum and sum of weights per row.
  struct State {
    float *o, *m, *l;
  };
  std::int64_t state_floats() const { return kQueryBlock * (padded_dv_ + 2); }
  State state_at(float* data) const {
    return {data, data + kQueryBlock * padded_dv_, data + kQueryBlock * (padded_dv_ + 1)};
  }
  void clear(const State& state) const;

  void pass(std::int64_t first_head, std::int64_t n_heads, std::int64_t first_key, std::int64_t end_key);
  void pack(std::int64_t head, std::int64_t slot, std::int64_t key, std::int64_t n_keys) const;
  void rows(std::int64_t head, std::int64_t slot, std::int64_t block, std::int64_t first_key,
            std::int64_t end_key) const;
  void tile(const State& state, const float* q, float* s, float* alpha, const KeyRange* ranges, std::int64_t n_rows,
            const float* k, std::int64_t key, std::int64_t n_keys) const;
  void finish(const State& state, std::int64_t head, std::int64_t first_row, std::int64_t n_rows) const;

  /// Rows of a kv head: the query heads that share it, query by query, so that neighbours see nearly the same keys.
  std::int64_t query_of(std::int64_t row) const { return row / group_; }
  std::int64_t head_of(std::int64_t kv_head, std::int64_t row) const { return kv_head * group_ + row % group_; }

  ThreadPool& pool_;
  const OpKernels& ops_;
  const AttentionKernels& kernels_;
  const AttentionOptions& options_;
  const AttentionRun& run_;
  std::int64_t group_, dk_, dv_, padded_dv_, n_rows_, row_blocks_;
  std::int64_t begin_key_ = 0, end_key_ = 0;  ///< union of all ranges, begin rounded down to a tile
  float* packed_ = nullptr;                   ///< [slot][keys of the tile, values of the tile]
  float* states_ = nullptr;                   ///< only when a head takes several passes
};

Tiles::Tiles(ThreadPool& pool, const OpKernels& ops, const AttentionOptions& options, const AttentionRun& run)
    : pool_(pool),
      ops_(ops),
      kernels_(*ops.attention),
      options_(options),
      run_(run),
      group_(options.n_heads / options.n_kv_heads),
      dk_(options.key_dim),
      dv_(options.value_dim),
      padded_dv_(round_up(dv_, kernels_.lanes)),
      n_rows_(run.q.rows * group_),
      row_blocks_(ceil_div(n_rows_, kQueryBlock)) {
  begin_key_ = std::numeric_limits<std::int64_t>::max();
  for (const KeyRange& r : run.ranges) {
    if (r.end <= r.begin) continue;
    begin_key_ = std::min<std::int64_t>(begin_key_, r.begin / kKeyBlock * kKeyBlock);
    end_key_ = std::max<std::int64_t>(end_key_, r.end);
  }
  begin_key_ = std::min(begin_key_, end_key_);
}

void Tiles::run() {
  const std::int64_t blocks = ceil_div(end_key_ - begin_key_, kKeyBlock);
  const std::int64_t pass_blocks = std::max<std::int64_t>(1, kPassFloats / (kKeyBlock * (dk_ + padded_dv_)));
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
    for (std::int64_t key = begin_key_; key < end_key_; key += pass_blocks * kKeyBlock)
      pass(h, 1, key, std::min(end_key_, key + pass_blocks * kKeyBlock));
  }
}

void Tiles::clear(const State& state) const {
  std::fill(state.o, state.m, 0.0f);
  std::fill(state.m, state.l, -std::numeric_limits<float>::infinity());
  std::fill(state.l, state.l + kQueryBlock, 0.0f);
}

void Tiles::pass(std::int64_t first_head, std::int64_t n_heads, std::int64_t first_key, std::int64_t end_key) {
  const std::int64_t blocks = ceil_div(end_key - first_key, kKeyBlock);
  Scratch& scratch = Scratch::mine();
  const Scratch::Frame frame(scratch);
  packed_ = scratch.take<float>(n_heads * blocks * kKeyBlock * (dk_ + padded_dv_));
  pool_.parallel_for(n_heads * blocks, [&](std::int64_t slot) {
    const std::int64_t key = first_key + slot % blocks * kKeyBlock;
    pack(first_head + slot / blocks, slot, key, std::min(kKeyBlock, end_key - key));
  });
  pool_.parallel_for(n_heads * row_blocks_, [&](std::int64_t task) {
    const std::int64_t head = task / row_blocks_;
    // The last rows of a causal prompt have the most to do: they go first.
    rows(first_head + head, head * blocks, row_blocks_ - 1 - task % row_blocks_, first_key, end_key);
  });
}

void Tiles::pack(std::int64_t head, std::int64_t slot, std::int64_t key, std::int64_t n_keys) const {
  float* to = packed_ + slot * kKeyBlock * (dk_ + padded_dv_);
  Scratch& scratch = Scratch::mine();
  const Scratch::Frame frame(scratch);
  float* converted = scratch.take<float>(kKeyBlock * std::max(dk_, dv_));
  const Rows k = run_.keys.rows(ops_, head, key, n_keys, converted);
  kernels_.pack_keys(to, k.data, k.stride, n_keys, dk_);
  const Rows v = run_.values.rows(ops_, head, key, n_keys, converted);
  kernels_.pack_values(to + kKeyBlock * dk_, v.data, v.stride, n_keys, dv_);
}

void Tiles::rows(std::int64_t head, std::int64_t slot, std::int64_t block, std::int64_t first_key,
                 std::int64_t end_key) const {
  const std::int64_t first_row = block * kQueryBlock, n_rows = std::min(kQueryBlock, n_rows_ - first_row);
  Scratch& scratch = Scratch::mine();
  const Scratch::Frame frame(scratch);
  float* s = scratch.take<float>(kQueryBlock * kKeyBlock);
  float* q = scratch.take<float>(kQueryBlock * dk_);
  float* alpha = scratch.take<float>(kQueryBlock);
  const State state = state_at(states_ ? states_ + block * state_floats() : scratch.take<float>(state_floats()));
  if (!states_) clear(state);
  KeyRange ranges[kQueryBlock];
  for (std::int64_t r = 0; r < kQueryBlock; ++r) {
    const std::int64_t row = first_row + r;
    ranges[r] = r < n_rows ? run_.ranges[query_of(row)] : KeyRange{};
    kernels_.pack_query(q, r, r < n_rows ? run_.q.row(query_of(row)) + head_of(head, row) * dk_ : nullptr, dk_,
                        options_.scale);
    alpha[r] = 0.0f;
  }
  for (std::int64_t key = first_key; key < end_key; key += kKeyBlock, ++slot)
    tile(state, q, s, alpha, ranges, n_rows, packed_ + slot * kKeyBlock * (dk_ + padded_dv_), key,
         std::min(kKeyBlock, end_key - key));
  if (end_key == end_key_) finish(state, head, first_row, n_rows);
}

void Tiles::tile(const State& state, const float* q, float* s, float* alpha, const KeyRange* ranges,
                 std::int64_t n_rows, const float* k, std::int64_t key, std::int64_t n_keys) const {
  Visible visible[kQueryBlock];
  std::int64_t first = n_keys, last = 0;
  for (std::int64_t r = 0; r < n_rows; ++r) {
    const std::int64_t begin = std::clamp<std::int64_t>(ranges[r].begin - key, 0, n_keys);
    const std::int64_t end = std::clamp<std::int64_t>(ranges[r].end - key, 0, n_keys);
    visible[r] = {static_cast<std::int32_t>(begin), static_cast<std::int32_t>(end)};
    if (begin < end) first = std::min(first, begin), last = std::max(last, end);
  }
  if (first >= last) return;
  kernels_.scores(s, q, k, n_rows, first, last, dk_);
  kernels_.softmax(s, visible, n_rows, first, last, options_.softcap, state.m, state.l, alpha);
  kernels_.accumulate(state.o, s, k + kKeyBlock * dk_, alpha, n_rows, first, last, padded_dv_);
}

void Tiles::finish(const State& state, std::int64_t head, std::int64_t first_row, std::int64_t n_rows) const {
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
  Tiles(pool, ops, options, run).run();
}

}  // namespace mtmd::cpu
