// The activations of a product in the forms that its kernels read, prepared once per op and shared by all its weights.
#pragma once

#include <utility>

#include "engine/base/checked.h"
#include "engine/device/cpu/dispatch.h"
#include "engine/device/cpu/matmul_kernels.h"
#include "engine/device/cpu/scratch.h"
#include "engine/tensor/tensor.h"

namespace mtmd::cpu {

/// From so many tokens on, panels of float weights and panels of bf16 tiles pay for unpacking to them. Fewer are
/// multiplied straight from the weights' bytes, of integer forms up to MatmulKernels::dot_tokens; above those, rows of
/// tiles pay.
constexpr std::int64_t kManyTokens = 32;

enum class Form {
  int_rows,      ///< ActRow per token, dot()
  tile_rows,     ///< one group of bf16 tiles, few()
  int_groups,    ///< ActBlocks per kIntTokens tokens, tile()
  tile_groups,   ///< bf16 tiles of kTileTokens tokens
  float_rows,    ///< the activations themselves
  float_groups,  ///< [cols][float_tokens] per group
};

/// Parts of bf16 that stand for weights and activations in tiles; products of parts beyond the larger of both counts
/// are too small to matter.
struct Parts {
  int weights = 1, acts = 1;
};

/// How the product of a weight with n tokens is computed. Decided once for each product: it may take a look at the
/// weight's values.
struct Way {
  Form form = Form::float_rows;
  Parts parts{};  ///< of tile_groups; the weights' count is an estimate: a panel that holds more gets another part
};
Way way_of(const MatmulKernels& k, const Weight& w, std::int64_t n) noexcept;

class Acts {
 public:
  Acts() = default;
  /// x: n pointers to rows of `cols` values; they and the memory taken from a Scratch outlive this.
  Acts(const float* const* x, std::int64_t n, std::int64_t cols) noexcept : x_(x), n_(n), cols_(cols) {}
  /// Bf16 tiles that another op fills, in memory for tile_values(n, cols) of each part.
  Acts(std::uint16_t* tiles, int parts, std::int64_t n, std::int64_t cols) noexcept
      : n_(n), cols_(cols), tiles_(tiles), tile_parts_(parts) {}
  static std::int64_t tile_values(std::int64_t n, std::int64_t cols) noexcept {
    return round_up<std::int64_t>(n, kTileTokens) * round_up<std::int64_t>(cols, kTileCols);
  }

  std::int64_t n() const noexcept { return n_; }
  std::int64_t cols() const noexcept { return cols_; }

  /// Asks for the form in which a weight is multiplied; takes its memory.
  void want(const Way& way, const MatmulKernels& k, Scratch& scratch);
  /// Pieces of work that prepare() divides into, over all wanted forms.
  std::int64_t items(const MatmulKernels& k) const noexcept;
  void prepare(std::int64_t item, const MatmulKernels& k) const;

  const float* const* rows(std::int64_t t) const noexcept { return x_ + t; }
  const ActRow* int_rows(std::int64_t t) const noexcept { return rows_ + t; }
  const ActBlock* int_group(std::int64_t g) const noexcept { return groups_ + g * (cols_ / 32); }
  /// A part from activation k (a multiple of kTileCols) of token t (of kTileTokens) on; groups lie tile_pitch() apart.
  const std::uint16_t* tiles(std::int64_t t, std::int64_t k, int part) const noexcept {
    return tiles_ + part * tile_values() + t / kTileTokens * tile_pitch() + k * kTileTokens;
  }
  std::int64_t tile_pitch() const noexcept { return tile_values(kTileTokens, cols_); }
  std::int64_t tile_values() const noexcept { return tile_values(n_, cols_); }
  int tile_parts() const noexcept { return tile_parts_; }
  std::uint16_t* tiles(std::int64_t t, std::int64_t k, int part) noexcept {
    return const_cast<std::uint16_t*>(std::as_const(*this).tiles(t, k, part));
  }
  /// From activation k of group g on.
  const float* float_group(std::int64_t g, std::int64_t k, int tokens) const noexcept {
    return packed_ + (g * cols_ + k) * tokens;
  }

 private:
  std::int64_t int_groups() const noexcept { return (n_ + kIntTokens - 1) / kIntTokens; }
  std::int64_t tile_groups() const noexcept { return (n_ + kTileTokens - 1) / kTileTokens; }

  const float* const* x_ = nullptr;
  std::int64_t n_ = 0, cols_ = 0;
  ActRow* rows_ = nullptr;
  ActBlock* groups_ = nullptr;
  std::uint16_t* tiles_ = nullptr;
  int tile_parts_ = 0;
  float* packed_ = nullptr;
};

/// Pointers to the rows of x.
const float** row_pointers(const Tensor& x, Scratch& scratch);

}  // namespace mtmd::cpu
