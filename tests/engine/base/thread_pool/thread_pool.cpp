#include "engine/base/thread_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

namespace mtmd {
namespace {

TEST(ThreadPool, CallsEveryChunkOnce) {
  for (int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.size(), threads);
    for (std::int64_t n : {0, 1, 2, 7, 1000}) {
      std::vector<int> calls(static_cast<std::size_t>(n));  // plain ints: a chunk called twice at once is a data race
      pool.parallel_for(n, [&](std::int64_t i) { ++calls[static_cast<std::size_t>(i)]; });
      EXPECT_EQ(calls, std::vector<int>(static_cast<std::size_t>(n), 1));
    }
  }
}

TEST(ThreadPool, RangesCoverWithoutOverlap) {
  ThreadPool pool(3);
  for (std::int64_t n : {1, 10, 64, 65})
    for (std::int64_t grain : {0, 1, 7, 64, 1000}) {
      std::vector<int> calls(static_cast<std::size_t>(n));
      pool.parallel_ranges(n, grain, [&](std::int64_t begin, std::int64_t end) {
        EXPECT_LT(begin, end);
        for (std::int64_t i = begin; i < end; ++i) ++calls[static_cast<std::size_t>(i)];
      });
      EXPECT_EQ(calls, std::vector<int>(static_cast<std::size_t>(n), 1));
    }
}

TEST(ThreadPool, WorkersTakePart) {
  ThreadPool pool(2);
  std::atomic<int> inside{0};
  // Both chunks wait for each other, which one thread alone could never finish.
  pool.parallel_for(2, [&](std::int64_t) {
    ++inside;
    while (inside.load() < 2) std::this_thread::yield();
  });
  EXPECT_EQ(inside.load(), 2);
}

// Each thread begins its own run of neighbours: the first chunks of the two runs wait for each other, and whoever comes
// to the second half last finds the rest of it done or to do.
TEST(ThreadPool, SharesAreRunsThatOthersFinish) {
  ThreadPool pool(2);
  constexpr std::int64_t n = 64;
  std::vector<std::thread::id> by(n);
  std::atomic<bool> begun[2] = {false, false};
  pool.parallel_for(n, [&](std::int64_t i) {
    by[static_cast<std::size_t>(i)] = std::this_thread::get_id();
    if (i == 0 || i == n / 2) {
      begun[i != 0] = true;
      while (!begun[i == 0]) std::this_thread::yield();
    }
  });
  EXPECT_NE(by[0], by[n / 2]);
  EXPECT_EQ(by[0], std::this_thread::get_id());

  // One thread that is held up in its first chunk leaves all others to the second one.
  std::atomic<std::int64_t> done{0};
  std::atomic<bool> held{false};
  pool.parallel_for(n, [&](std::int64_t i) {
    if (!held.exchange(true))
      while (done.load() < n - 1) std::this_thread::yield();
    by[static_cast<std::size_t>(i)] = std::this_thread::get_id();
    ++done;
  });
  EXPECT_EQ(done.load(), n);
  std::map<std::thread::id, int> count;
  for (const std::thread::id& id : by) ++count[id];
  EXPECT_EQ(count.size(), 2u);
  EXPECT_EQ(std::min(count.begin()->second, count.rbegin()->second), 1);
}

TEST(ThreadPool, ResultsOfALoopAreVisibleToTheNext) {
  ThreadPool pool(4);
  std::vector<std::int64_t> a(64), b(64);
  for (std::int64_t round = 1; round <= 2000; ++round) {
    pool.parallel_for(
        64, [&](std::int64_t i) { a[static_cast<std::size_t>(i)] = b[static_cast<std::size_t>(63 - i)] + 1; });
    pool.parallel_for(64,
                      [&](std::int64_t i) { b[static_cast<std::size_t>(i)] = a[static_cast<std::size_t>(63 - i)]; });
    ASSERT_EQ(b, std::vector<std::int64_t>(64, round));
  }
}

TEST(ThreadPool, WakesSleepers) {
  ThreadPool pool(3);
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // longer than workers spin
    std::atomic<int> inside{0};
    pool.parallel_for(3, [&](std::int64_t) {
      ++inside;
      while (inside.load() < 3) std::this_thread::yield();
    });
  }
}

TEST(ThreadPool, NestedLoopsRunInline) {
  ThreadPool pool(4);
  std::atomic<int> wrong{0}, calls{0};
  pool.parallel_for(16, [&](std::int64_t) {
    const std::thread::id here = std::this_thread::get_id();
    pool.parallel_for(16, [&](std::int64_t) {
      if (std::this_thread::get_id() != here) ++wrong;
      ++calls;
    });
  });
  EXPECT_EQ(wrong.load(), 0);
  EXPECT_EQ(calls.load(), 256);
}

TEST(ThreadPool, FirstExceptionReachesTheCallerAndThePoolLivesOn) {
  for (int threads : {1, 4}) {
    ThreadPool pool(threads);
    std::atomic<int> calls{0};
    EXPECT_THROW(pool.parallel_for(1000,
                                   [&](std::int64_t i) {
                                     ++calls;
                                     if (i == 3) throw std::runtime_error("chunk 3");
                                   }),
                 std::runtime_error);
    EXPECT_GE(calls.load(), 4);
    calls = 0;
    pool.parallel_for(100, [&](std::int64_t) { ++calls; });
    EXPECT_EQ(calls.load(), 100);
  }
}

TEST(ThreadPool, SeveralCallersTakeTurns) {
  ThreadPool pool(3);
  std::vector<std::thread> callers;
  std::vector<std::int64_t> sums(4);
  for (std::size_t c = 0; c < sums.size(); ++c)
    callers.emplace_back([&, c] {
      for (int round = 0; round < 200; ++round) {
        std::vector<std::int64_t> values(32);
        pool.parallel_for(32, [&](std::int64_t i) { values[static_cast<std::size_t>(i)] = i; });
        for (std::int64_t v : values) sums[c] += v;
      }
    });
  for (std::thread& t : callers) t.join();
  EXPECT_EQ(sums, std::vector<std::int64_t>(4, 200 * 31 * 16));
}

TEST(ThreadPool, PhysicalCores) {
  EXPECT_GE(physical_cores(), 1);
  EXPECT_LE(physical_cores(), static_cast<int>(std::max(1u, std::thread::hardware_concurrency())));
  EXPECT_EQ(ThreadPool().size(), physical_cores());
}

}  // namespace
}  // namespace mtmd
