// One token or few: products straight from the packed bytes.
#if defined(__AVX512VNNI__)
#include "engine/device/cpu/int_dot_avx512.h"
#else
#include "engine/device/cpu/int_dot_generic.h"
#endif
#include "engine/device/cpu/isa_functions.h"

namespace mtmd::cpu::ISA {
namespace {

template <class F>
void fill(IntFormat* formats) {
  formats[static_cast<int>(F::type)].dot = dot_rows<F>;
}

}  // namespace

int dot_tokens() { return kDotTokens; }
int quad_tokens() { return kQuadTokens; }

void fill_int_dots(IntFormat* formats) {
#define MTMD_FILL(F) fill<F>(formats);
  MTMD_INT_FORMATS(MTMD_FILL)
#undef MTMD_FILL
}

}  // namespace mtmd::cpu::ISA
