// Many tokens: quantised weight rows unpacked to int8 panels, and their register-blocked products.
#include "engine/device/cpu/int_formats.h"
#include "engine/device/cpu/int_tile.h"
#include "engine/device/cpu/isa_functions.h"
#include "engine/device/cpu/transpose.h"

namespace mtmd::cpu::ISA {
namespace {

constexpr int kStep = 256;  // values of a row unpacked at a time

template <class F>
void unpack(const std::byte* w, std::size_t row_bytes, int rows, std::int64_t cols, const IntPanel& panel) {
  constexpr int kGroups = kStep / F::group, kBlocks = kStep / F::values, kBlockGroups = F::values / F::group;
  alignas(64) Int8 q[kTileRows][kStep];
  alignas(64) float scale[kTileRows][kGroups], min[kTileRows][kGroups];
  if (rows < kTileRows) {
    std::memset(q, 0, sizeof q);
    std::memset(scale, 0, sizeof scale);
    std::memset(min, 0, sizeof min);
  }
  for (std::int64_t k = 0; k < cols; k += kStep) {
    const std::int64_t left = cols - k;
    const int blocks = left < kStep ? static_cast<int>(left / F::values) : kBlocks;
    for (int r = 0; r < rows; ++r) {
      const Byte* b = reinterpret_cast<const Byte*>(w) + static_cast<std::size_t>(r) * row_bytes +
                      static_cast<std::size_t>(k / F::values) * F::bytes;
      for (int i = 0; i < blocks; ++i)
        F::unpack(b + i * F::bytes, q[r] + i * F::values, scale[r] + i * kBlockGroups, min[r] + i * kBlockGroups);
    }
    transpose32(q, kStep, blocks * F::values / 4, kPanelFlip, panel.q + k * kTileRows);
    const int groups = blocks * kBlockGroups;
    const std::int64_t at = k / F::group * kTileRows;
    if constexpr (kGroups == 16) {
      transpose32(scale, sizeof scale[0], groups, 0, panel.scale + at);
      if constexpr (F::has_min) transpose32(min, sizeof min[0], groups, 0, panel.min + at);
    } else {
      for (int g = 0; g < groups; ++g)
        for (int r = 0; r < kTileRows; ++r) {
          panel.scale[at + g * kTileRows + r] = scale[r][g];
          if constexpr (F::has_min) panel.min[at + g * kTileRows + r] = min[r][g];
        }
    }
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
