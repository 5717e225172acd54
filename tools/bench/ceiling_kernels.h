// What one core does at best, per instruction set (engine/device/cpu/dispatch.h tells how such files are compiled).
#pragma once

#include <cstddef>
#include <cstdint>

namespace mtmd::bench {

/// Reads `bytes` from `p`, a multiple of 32 KiB, in some pattern; the result depends on all of them.
struct ReadKernel {
  const char* pattern;
  std::uint64_t (*read)(const std::uint8_t* p, std::size_t bytes);
};

/// Multiply-adds between registers: `run` does `rounds` times `operations` (two per multiply-add).
struct DotKernel {
  const char* instruction;  ///< null: the instruction set has none
  double operations;
  float (*run)(std::int64_t rounds);
};

struct CeilingKernels {
  static constexpr int kReads = 6;
  ReadKernel reads[kReads];
  DotKernel int8, bf16, f32;
};

/// Tiles of Intel AMX, where runnable_isas() has them.
DotKernel amx_int8() noexcept;  ///< without an instruction where the processor's tiles have no int8
DotKernel amx_bf16() noexcept;

}  // namespace mtmd::bench
