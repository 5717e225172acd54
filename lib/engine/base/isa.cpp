#include "engine/base/isa.h"

#include <array>
#include <cstddef>
#include <cstdlib>
#include <string>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "engine/base/error.h"

namespace mtmd {
namespace {

constexpr std::array kAll = {Isa::base, Isa::avx2, Isa::avx512, Isa::amx};

#if defined(__x86_64__)
/// AMX with bf16: the processor has it, the system saves its registers, and this process may use them.
bool may_use_tiles() noexcept {
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned kBf16 = 1u << 22, kTile = 1u << 24;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d & kBf16) || !(d & kTile)) return false;
#if defined(__linux__)
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA (Linux 5.16)
  return ::syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}
#endif

#if defined(__x86_64__)
/// Clang 14's __builtin_cpu_supports does not know the name.
bool has_f16c() noexcept {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C) != 0;
}
#endif

std::size_t count_runnable() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !has_f16c()) return 1;
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512vnni") &&
                      __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vbmi") &&
                      __builtin_cpu_supports("gfni");
  return !avx512 ? 2 : may_use_tiles() ? 4 : 3;
#else
  return 1;
#endif
}

}  // namespace

std::string_view name(Isa isa) noexcept {
  constexpr std::array<std::string_view, kAll.size()> names = {"base", "avx2", "avx512", "amx"};
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
