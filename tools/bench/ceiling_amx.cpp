// Compiled with -mamx-tile -mamx-int8 -mamx-bf16; nothing here runs where runnable_isas() has no amx.
#include "bench/ceiling_kernels.h"

#if defined(__AMX_INT8__)
#include <cpuid.h>
#include <immintrin.h>

namespace mtmd::bench {
namespace {

constexpr int kRows = 16, kBytes = 64;
constexpr double kInt8 = 2.0 * kRows * 16 * kBytes, kBf16 = kInt8 / 2;  // operations of one instruction

struct alignas(64) TileShapes {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t bytes[16] = {};
  std::uint8_t rows[16] = {};
};

/// Four sums, two tiles of each factor: what a real product keeps in registers. Tiles of zeros take as long as others.
void load_tiles() {
  TileShapes shapes;
  for (int i = 0; i < 8; ++i) shapes.bytes[i] = kBytes, shapes.rows[i] = kRows;
  asm volatile("" : : "r"(&shapes) : "memory");  // GCC 12 thinks that the next line reads eight bytes only
  _tile_loadconfig(&shapes);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_zero(4);
  _tile_zero(5);
  _tile_zero(6);
  _tile_zero(7);
}

float finish() {
  alignas(64) std::int32_t sums[kRows * kBytes / 4];
  _tile_stored(0, sums, kBytes);
  _tile_release();
  return static_cast<float>(sums[0]);
}

float run_int8(std::int64_t rounds) {
  load_tiles();
  for (std::int64_t r = 0; r < rounds; ++r) {
    _tile_dpbusd(0, 4, 6);
    _tile_dpbusd(1, 4, 7);
    _tile_dpbusd(2, 5, 6);
    _tile_dpbusd(3, 5, 7);
  }
  return finish();
}

float run_bf16(std::int64_t rounds) {
  load_tiles();
  for (std::int64_t r = 0; r < rounds; ++r) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  return finish();
}

}  // namespace

DotKernel amx_int8() noexcept {
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned kHasInt8 = 1u << 25;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d & kHasInt8)) return {};
  return {"tdpbusd", 4 * kInt8, run_int8};
}
DotKernel amx_bf16() noexcept { return {"tdpbf16ps", 4 * kBf16, run_bf16}; }

}  // namespace mtmd::bench
#else
namespace mtmd::bench {
DotKernel amx_int8() noexcept { return {}; }
DotKernel amx_bf16() noexcept { return {}; }
}  // namespace mtmd::bench
#endif
