// What the instruction set `amx` adds to the table of avx512: products of bf16 tiles.
#include "engine/device/cpu/bf16_panel.h"
#include "engine/device/cpu/isa_functions.h"

namespace mtmd::cpu::ISA {
namespace {

void multiply(const std::uint16_t* panel, int rows, std::int64_t cols, const std::uint16_t* acts,
              std::int64_t act_pitch, std::int64_t tokens, bool add, float* sums, std::int64_t pitch,
              PanelRows& meanwhile) {
  multiply_panel(panel, rows, cols, acts, act_pitch, tokens, add, sums, pitch, meanwhile);
}

}  // namespace

void fill_tile_kernels(MatmulKernels& table) {
  fill_tile_rows(table);
  table.tiles.multiply = multiply;
  table.tiles.many_parts = true;
}

}  // namespace mtmd::cpu::ISA
