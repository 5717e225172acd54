#include "engine/device/cpu/matmul_acts.h"

#include <algorithm>

#include "engine/device/cpu/bf16_dot.h"
#include "engine/tensor/precision.h"

namespace mtmd::cpu {

namespace {

bool has_int_kernel(const MatmulKernels& k, DType type) noexcept { return k.formats[static_cast<int>(type)].group > 0; }

/// What the weight's precision asks for; {0, 0} where products in f32 are the better way.
Parts parts_of(const MatmulKernels& k, const Weight& w) noexcept {
  const bool half = w.type == DType::F16 || w.type == DType::BF16;
  if (!k.tiles.to_bf16[static_cast<int>(w.type)]) return {0, 0};
  if (w.precision == Precision::bf16) return {1, 1};
  if (!half) return {0, 0};
  const bool fits = seems_to_fit_bf16(w);
  if (!k.tiles.many_parts && !bf16_dot_is_fast()) return {0, 0};
  if (w.precision == Precision::bf16_exact && fits) return {1, 1};
  if (!k.tiles.many_parts) return {0, 0};
  if (w.precision != Precision::f32) return {fits ? 1 : 2, 2};
  return fits ? Parts{1, 3} : Parts{0, 0};  // five products of parts take longer than one in f32
}

}  // namespace

Way way_of(const MatmulKernels& k, const Weight& w, std::int64_t n) noexcept {
  if (has_int_kernel(k, w.type)) {
    if (n <= k.dot_tokens) return {Form::int_rows};
    if (k.formats[static_cast<int>(w.type)].few && n < kManyTokens) return {Form::tile_rows};
    const bool tiles = k.tiles.to_bf16[static_cast<int>(w.type)] && n >= kManyTokens;
    return {tiles ? Form::tile_groups : Form::int_groups};
  }
  if (n < kManyTokens) return {Form::float_rows};
  const Parts parts = parts_of(k, w);
  return parts.weights > 0 ? Way{Form::tile_groups, parts} : Way{Form::float_groups};
}

void Acts::want(const Way& way, const MatmulKernels& k, Scratch& scratch) {
  const Form form = way.form;
  if (form == Form::int_rows && !rows_) {
    rows_ = scratch.take<ActRow>(n_);
    const std::int64_t n = round_up<std::int64_t>(cols_, 256);
    const bool quads = k.quad_tokens > 0 && n_ >= k.quad_tokens;
    for (std::int64_t t = 0; t < n_; ++t)
      rows_[t] = {scratch.take<std::int8_t>(n),
                  scratch.take<std::int32_t>(n / 4),
                  scratch.take<float>(n / 32),
                  scratch.take<float>(n / 32),
                  scratch.take<float>(n / 16),
                  scratch.take<std::int8_t>(n),
                  scratch.take<std::int32_t>(n / 8),
                  scratch.take<float>(n / 16),
                  quads ? scratch.take<ActQuads>(n / 256) : nullptr};
  } else if (form == Form::int_groups && !groups_) {
    groups_ = scratch.take<ActBlock>(int_groups() * (cols_ / 32));
  } else if ((form == Form::tile_rows || form == Form::tile_groups) && way.parts.acts > tile_parts_) {
    tile_parts_ = way.parts.acts;
    tiles_ = scratch.take<std::uint16_t>(tile_parts_ * tile_values());
  } else if (form == Form::float_groups && !packed_) {
    packed_ = scratch.take<float>(ceil_div<std::int64_t>(n_, k.float_tokens) * k.float_tokens * cols_);
  }
}

std::int64_t Acts::items(const MatmulKernels& k) const noexcept {
  return (rows_ ? n_ : 0) + (groups_ ? int_groups() : 0) + (tiles_ ? tile_groups() : 0) +
         (packed_ ? ceil_div<std::int64_t>(n_, k.float_tokens) : 0);
}

void Acts::prepare(std::int64_t item, const MatmulKernels& k) const {
  if (rows_) {
    if (item < n_) return k.quantize_row(x_[item], cols_, rows_[item]);
    item -= n_;
  }
  if (groups_) {
    if (item < int_groups()) {
      const std::int64_t t = item * kIntTokens;
      const int tokens = static_cast<int>(std::min<std::int64_t>(kIntTokens, n_ - t));
      return k.quantize_group(x_ + t, tokens, cols_, groups_ + item * (cols_ / 32));
    }
    item -= int_groups();
  }
  if (tiles_) {
    if (item < tile_groups()) {
      const std::int64_t t = item * kTileTokens;
      const int tokens = static_cast<int>(std::min<std::int64_t>(kTileTokens, n_ - t));
      return k.tiles.pack(x_ + t, tokens, cols_, tile_parts_, tile_values(), tiles_ + item * tile_pitch());
    }
    item -= tile_groups();
  }
  const std::int64_t t = item * k.float_tokens;
  const int tokens = static_cast<int>(std::min<std::int64_t>(k.float_tokens, n_ - t));
  k.pack_float(x_ + t, tokens, cols_, packed_ + item * k.float_tokens * cols_);
}

const float** row_pointers(const Tensor& x, Scratch& scratch) {
  const float** rows = scratch.take<const float*>(x.rows);
  for (std::int64_t t = 0; t < x.rows; ++t) rows[t] = x.row(t);
  return rows;
}

}  // namespace mtmd::cpu
