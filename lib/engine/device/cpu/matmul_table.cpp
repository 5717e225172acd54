// The table of one instruction set.
#include "engine/device/cpu/isa_functions.h"

namespace mtmd::cpu::ISA {
void fill_matmul_kernels(MatmulKernels& table) {
  fill_int_panels(table.formats);
  fill_int_dots(table.formats);
  table.dot_tokens = dot_tokens();
  table.quad_tokens = quad_tokens();
  table.quantize_group = quantize_group;
  table.quantize_row = quantize_row;
  table.float_tokens = float_tokens();
  table.pack_float = pack_float;
  table.from_f16 = from_f16;
  table.from_bf16 = from_bf16;
  table.float_panel = float_panel;
  table.float_tile = float_tile;
  table.dot_f32 = dot_f32;
  table.dot_f16 = dot_f16;
  table.dot_bf16 = dot_bf16;
#if defined(MTMD_ISA_avx512)
  fill_bf16_kernels(table.tiles);
#endif
}

}  // namespace mtmd::cpu::ISA
