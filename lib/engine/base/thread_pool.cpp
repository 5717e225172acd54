#include "engine/base/thread_pool.h"

#include <atomic>
#include <chrono>
#include <exception>
#include <fstream>
#include <mutex>
#include <set>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <sched.h>
#endif

#include "engine/base/error.h"

namespace mtmd {
namespace {

/// How long a waiting thread looks before it sleeps: longer than the gap between two ops, shorter than a time slice, so
/// that on a machine with other work the core is soon given away. A pause takes 20 to 150 cycles, hence a clock.
constexpr std::chrono::microseconds kSpinTime{60};
constexpr int kSpinsPerLook = 16;

void relax() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Returns once `value` differs from `old`.
template <class T>
void wait_while_equal(const std::atomic<T>& value, T old) noexcept {
  const auto end = std::chrono::steady_clock::now() + kSpinTime;
  do {
    for (int i = 0; i < kSpinsPerLook; ++i) {
      if (value.load(std::memory_order_acquire) != old) return;
      relax();
    }
  } while (std::chrono::steady_clock::now() < end);
  value.wait(old, std::memory_order_acquire);
}

thread_local bool in_loop = false;

/// Marks the thread as being inside a loop body.
struct LoopMark {
  LoopMark() noexcept { in_loop = true; }
  ~LoopMark() { in_loop = false; }
};

}  // namespace

int physical_cores() {
#if defined(__linux__)
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) {
    std::set<std::string> cores;  // hyper-threads of one core share a list of siblings
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (!CPU_ISSET(cpu, &allowed)) continue;
      std::ifstream file(fmt::format("/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list", cpu));
      std::string siblings;
      cores.insert(std::getline(file, siblings) ? siblings : std::to_string(cpu));
    }
    if (!cores.empty()) return static_cast<int>(cores.size());
  }
#endif
  const unsigned n = std::thread::hardware_concurrency();
  return n > 0 ? static_cast<int>(n) : 1;
}

struct ThreadPool::State {
  // A worker that sees a new epoch announces itself in `active` and then looks whether the loop is still `open`; the
  // caller closes the loop and then waits for `active` to reach zero. Whichever comes second sees the other, so nobody
  // touches a loop that is over, and a worker that is late (asleep, or without a core) delays nothing.
  alignas(64) std::atomic<std::uint32_t> epoch{0};
  alignas(64) std::atomic<std::uint32_t> active{0};
  alignas(64) std::atomic<bool> open{false};
  std::atomic<bool> stop{false};

  /// The chunks that a thread takes first: neighbours, so that it streams through memory. Whoever is done goes on with
  /// the rest of the others.
  struct alignas(64) Share {
    std::atomic<std::int64_t> next{0};
    std::int64_t end = 0;
  };
  std::vector<Share> shares;  ///< one per thread, the caller's first

  Call call = nullptr;
  const void* body = nullptr;

  std::mutex callers;  ///< held for the length of a loop
  std::mutex error_mutex;
  std::exception_ptr error;
  std::vector<std::thread> workers;

  void share_out(std::int64_t chunks) noexcept {
    const auto n = std::ssize(shares);
    for (std::ptrdiff_t i = 0; i < n; ++i) {
      shares[i].next.store(chunks * i / n, std::memory_order_relaxed);
      shares[i].end = chunks * (i + 1) / n;
    }
  }

  void work(std::size_t self) noexcept {
    const LoopMark mark;
    try {
      for (std::size_t i = 0; i < shares.size(); ++i) {
        Share& share = shares[(self + i) % shares.size()];
        for (;;) {
          const std::int64_t chunk = share.next.fetch_add(1, std::memory_order_relaxed);
          if (chunk >= share.end) break;
          call(body, chunk);
        }
      }
    } catch (...) {
      const std::lock_guard lock(error_mutex);
      if (!error) error = std::current_exception();
      for (Share& share : shares) share.next.store(share.end, std::memory_order_relaxed);
    }
  }

  void worker(std::size_t self) noexcept {
    std::uint32_t seen = 0;
    for (;;) {
      wait_while_equal(epoch, seen);
      seen = epoch.load(std::memory_order_acquire);
      if (stop.load(std::memory_order_acquire)) return;
      active.fetch_add(1, std::memory_order_seq_cst);
      if (open.load(std::memory_order_seq_cst)) work(self);
      if (active.fetch_sub(1, std::memory_order_seq_cst) == 1) active.notify_all();
    }
  }

  void wake() noexcept {
    epoch.fetch_add(1, std::memory_order_release);
    epoch.notify_all();
  }
};

ThreadPool::ThreadPool(int threads) : state_(std::make_unique<State>()) {
  size_ = threads > 0 ? threads : physical_cores();
  state_->shares = std::vector<State::Share>(static_cast<std::size_t>(size_));
  try {
    for (std::size_t i = 1; i < state_->shares.size(); ++i)
      state_->workers.emplace_back([s = state_.get(), i] { s->worker(i); });
  } catch (const std::system_error& e) {
    const std::size_t started = state_->workers.size();
    state_->stop = true;
    state_->wake();
    for (std::thread& t : state_->workers) t.join();
    fail(ErrorCategory::resource, "cannot start thread {} of {}: {}; ask for fewer threads", started + 2, size_,
         e.what());
  }
}

ThreadPool::~ThreadPool() {
  state_->stop.store(true, std::memory_order_release);
  state_->wake();
  for (std::thread& t : state_->workers) t.join();
}

void ThreadPool::run(std::int64_t chunks, Call call, const void* body) {
  if (in_loop) {
    for (std::int64_t i = 0; i < chunks; ++i) call(body, i);
    return;
  }
  State& s = *state_;
  const std::lock_guard lock(s.callers);
  s.share_out(chunks);
  s.call = call;
  s.body = body;
  s.open.store(true, std::memory_order_seq_cst);
  s.wake();
  s.work(0);
  s.open.store(false, std::memory_order_seq_cst);
  for (std::uint32_t n; (n = s.active.load(std::memory_order_seq_cst)) != 0;) wait_while_equal(s.active, n);
  if (s.error) std::rethrow_exception(std::exchange(s.error, nullptr));
}

}  // namespace mtmd
