// What this machine can do at best: the numbers that everything else is compared with.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/thread_pool.h"

namespace mtmd::bench {

struct Ceiling {
  std::string_view what;  ///< "memory read", "int8 dot", "bf16 dot", "f32 dot"
  std::string_view isa;
  std::string how;      ///< the access pattern or the instruction
  double best = 0;      ///< bytes or operations per second, all threads together; two operations per multiply-add
  double median = 0;    ///< of the same kernel's samples
};

struct CeilingOptions {
  std::string_view isa = {};     ///< as select_isa
  double seconds = 0.05;         ///< of one sample
  int samples = 7;
  std::size_t bytes = std::size_t{1} << 30;  ///< of the memory that is read: several times the last cache; whole 4 MiB
};

/// Memory is read in several patterns, from small and huge pages; the fastest counts.
Ceiling memory_read_ceiling(ThreadPool& pool, const CeilingOptions& options);
/// Products between registers. `what` as in Ceiling. best is 0 where the instruction set has no such product.
Ceiling dot_ceiling(ThreadPool& pool, std::string_view what, const CeilingOptions& options);
/// Reads memory now and then, so that something else can be compared with what the memory gave at the same time: on a
/// shared machine that changes from second to second.
class MemoryProbe {
 public:
  /// `bytes`: whole 4 MiB. `pool` outlives the probe.
  explicit MemoryProbe(ThreadPool& pool, std::size_t bytes = std::size_t{512} << 20);
  ~MemoryProbe();
  double rate() const;  ///< bytes per second of one pass, in the access pattern that was fastest at the start
  std::size_t bytes() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// All of them, of every instruction set of this machine.
std::vector<Ceiling> all_ceilings(ThreadPool& pool, const CeilingOptions& options);

}  // namespace mtmd::bench
