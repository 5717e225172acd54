#include "engine/device/cpu/dispatch.h"

#include <fstream>
#include <string>
#include <vector>

#include "engine/base/isa.h"
#include "engine/device/cpu/matmul_kernels.h"
#include "engine/device/cpu/op_kernels.h"

namespace mtmd::cpu {

#define MTMD_DECLARE_TABLES(isa)            \
  namespace isa {                           \
  void fill_matmul_kernels(MatmulKernels&); \
  extern const OpKernels op_kernels;        \
  }
MTMD_DECLARE_TABLES(base)
#if defined(__x86_64__)
MTMD_DECLARE_TABLES(avx2)
MTMD_DECLARE_TABLES(avx512)
namespace amx {
void fill_tile_kernels(MatmulKernels&);
extern const Bf16Attention bf16_attention;
}  // namespace amx
#endif
#undef MTMD_DECLARE_TABLES

namespace {

template <void (*... kFill)(MatmulKernels&)>
const MatmulKernels* matmul_table() {
  static const MatmulKernels table = [] {
    MatmulKernels t{};
    (kFill(t), ...);
    return t;
  }();
  return &table;
}

#if defined(__x86_64__)
const OpKernels* amx_op_kernels() {
  static const OpKernels table = [] {
    OpKernels t = avx512::op_kernels;
    t.bf16_attention = &amx::bf16_attention;
    return t;
  }();
  return &table;
}
#endif

std::vector<Kernels> probe() {
  std::vector<Kernels> tables;
  for (const Isa isa : runnable_isas()) {
    switch (isa) {
      case Isa::base:
        tables.push_back({name(isa), matmul_table<base::fill_matmul_kernels>(), &base::op_kernels});
        break;
#if defined(__x86_64__)
      case Isa::avx2:
        tables.push_back({name(isa), matmul_table<avx2::fill_matmul_kernels>(), &avx2::op_kernels});
        break;
      case Isa::avx512:
        tables.push_back({name(isa), matmul_table<avx512::fill_matmul_kernels>(), &avx512::op_kernels});
        break;
      case Isa::amx:
        tables.push_back(
            {name(isa), matmul_table<avx512::fill_matmul_kernels, amx::fill_tile_kernels>(), amx_op_kernels()});
        break;
#else
      default:
        break;
#endif
    }
  }
  return tables;
}

std::string read_processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown processor";
}

}  // namespace

std::span<const Kernels> runnable_kernels() {
  static const std::vector<Kernels> tables = probe();
  return tables;
}

const Kernels& select_kernels(std::string_view isa) {
  return runnable_kernels()[static_cast<std::size_t>(select_isa(isa))];  // both in the order of Isa
}

std::string_view processor_name() {
  static const std::string name = read_processor_name();
  return name;
}

}  // namespace mtmd::cpu
