// Whether vector products of bf16 (vdpbf16ps) beat f32 on this processor.
#pragma once

namespace mtmd::cpu {

/// AMD from Zen 5 on multiplies two 512-bit registers of pairs per cycle, twice the rate of f32. Zen 4 and Intel's cores
/// (tiles are another matter) start one where they start two f32 ones: nothing is won, and on an Emerald Rapids a kernel
/// in first-level cache reaches 74 GFLOP/s in bf16, 117 in f32.
bool bf16_dot_is_fast() noexcept;

}  // namespace mtmd::cpu
