// What the instruction set `amx` adds to the table of avx512: products of bf16 tiles.
#include "engine/device/cpu/bf16_panel.h"
#include "engine/device/cpu/isa_functions.h"

namespace mtmd::cpu::ISA {
void fill_tile_kernels(MatmulKernels& table) {
  fill_tile_rows(table);
  table.tiles.multiply = multiply_panel;
  table.tiles.many_parts = true;
}

}  // namespace mtmd::cpu::ISA
