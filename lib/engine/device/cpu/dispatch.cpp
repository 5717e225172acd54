#include "engine/device/cpu/dispatch.h"

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "engine/base/error.h"
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
#endif
#undef MTMD_DECLARE_TABLES

namespace {

#if defined(__x86_64__)
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
}

bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512vnni") &&
         __builtin_cpu_supports("avx512bf16");
}
#endif

template <void (*kFill)(MatmulKernels&)>
const MatmulKernels* matmul_table() {
  static const MatmulKernels table = [] {
    MatmulKernels t{};
    kFill(t);
    return t;
  }();
  return &table;
}

std::vector<Kernels> probe() {
  std::vector<Kernels> tables = {{"base", matmul_table<base::fill_matmul_kernels>(), &base::op_kernels}};
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (has_avx2()) tables.push_back({"avx2", matmul_table<avx2::fill_matmul_kernels>(), &avx2::op_kernels});
  if (has_avx512()) tables.push_back({"avx512", matmul_table<avx512::fill_matmul_kernels>(), &avx512::op_kernels});
#endif
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
  const std::span<const Kernels> tables = runnable_kernels();
  const char* source = "instruction set";
  if (isa.empty()) {
    const char* forced = std::getenv("MTMD_ISA");
    if (!forced || !*forced) return tables.back();
    isa = forced;
    source = "MTMD_ISA";
  }
  std::string names;
  for (const Kernels& k : tables) {
    if (k.name == isa) return k;
    names += names.empty() ? "" : ", ";
    names += k.name;
  }
  fail(ErrorCategory::usage, "{} '{}' is not available; this machine has {}", source, isa, names);
}

std::string_view processor_name() {
  static const std::string name = read_processor_name();
  return name;
}

}  // namespace mtmd::cpu
