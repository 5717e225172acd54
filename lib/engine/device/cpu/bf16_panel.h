// A panel of weights in bf16 times groups of tokens: TileKernels::multiply. For kernel files only.
#pragma once

#include <algorithm>

#include "engine/device/cpu/bf16_block.h"
#include "engine/device/cpu/matmul_kernels.h"

namespace mtmd::cpu::ISA {
namespace {

static_assert(kTileRows == kBlockRows && kTileTokens == kBlockRows && kTileCols == kBlockDepth);

inline void multiply_panel(const std::uint16_t* panel, int rows, std::int64_t cols, const std::uint16_t* acts,
                           std::int64_t act_pitch, std::int64_t tokens, bool add, float* sums, std::int64_t pitch,
                           PanelRows& meanwhile) noexcept {
  const std::int64_t steps = (cols + kTileCols - 1) / kTileCols, groups = (tokens + kTileTokens - 1) / kTileTokens;
  const std::int64_t share = (meanwhile.left + groups * steps - 1) / (groups * steps);
  begin_blocks();
  for (std::int64_t t = 0; t < tokens; t += kTileTokens, acts += act_pitch, sums += kTileTokens)
    multiply_block<kTileCols>(sums, pitch, {panel, kTileRows * kTileCols}, acts, steps, rows,
                              std::min<std::int64_t>(kTileTokens, tokens - t), add, [&] {
                                for (std::int64_t i = std::min(share, meanwhile.left); i > 0; --i) meanwhile.take();
                              });
  end_blocks();
}

}  // namespace
}  // namespace mtmd::cpu::ISA
