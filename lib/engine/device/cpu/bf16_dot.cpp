#include "engine/device/cpu/bf16_dot.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace mtmd::cpu {

bool bf16_dot_is_fast() noexcept {
#if defined(__x86_64__)
  static const bool fast = [] {
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (!__get_cpuid(0, &a, &b, &c, &d) || b != signature_AMD_ebx) return false;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return false;
    const unsigned family = (a >> 8 & 15) + (a >> 20 & 255);  // the base family of all these is 15
    constexpr unsigned kZen5 = 0x1a;
    return family >= kZen5;
  }();
  return fast;
#else
  return false;
#endif
}

}  // namespace mtmd::cpu
