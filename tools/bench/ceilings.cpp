#include "bench/ceilings.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <new>

#include "bench/ceiling_kernels.h"
#include "bench/measure.h"
#include "bench/statistics.h"
#include "engine/base/isa.h"

namespace mtmd::cpu {
namespace base {
extern const bench::CeilingKernels ceiling_kernels;
}
#if defined(__x86_64__)
namespace avx2 {
extern const bench::CeilingKernels ceiling_kernels;
}
namespace avx512 {
extern const bench::CeilingKernels ceiling_kernels;
}
#endif
}  // namespace mtmd::cpu

namespace mtmd::bench {
namespace {

std::atomic<std::uint64_t> sink;  // what kernels return goes here, so that none is optimised away

/// Fresh memory that every thread of the pool has touched a part of.
class Pages {
 public:
  Pages(ThreadPool& pool, std::size_t bytes, bool huge) : bytes_(bytes / kPiece * kPiece) {
    void* p = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) throw std::bad_alloc();
    data_ = static_cast<std::uint8_t*>(p);
    ::madvise(p, bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    pool.parallel_for(static_cast<std::int64_t>(bytes_ / kPiece), [&](std::int64_t i) {
      std::fill_n(data_ + static_cast<std::size_t>(i) * kPiece, kPiece, std::uint8_t{1});
    });
  }
  ~Pages() { ::munmap(data_, bytes_); }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  /// Seconds that the pool takes to read everything once.
  double read(ThreadPool& pool, const ReadKernel& kernel) const {
    const double start = now();
    pool.parallel_for(static_cast<std::int64_t>(bytes_ / kPiece), [&](std::int64_t i) {
      sink += kernel.read(data_ + static_cast<std::size_t>(i) * kPiece, kPiece);
    });
    return now() - start;
  }

 private:
  static constexpr std::size_t kPiece = std::size_t{4} << 20;
  std::uint8_t* data_ = nullptr;
  std::size_t bytes_;
};

/// Kernels of an instruction set; tiles come on top of AVX-512.
struct Chosen {
  std::string_view isa;
  CeilingKernels kernels;
};

Chosen choose(std::string_view wanted) {
  const Isa isa = select_isa(wanted);
#if defined(__x86_64__)
  if (isa == Isa::amx) {
    CeilingKernels kernels = cpu::avx512::ceiling_kernels;
    kernels.int8 = amx_int8();
    kernels.bf16 = amx_bf16();
    return {name(isa), kernels};
  }
  if (isa == Isa::avx512) return {name(isa), cpu::avx512::ceiling_kernels};
  if (isa == Isa::avx2) return {name(isa), cpu::avx2::ceiling_kernels};
#endif
  return {name(isa), cpu::base::ceiling_kernels};
}

void keep(Ceiling& ceiling, std::span<const double> seconds, double amount, std::string how) {
  const double best = amount / *std::ranges::min_element(seconds);
  if (best <= ceiling.best) return;
  ceiling.best = best;
  ceiling.median = amount / median(seconds);
  ceiling.how = std::move(how);
}

}  // namespace

struct MemoryProbe::Impl {
  ThreadPool& pool;
  Pages pages;
  ReadKernel kernel;
  std::size_t bytes;
};

MemoryProbe::MemoryProbe(ThreadPool& pool, std::size_t bytes)
    : impl_(new Impl{pool, Pages(pool, bytes, true), {}, bytes}) {
  const Chosen chosen = choose({});
  double fastest = 0;
  for (const ReadKernel& kernel : chosen.kernels.reads) {
    const double seconds = std::min(impl_->pages.read(pool, kernel), impl_->pages.read(pool, kernel));
    if (fastest == 0 || seconds < fastest) fastest = seconds, impl_->kernel = kernel;
  }
}
MemoryProbe::~MemoryProbe() = default;
std::size_t MemoryProbe::bytes() const noexcept { return impl_->bytes; }
double MemoryProbe::rate() const {
  return static_cast<double>(impl_->bytes) / impl_->pages.read(impl_->pool, impl_->kernel);
}

Ceiling memory_read_ceiling(ThreadPool& pool, const CeilingOptions& options) {
  const Chosen chosen = choose(options.isa);
  Ceiling ceiling{"memory read", chosen.isa, {}};
  for (const bool huge : {true, false}) {
    const Pages pages(pool, options.bytes, huge);
    std::array<std::vector<double>, CeilingKernels::kReads> seconds;
    // In turns: what a neighbour takes from the memory is taken from every pattern.
    for (int i = 0; i < options.samples; ++i)
      for (std::size_t k = 0; k < seconds.size(); ++k)
        seconds[k].push_back(pages.read(pool, chosen.kernels.reads[k]));
    for (std::size_t k = 0; k < seconds.size(); ++k)
      keep(ceiling, seconds[k], static_cast<double>(options.bytes),
           std::string(chosen.kernels.reads[k].pattern) + (huge ? ", huge pages" : ", 4 KiB pages"));
  }
  return ceiling;
}

Ceiling dot_ceiling(ThreadPool& pool, std::string_view what, const CeilingOptions& options) {
  const Chosen chosen = choose(options.isa);
  const DotKernel kernel = what == "f32 dot"    ? chosen.kernels.f32
                           : what == "bf16 dot" ? chosen.kernels.bf16
                                                : chosen.kernels.int8;
  Ceiling ceiling{what, chosen.isa, {}};
  if (!kernel.instruction) return ceiling;
  const auto run = [&](std::int64_t rounds) {
    pool.parallel_for(pool.size(), [&](std::int64_t) { sink += static_cast<std::uint64_t>(kernel.run(rounds)) & 1; });
  };
  std::int64_t rounds = 1000;
  for (double seconds = 0; seconds < options.seconds / 2; rounds *= 2) {
    const double start = now();
    run(rounds);
    seconds = now() - start;
  }
  std::vector<double> seconds;
  for (int i = 0; i < options.samples; ++i) {
    const double start = now();
    run(rounds);
    seconds.push_back(now() - start);
  }
  keep(ceiling, seconds, kernel.operations * static_cast<double>(rounds) * pool.size(), kernel.instruction);
  return ceiling;
}

std::vector<Ceiling> all_ceilings(ThreadPool& pool, const CeilingOptions& options) {
  std::vector<Ceiling> list;
  CeilingOptions o = options;
  for (const Isa isa : runnable_isas()) {
    o.isa = name(isa);
    if (isa != Isa::amx) list.push_back(memory_read_ceiling(pool, o));
    for (const std::string_view what : {"int8 dot", "bf16 dot", "f32 dot"})
      if (Ceiling c = dot_ceiling(pool, what, o); c.best > 0) list.push_back(std::move(c));
  }
  return list;
}

}  // namespace mtmd::bench
