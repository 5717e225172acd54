#include "engine/base/isa.h"

#include <array>
#include <cstddef>
#include <cstdlib>
#include <string>

#include "engine/base/error.h"

namespace mtmd {
namespace {

constexpr std::array kAll = {Isa::base, Isa::avx2, Isa::avx512};

std::size_t count_runnable() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("f16c")) return 1;
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512vnni") &&
                      __builtin_cpu_supports("avx512bf16");
  return avx512 ? 3 : 2;
#else
  return 1;
#endif
}

}  // namespace

std::string_view name(Isa isa) noexcept {
  constexpr std::array<std::string_view, kAll.size()> names = {"base", "avx2", "avx512"};
  return names[static_cast<std::size_t>(isa)];
}

std::span<const Isa> runnable_isas() noexcept {
  static const std::size_t n = count_runnable();
  return {kAll.data(), n};
}

Isa select_isa(std::string_view wanted) {
  const char* source = "instruction set";
  if (wanted.empty()) {
    const char* forced = std::getenv("MTMD_ISA");
    if (!forced || !*forced) return runnable_isas().back();
    wanted = forced;
    source = "MTMD_ISA";
  }
  std::string names;
  for (const Isa isa : runnable_isas()) {
    if (name(isa) == wanted) return isa;
    names += names.empty() ? "" : ", ";
    names += name(isa);
  }
  fail(ErrorCategory::usage, "{} '{}' is not available; this machine has {}", source, wanted, names);
}

}  // namespace mtmd
