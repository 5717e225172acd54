// Many tokens: quantised weight rows unpacked to int8 panels, and their register-blocked products.
#include "engine/device/cpu/int_format_list.h"
#include "engine/device/cpu/int_tile.h"
#include "engine/device/cpu/isa_functions.h"
#include "engine/device/cpu/transpose.h"

namespace mtmd::cpu::ISA {
namespace {

constexpr int kStep = 256;  // values of a row unpacked at a time

/// Rows of 256 values on their way into a panel.
struct Staging {
  alignas(64) Int8 q[kTileRows][kStep];
  alignas(64) float scale[kTileRows][kStep / 16], min[kTileRows][kStep / 16];
};

#if defined(__AVX512VNNI__)

constexpr std::uint32_t kStagingFlip = 0;  // staged as the panel wants them

template <class F>
inline void stage(const Byte* b, std::int64_t values, int r, Staging& s) noexcept {
  alignas(64) Byte tail[kStepBytes<F>];
  if (values < kStep) {
    copy_tail<F>(b, values, tail);
    b = tail;
  }
  using W = Wide<F>;
  const Scales scales = W::scales(b);
  _mm512_store_ps(s.scale[r], scales.scale);
  if constexpr (F::has_min) _mm512_store_ps(s.min[r], scales.min);
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i)
    _mm512_store_si512(s.q[r] + i * 64,
                       _mm512_add_epi8(W::load(b, i), _mm512_set1_epi8(static_cast<char>(128 - W::offset))));
}

#else

constexpr std::uint32_t kStagingFlip = kPanelFlip;

template <class F>
inline void stage(const Byte* b, std::int64_t values, int r, Staging& s) noexcept {
  constexpr int kBlocks = kStep / F::values, kBlockGroups = F::values / F::group;
  const int blocks = values < kStep ? static_cast<int>(values / F::values) : kBlocks;
  for (int i = 0; i < blocks; ++i)
    F::unpack(b + i * F::bytes, s.q[r] + i * F::values, s.scale[r] + i * kBlockGroups, s.min[r] + i * kBlockGroups);
}

#endif

template <class F>
void unpack(const std::byte* w, std::size_t row_bytes, int rows, std::int64_t cols, const IntPanel& panel) {
  Staging s;
  if (rows < kTileRows) std::memset(&s, 0, sizeof s);
  for (std::int64_t k = 0; k < cols; k += kStep) {
    const std::int64_t values = cols - k < kStep ? cols - k : kStep;
    const Byte* b = reinterpret_cast<const Byte*>(w) + static_cast<std::size_t>(k / F::values) * F::bytes;
    for (int r = 0; r < rows; ++r) stage<F>(b + static_cast<std::size_t>(r) * row_bytes, values, r, s);
    transpose32(s.q, kStep, values / 4, kStagingFlip, panel.q + k * kTileRows);
    const std::int64_t at = k / F::group * kTileRows;
    transpose32(s.scale, sizeof s.scale[0], values / F::group, 0, panel.scale + at);
    if constexpr (F::has_min) transpose32(s.min, sizeof s.min[0], values / F::group, 0, panel.min + at);
  }
}

template <class F>
void fill(IntFormat* formats) {
  IntFormat& f = formats[static_cast<int>(F::type)];
  f.group = F::group;
  f.has_min = F::has_min;
  f.unpack = unpack<F>;
  f.tile = int_tile<F::group, F::has_min>;
}

}  // namespace

void fill_int_panels(IntFormat* formats) {
#define MTMD_FILL(F) fill<F>(formats);
  MTMD_INT_FORMATS(MTMD_FILL)
#undef MTMD_FILL
}

}  // namespace mtmd::cpu::ISA
