// Working memory of one thread: grows to the largest op seen, then never allocates again.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "engine/base/checked.h"
#include "engine/base/error.h"

namespace mtmd::cpu {

class Scratch {
 public:
  /// Uninitialised, 64-byte aligned, readable 64 bytes past its end; valid until the enclosing Frame ends.
  template <class T>
  T* take(std::int64_t n) {
    const std::size_t bytes = round_up(static_cast<std::size_t>(n) * sizeof(T) + 64, std::size_t{64});
    while (chunk_ < chunks_.size() && chunks_[chunk_].bytes - used_ < bytes) ++chunk_, used_ = 0;
    if (chunk_ == chunks_.size()) grow(bytes);
    std::byte* p = chunks_[chunk_].memory.get() + used_;
    used_ += bytes;
    return reinterpret_cast<T*>(p);
  }

  /// Gives back what was taken since its start.
  class Frame {
   public:
    explicit Frame(Scratch& s) noexcept : s_(s), chunk_(s.chunk_), used_(s.used_) {}
    ~Frame() { s_.chunk_ = chunk_, s_.used_ = used_; }
    Frame(const Frame&) = delete;
    Frame& operator=(const Frame&) = delete;

   private:
    Scratch& s_;
    std::size_t chunk_, used_;
  };

  /// The one of the calling thread.
  static Scratch& mine() {
    thread_local Scratch scratch;
    return scratch;
  }

 private:
  struct Free {
    void operator()(std::byte* p) const noexcept { std::free(p); }
  };
  struct Chunk {
    std::unique_ptr<std::byte, Free> memory;
    std::size_t bytes = 0;
  };

  void grow(std::size_t bytes) {
    constexpr std::size_t kUnit = std::size_t{2} << 20;  // a huge page: panels are read over and over
    bytes = round_up(bytes, kUnit);
    auto* p = static_cast<std::byte*>(std::aligned_alloc(kUnit, bytes));
    if (!p) fail(ErrorCategory::resource, "out of memory: {} MiB of working memory; use a smaller batch", bytes >> 20);
#if defined(__linux__)
    ::madvise(p, bytes, MADV_HUGEPAGE);
#endif
    chunks_.push_back({std::unique_ptr<std::byte, Free>(p), bytes});
    used_ = 0;
  }

  std::vector<Chunk> chunks_;
  std::size_t chunk_ = 0, used_ = 0;
};

}  // namespace mtmd::cpu
