// Threads that wait for parallel loops: the one source of parallelism of the engine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>

namespace mtmd {

/// Physical cores that this process may use, at least 1.
int physical_cores();

/// A fixed team: the calling thread plus `size() - 1` workers, which spin briefly between loops and then sleep.
/// Every thread takes an equal share of neighbouring chunks, one at a time and in order, and then what is left of the
/// others' shares; a result must therefore depend on the chunk alone, and then it is the same for any number of
/// threads. Several threads may use one pool; their loops take turns. A loop inside a loop runs on its own thread
/// alone.
class ThreadPool {
 public:
  /// threads: 0 = one per physical core. Throws Error(resource) when a thread cannot be started.
  explicit ThreadPool(int threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const noexcept { return size_; }

  /// Calls body(chunk) for every chunk in [0, chunks) and returns when all are done. If calls throw, the first
  /// exception is rethrown here after the loop; chunks that nobody has begun are dropped.
  template <class F>
  void parallel_for(std::int64_t chunks, F&& body) {
    if (chunks <= 0) return;
    if (chunks == 1 || size_ == 1) {
      for (std::int64_t i = 0; i < chunks; ++i) body(i);
      return;
    }
    using Body = std::remove_reference_t<F>;
    run(
        chunks, [](const void* f, std::int64_t chunk) { (*static_cast<Body*>(const_cast<void*>(f)))(chunk); }, &body);
  }

  /// The same over [0, n) cut into pieces of `grain` (the last may be shorter): body(begin, end).
  template <class F>
  void parallel_ranges(std::int64_t n, std::int64_t grain, F&& body) {
    if (n <= 0) return;
    grain = grain < 1 ? 1 : grain;
    parallel_for((n + grain - 1) / grain, [&](std::int64_t chunk) {
      const std::int64_t begin = chunk * grain;
      body(begin, begin + grain < n ? begin + grain : n);
    });
  }

 private:
  using Call = void (*)(const void* body, std::int64_t chunk);
  void run(std::int64_t chunks, Call call, const void* body);

  struct State;
  std::unique_ptr<State> state_;
  int size_ = 1;
};

}  // namespace mtmd
