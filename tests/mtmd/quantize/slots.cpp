#include "mtmd/quantize/slots.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace mtmd::quantize::test {
namespace {

/// GCC 12's std::counting_semaphore lost a thread after 3800 of these rounds, with 20 us before waits in the kernel.
TEST(Slots, NoMoreThanTheyAreAndEveryThreadComesThrough) {
  for (const int n : {1, 2}) {
    Slots slots(n);
    std::atomic<int> inside = 0, most = 0, through = 0;
    for (int round = 0; round < 2000; ++round) {
      std::vector<std::thread> threads;
      for (int i = 0; i < n + 1; ++i)
        threads.emplace_back([&] {
          for (int k = 0; k < 20; ++k) {
            const Slots::Hold slot(slots);
            const int now = ++inside;
            for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) continue;
            --inside;
            ++through;
          }
        });
      for (std::thread& t : threads) t.join();
    }
    EXPECT_LE(most, n);
    EXPECT_EQ(through, 2000 * 20 * (n + 1));
  }
}

}  // namespace
}  // namespace mtmd::quantize::test
