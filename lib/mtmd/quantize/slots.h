// Private to this folder: how many threads may be at something at once.
#pragma once

#include <condition_variable>
#include <mutex>

namespace mtmd::quantize {

/// A counting semaphore. Not std::counting_semaphore: GCC 12's sleeps while the count is what it was on arrival, though
/// it was taken and given back in between, and then nobody wakes it.
class Slots {
 public:
  explicit Slots(int n) noexcept : free_(n) {}

  /// One slot, from construction to destruction.
  class Hold {
   public:
    explicit Hold(Slots& s) : slots_(s) {
      std::unique_lock lock(s.mutex_);
      s.freed_.wait(lock, [&] { return s.free_ > 0; });
      --s.free_;
    }
    ~Hold() {
      {
        const std::lock_guard lock(slots_.mutex_);
        ++slots_.free_;
      }
      slots_.freed_.notify_one();
    }
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

   private:
    Slots& slots_;
  };

 private:
  std::mutex mutex_;
  std::condition_variable freed_;
  int free_;
};

}  // namespace mtmd::quantize
