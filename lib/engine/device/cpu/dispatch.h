// One table of kernels per instruction set, chosen once at start.
//
// How a kernel file works: it is listed in mtmd_isa_sources (cmake/isa.cmake), compiled once per instruction set with
// -DISA=base|avx2|avx512 and MTMD_ISA_<name>=1, keeps everything in an anonymous namespace and ends with its table:
//   namespace mtmd::cpu::ISA { extern const OpKernels op_kernels; const OpKernels op_kernels = {…}; }
// It takes raw pointers and counts and must not use inline library code (std:: containers, algorithms, Tensor members).
#pragma once

#include <span>
#include <string_view>

namespace mtmd::cpu {

struct MatmulKernels;  // matmul_kernels.h
struct OpKernels;      // op_kernels.h

struct Kernels {
  std::string_view name;  ///< "base", "avx2", "avx512", "amx"
  const MatmulKernels* matmul;
  const OpKernels* ops;
};

/// The tables that this machine can run, slowest first; never empty.
std::span<const Kernels> runnable_kernels();

/// The table called `isa`; empty: the one named by the environment variable MTMD_ISA, else the best. Throws
/// Error(usage) listing what this machine has when the name is unknown or the machine lacks it.
const Kernels& select_kernels(std::string_view isa = {});

/// The processor's own name, e.g. "AMD EPYC 9655"; "unknown processor" when the system does not tell.
std::string_view processor_name();

}  // namespace mtmd::cpu
