// The two ways in which tiles of attention are packed and multiplied: f32, and bf16 in one or two parts.
#pragma once

#include <algorithm>
#include <cstddef>

#include "engine/base/checked.h"
#include "engine/device/cpu/attention_bf16.h"
#include "engine/device/cpu/attention_kernels.h"
#include "engine/device/cpu/bf16_dot.h"
#include "engine/device/cpu/kv_rows.h"
#include "engine/device/cpu/op_kernels.h"
#include "engine/device/cpu/scratch.h"

namespace mtmd::cpu {

/// Running result of one block of rows: weighted values [query block, padded dv], maximum and sum of weights per row.
struct TileState {
  float *o, *m, *l;
};

class FloatWay {
 public:
  static constexpr std::int64_t kQueryBlock = cpu::kQueryBlock, kKeyBlock = cpu::kKeyBlock;
  struct Work {
    float *q, *s, *alpha;
  };

  FloatWay(const OpKernels& ops, const AttentionOptions& options) : kernels_(*ops.attention), options_(options) {}

  std::int64_t padded_dv() const noexcept { return round_up<std::int64_t>(options_.value_dim, kernels_.lanes); }
  /// Of the keys and values of a block.
  std::int64_t block_bytes() const noexcept {
    return kKeyBlock * (options_.key_dim + padded_dv()) * static_cast<std::int64_t>(sizeof(float));
  }
  Work work(Scratch& scratch) const {
    const Work w{scratch.take<float>(kQueryBlock * options_.key_dim), scratch.take<float>(kQueryBlock * kKeyBlock),
                 scratch.take<float>(kQueryBlock)};
    std::fill_n(w.q, kQueryBlock * options_.key_dim, 0.0f);  // micro-kernels take whole groups of rows
    std::fill_n(w.alpha, kQueryBlock, 0.0f);
    return w;
  }
  void pack_query(Work& work, std::int64_t r, const float* q) const noexcept {
    kernels_.pack_query(work.q, r, q, options_.key_dim, options_.scale);
  }
  void pack_keys(std::byte* to, Rows rows, std::int64_t n) const noexcept {
    kernels_.pack_keys(keys(to), rows.data, rows.stride, n, options_.key_dim);
  }
  void pack_values(std::byte* to, Rows rows, std::int64_t n) const noexcept {
    kernels_.pack_values(values(to), rows.data, rows.stride, n, options_.value_dim);
  }
  void tile(const TileState& state, Work& work, std::byte* packed, const Visible* visible, std::int64_t n_rows,
            std::int64_t first, std::int64_t last) const noexcept {
    kernels_.scores(work.s, work.q, keys(packed), n_rows, first, last, options_.key_dim);
    kernels_.softmax(work.s, visible, n_rows, first, last, options_.softcap, state.m, state.l, work.alpha);
    kernels_.accumulate(state.o, work.s, values(packed), work.alpha, n_rows, first, last, padded_dv());
  }

 private:
  static float* keys(std::byte* packed) noexcept { return reinterpret_cast<float*>(packed); }
  float* values(std::byte* packed) const noexcept { return keys(packed) + kKeyBlock * options_.key_dim; }

  const AttentionKernels& kernels_;
  const AttentionOptions& options_;
};

class Bf16Way {
 public:
  static constexpr std::int64_t kQueryBlock = kBf16QueryBlock, kKeyBlock = kBf16KeyBlock;
  struct Work {
    std::uint16_t* q;
    float* s;
    std::uint16_t* p;
  };

  /// Is it faster than f32 at this precision, or asked for? bf16_exact asks for it where it is faster.
  static bool pays(const OpKernels& ops, Precision precision) noexcept {
    if (!ops.bf16_attention || precision == Precision::f32) return false;
    const int most = ops.bf16_attention->most_parts;
    return parts_of(precision) <= most && (precision == Precision::bf16 || most > 1 || bf16_dot_is_fast());
  }

  Bf16Way(const OpKernels& ops, const AttentionOptions& options)
      : kernels_(*ops.bf16_attention), options_(options), parts_(parts_of(options.precision)) {}

  std::int64_t padded_dv() const noexcept { return round_up<std::int64_t>(options_.value_dim, 16); }
  std::int64_t block_bytes() const noexcept {
    return parts_ * (Bf16Attention::key_values(options_.key_dim) + Bf16Attention::key_values(options_.value_dim)) *
           static_cast<std::int64_t>(sizeof(std::uint16_t));
  }
  Work work(Scratch& scratch) const {
    const std::int64_t n = parts_ * Bf16Attention::query_values(options_.key_dim);
    const Work w{scratch.take<std::uint16_t>(n), scratch.take<float>(kQueryBlock * kKeyBlock),
                 scratch.take<std::uint16_t>(parts_ * kQueryBlock * kKeyBlock)};
    std::fill_n(w.q, n, std::uint16_t{0});
    std::fill_n(w.p, parts_ * kQueryBlock * kKeyBlock, std::uint16_t{0});  // rows that are not there weigh nothing
    return w;
  }
  void pack_query(Work& work, std::int64_t r, const float* q) const noexcept {
    kernels_.pack_query(work.q, parts_, r, q, options_.key_dim, options_.scale);
  }
  void pack_keys(std::byte* to, Rows rows, std::int64_t n) const noexcept {
    kernels_.pack_keys(keys(to), parts_, rows.data, rows.stride, n, options_.key_dim);
  }
  void pack_values(std::byte* to, Rows rows, std::int64_t n) const noexcept {
    kernels_.pack_values(values(to), parts_, rows.data, rows.stride, n, options_.value_dim);
  }
  void tile(const TileState& state, Work& work, std::byte* packed, const Visible* visible, std::int64_t n_rows,
            std::int64_t first, std::int64_t last) const noexcept {
    kernels_.tile({work.q, keys(packed), values(packed), work.s, work.p, state.o, state.m, state.l, visible, n_rows,
                   first, last, options_.key_dim, options_.value_dim, options_.softcap, parts_});
  }

 private:
  static int parts_of(Precision precision) noexcept { return precision == Precision::f16 ? 2 : 1; }
  static std::uint16_t* keys(std::byte* packed) noexcept { return reinterpret_cast<std::uint16_t*>(packed); }
  std::uint16_t* values(std::byte* packed) const noexcept {
    return keys(packed) + parts_ * Bf16Attention::key_values(options_.key_dim);
  }

  const Bf16Attention& kernels_;
  const AttentionOptions& options_;
  const int parts_;
};

}  // namespace mtmd::cpu
