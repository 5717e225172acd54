#include "bench/ceiling_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace mtmd::cpu::ISA {
namespace {

#if defined(MTMD_ISA_avx512)
constexpr int kBytes = 64;
#elif defined(MTMD_ISA_avx2)
constexpr int kBytes = 32;
#else
constexpr int kBytes = 16;
#endif
using Floats = float __attribute__((vector_size(kBytes)));
using Words = std::uint64_t __attribute__((vector_size(kBytes), may_alias));

/// `kStreams` equal parts are read side by side, two lines of each at a time.
template <int kStreams, int kAhead>
std::uint64_t read(const std::uint8_t* p, std::size_t bytes) {
  constexpr std::size_t kStep = 128;
  const std::size_t part = bytes / kStreams;
  Words sums[kStreams][2] = {};
  for (std::size_t i = 0; i < part; i += kStep)
    for (int s = 0; s < kStreams; ++s) {
      const std::uint8_t* at = p + static_cast<std::size_t>(s) * part + i;
      if constexpr (kAhead > 0) {
        __builtin_prefetch(at + kAhead);
        __builtin_prefetch(at + kAhead + 64);
      }
      for (std::size_t j = 0; j < kStep; j += 2 * kBytes) {
        sums[s][0] += *reinterpret_cast<const Words*>(at + j);
        sums[s][1] += *reinterpret_cast<const Words*>(at + j + kBytes);
      }
    }
  Words sum = {};
  for (int s = 0; s < kStreams; ++s) sum += sums[s][0] + sums[s][1];
  std::uint64_t total = 0;
  for (int i = 0; i < kBytes / 8; ++i) total += sum[i];
  return total;
}

// Enough independent sums to hide the latency of two pipes.
constexpr int kSums = 12;

float total(const Floats* sums) {
  Floats sum = {};
  for (int i = 0; i < kSums; ++i) sum += sums[i];
  float result = 0;
  for (int i = 0; i < kBytes / 4; ++i) result += sum[i];
  return result;
}

float run_f32(std::int64_t rounds) {
  Floats sums[kSums] = {}, a = 1e-3f - Floats{}, b = 0.5f - Floats{};
  asm volatile("" : "+x"(a), "+x"(b));
  for (std::int64_t r = 0; r < rounds; ++r)
    for (int i = 0; i < kSums; ++i) {
#if defined(MTMD_ISA_avx512)
      sums[i] = _mm512_fmadd_ps(a, b, sums[i]);
#elif defined(MTMD_ISA_avx2)
      sums[i] = _mm256_fmadd_ps(a, b, sums[i]);
#else
      Floats product = a;
      asm volatile("" : "+x"(product));  // a product per sum, as in a real one
      sums[i] += product * b;
#endif
    }
  return total(sums);
}

#if defined(MTMD_ISA_avx512)
float run_int8(std::int64_t rounds) {
  __m512i sums[kSums] = {}, a = _mm512_set1_epi8(1), b = _mm512_set1_epi8(2);
  asm volatile("" : "+v"(a), "+v"(b));
  for (std::int64_t r = 0; r < rounds; ++r)
    for (int i = 0; i < kSums; ++i) sums[i] = _mm512_dpbusd_epi32(sums[i], a, b);
  __m512i sum = sums[0];
  for (int i = 1; i < kSums; ++i) sum = _mm512_add_epi32(sum, sums[i]);
  return static_cast<float>(_mm512_reduce_add_epi32(sum));
}
float run_bf16(std::int64_t rounds) {
  Floats sums[kSums] = {};
  __m512i one = _mm512_set1_epi16(0x3f80);
  asm volatile("" : "+v"(one));
  const __m512bh a = reinterpret_cast<__m512bh>(one);
  for (std::int64_t r = 0; r < rounds; ++r)
    for (int i = 0; i < kSums; ++i) sums[i] = _mm512_dpbf16_ps(sums[i], a, a);
  return total(sums);
}
constexpr bench::DotKernel kInt8{"vpdpbusd", kSums * 128.0, run_int8};
constexpr bench::DotKernel kBf16{"vdpbf16ps", kSums * 64.0, run_bf16};
constexpr const char* kF32 = "vfmadd";
#elif defined(__x86_64__)
#if defined(MTMD_ISA_avx2)
using Ints = __m256i;
Ints bytes_of(char v) { return _mm256_set1_epi8(v); }
Ints multiply_add(Ints sum, Ints a, Ints b, Ints ones) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), ones));
}
Ints ones_of() { return _mm256_set1_epi16(1); }
constexpr const char* kF32 = "vfmadd";
#else
using Ints = __m128i;
Ints bytes_of(char v) { return _mm_set1_epi8(v); }
Ints multiply_add(Ints sum, Ints a, Ints b, Ints ones) {
  return _mm_add_epi32(sum, _mm_madd_epi16(_mm_maddubs_epi16(a, b), ones));
}
Ints ones_of() { return _mm_set1_epi16(1); }
constexpr const char* kF32 = "mulps, addps";
#endif
constexpr int kIntSums = 8;  // only the addition is in the chain: fewer will do, and leave registers for the products
float run_int8(std::int64_t rounds) {
  Ints sums[kIntSums] = {}, b = bytes_of(2);
  const Ints ones = ones_of();
  for (std::int64_t r = 0; r < rounds; ++r)
    for (int i = 0; i < kIntSums; ++i) {
      Ints a = b;
      asm volatile("" : "+x"(a));  // a product per sum, as in a real one
      sums[i] = multiply_add(sums[i], a, b, ones);
    }
  std::int64_t result = 0;
  for (int i = 0; i < kIntSums; ++i) result += reinterpret_cast<Words>(sums[i])[0] & 0xff;
  return static_cast<float>(result);
}
constexpr bench::DotKernel kInt8{"pmaddubsw, pmaddwd", kIntSums * 2.0 * kBytes, run_int8};
constexpr bench::DotKernel kBf16{nullptr, 0, nullptr};
#else
constexpr bench::DotKernel kInt8{nullptr, 0, nullptr};
constexpr bench::DotKernel kBf16{nullptr, 0, nullptr};
constexpr const char* kF32 = "multiply, add";
#endif

}  // namespace

extern const bench::CeilingKernels ceiling_kernels;
const bench::CeilingKernels ceiling_kernels = {
    {{"one stream", read<1, 0>},
     {"one stream, 2 KiB ahead", read<1, 2048>},
     {"4 streams, 512 B ahead", read<4, 512>},
     {"8 streams", read<8, 0>},
     {"8 streams, 1 KiB ahead", read<8, 1024>},
     {"16 streams, 512 B ahead", read<16, 512>}},
    kInt8,
    kBf16,
    {kF32, kSums * 2.0 * (kBytes / 4), run_f32}};

}  // namespace mtmd::cpu::ISA
