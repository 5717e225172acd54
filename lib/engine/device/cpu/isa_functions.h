// The functions that the kernel files of one instruction set offer to its table (matmul_table.cpp).
#pragma once

#include "engine/device/cpu/matmul_kernels.h"

namespace mtmd::cpu::ISA {

void quantize_row(const float* x, std::int64_t cols, const ActRow& act);
void quantize_group(const float* const* x, int tokens, std::int64_t cols, ActBlock* acts);

/// Sets group, has_min, unpack and tile of every integer format / its products with few tokens.
void fill_int_panels(IntFormat* formats);
void fill_int_dots(IntFormat* formats);
int dot_tokens();
int quad_tokens();

int float_tokens();
void pack_float(const float* const* x, int tokens, std::int64_t cols, float* y);
void from_f16(const std::uint16_t* x, std::int64_t n, float* y);
void from_bf16(const std::uint16_t* x, std::int64_t n, float* y);
void float_panel(const float* w, std::size_t pitch, int rows, std::int64_t cols, float* panel);
void float_tile(const float* panel, const float* acts, std::int64_t cols, int tokens, float* y);
void dot_f32(const float* w, std::int64_t rows, std::int64_t cols, const float* const* x, int tokens, float* y,
             std::int64_t pitch);
void dot_f16(const std::uint16_t* w, std::int64_t rows, std::int64_t cols, const float* const* x, int tokens, float* y,
             std::int64_t pitch);
void dot_bf16(const std::uint16_t* w, std::int64_t rows, std::int64_t cols, const float* const* x, int tokens, float* y,
              std::int64_t pitch);

/// Products of bf16 with vectors, of float weights alone; packing and finishing serve tiles as well. Only where there
/// are such products.
void fill_bf16_kernels(TileKernels& tiles);
/// IntFormat::few and TileKernels::to_bf16 of every integer format. Only where there are tiles.
void fill_tile_rows(MatmulKernels& table);

void fill_matmul_kernels(MatmulKernels& table);

}  // namespace mtmd::cpu::ISA
