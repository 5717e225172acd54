// Which copy of the kernels runs: the one for the best instruction set of this machine, or for the one in MTMD_ISA.
#include "engine/quant/formats.h"

namespace mtmd::quant {

#define MTMD_DECLARE(type) Encode encode_##type;
#define MTMD_LIST(type) {#type, encode_##type},
#define MTMD_TABLE(isa)                                                 \
  namespace isa {                                                       \
  Decode decode_f16, decode_bf16;                                       \
  MTMD_QUANT_ENCODERS(MTMD_DECLARE)                                     \
  constexpr NamedEncoder encoders[] = {MTMD_QUANT_ENCODERS(MTMD_LIST)}; \
  }
MTMD_TABLE(base)
#if defined(__x86_64__)
MTMD_TABLE(avx2)
MTMD_TABLE(avx512)
#endif

std::span<const NamedEncoder> encoders([[maybe_unused]] Isa isa) noexcept {
#if defined(__x86_64__)
  if (isa >= Isa::avx512) return avx512::encoders;
  if (isa == Isa::avx2) return avx2::encoders;
#endif
  return base::encoders;
}

namespace {

#define MTMD_ENUMERATOR(type) k_##type,
enum Index : std::size_t { MTMD_QUANT_ENCODERS(MTMD_ENUMERATOR) };

Isa chosen_isa() {
  static const Isa isa = select_isa();
  return isa;
}

Encode* chosen(Index type) {
  static const std::span<const NamedEncoder> table = encoders(chosen_isa());
  return table[type].encode;
}

#if defined(__x86_64__)
#define MTMD_CHOSEN(f) (chosen_isa() >= Isa::avx512 ? avx512::f : chosen_isa() == Isa::avx2 ? avx2::f : base::f)
#else
#define MTMD_CHOSEN(f) base::f
#endif

}  // namespace

#define MTMD_DEFINE(type)                                                                                              \
  void encode_##type(const float* values, std::byte* blocks, std::int64_t n, const float* importance, Effort effort) { \
    chosen(k_##type)(values, blocks, n, importance, effort);                                                           \
  }
MTMD_QUANT_ENCODERS(MTMD_DEFINE)

void decode_f16(const std::byte* blocks, float* values, std::int64_t n) { MTMD_CHOSEN(decode_f16)(blocks, values, n); }
void decode_bf16(const std::byte* blocks, float* values, std::int64_t n) {
  MTMD_CHOSEN(decode_bf16)(blocks, values, n);
}

}  // namespace mtmd::quant
