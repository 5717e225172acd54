// The block tables against a model that simply copies everything.
#include "engine/kv/cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "engine/base/error.h"

namespace mtmd::kv {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class CacheTest : public testing::Test {
 protected:
  Cache make(Options options, std::vector<LayerShape> layers = {{4, 2}}) { return Cache(*device_, layers, options); }
  /// Stores (value, value + 0.5) in every column of the sequence's next rows.
  void store(Cache& cache, SequenceId id, const std::vector<float>& values) {
    const auto rows = cache.append(id, static_cast<std::int32_t>(values.size()));
    for (std::size_t layer = 0; layer < cache.n_layers(); ++layer) {
      const KvLayer& l = cache.layer(layer);
      if (!l.k) continue;
      std::vector<float> k, v;
      for (float x : values) {
        k.insert(k.end(), l.key_cols, x + static_cast<float>(layer));
        v.insert(v.end(), l.value_cols, x + static_cast<float>(layer) + 0.5f);
      }
      const auto n = static_cast<std::int64_t>(values.size());
      device_->kv_store(l, Tensor(k.data(), n, l.key_cols), Tensor(v.data(), n, l.value_cols), rows);
    }
  }
  /// First K value of every token, read through the block table of an F32 cache.
  static std::vector<float> keys(const Cache& cache, SequenceId id, std::size_t layer = 0) {
    const KvLayer& l = cache.layer(layer);
    std::vector<float> out;
    for (std::int32_t i = 0; i < cache.length(id); ++i) {
      const std::int64_t row = std::int64_t{cache.blocks(id)[i / l.block_tokens]} * l.block_tokens + i % l.block_tokens;
      out.push_back(reinterpret_cast<const float*>(l.k)[row * l.key_cols]);
    }
    return out;
  }

  std::unique_ptr<Device> device_ = make_device("reference");
};

TEST_F(CacheTest, GivesRowsInWholeBlocks) {
  Cache cache = make({DType::F32, 10, 4});  // three blocks
  EXPECT_EQ(cache.free_tokens(), 12);
  EXPECT_THAT(cache.append(0, 3), ElementsAre(0, 1, 2));
  EXPECT_THAT(cache.append(1, 1), ElementsAre(4));
  EXPECT_THAT(cache.append(0, 3), ElementsAre(3, 8, 9));
  EXPECT_EQ(cache.length(0), 6);
  EXPECT_EQ(cache.free_tokens(), 0);
  EXPECT_THAT(cache.blocks(0), ElementsAre(0, 2));
  EXPECT_TRUE(cache.blocks(7).empty());
  EXPECT_EQ(cache.length(-1), 0);
}

TEST_F(CacheTest, FullContextSaysHowMuchWouldDoAndChangesNothing) {
  Cache cache = make({DType::F32, 8, 4});
  cache.append(0, 3);
  try {
    cache.append(0, 9);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), ErrorCategory::resource);
    EXPECT_THAT(e.what(), HasSubstr("at least 12"));
  }
  EXPECT_EQ(cache.length(0), 3);
  EXPECT_EQ(cache.free_tokens(), 4);
  EXPECT_EQ(cache.append(0, 5).size(), 5u);
  EXPECT_THROW(cache.append(0, 1), Error);
  EXPECT_EQ(cache.append(0, 0).size(), 0u);
}

TEST_F(CacheTest, ForksShareUntilOneIsWrittenTo) {
  Cache cache = make({DType::F32, 64, 4}, {{4, 2}, {0, 0}, {8, 8}});
  store(cache, 0, {1, 2, 3, 4, 5});
  cache.fork(0, 3);
  EXPECT_EQ(cache.free_tokens(), 64 - 8);
  store(cache, 3, {6});
  EXPECT_EQ(cache.free_tokens(), 64 - 12);  // the half-full block was copied, the full one is still shared
  store(cache, 0, {7, 8});
  for (std::size_t layer : {0u, 2u}) {
    const auto f = static_cast<float>(layer);
    EXPECT_THAT(keys(cache, 0, layer), ElementsAre(1 + f, 2 + f, 3 + f, 4 + f, 5 + f, 7 + f, 8 + f));
    EXPECT_THAT(keys(cache, 3, layer), ElementsAre(1 + f, 2 + f, 3 + f, 4 + f, 5 + f, 6 + f));
  }
  cache.clear(0);
  EXPECT_THAT(keys(cache, 3), ElementsAre(1, 2, 3, 4, 5, 6));
  cache.clear(3);
  EXPECT_EQ(cache.free_tokens(), 64);
}

TEST_F(CacheTest, TruncationWithinASharedBlockKeepsTheOther) {
  Cache cache = make({DType::F32, 64, 4});
  store(cache, 0, {1, 2, 3, 4, 5, 6});
  cache.fork(0, 1);
  cache.truncate(1, 2);
  store(cache, 1, {9});
  EXPECT_THAT(keys(cache, 0), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(keys(cache, 1), ElementsAre(1, 2, 9));
  cache.truncate(1, 99);
  EXPECT_EQ(cache.length(1), 3);
}

TEST_F(CacheTest, RandomEditsAgreeWithPlainCopies) {
  Cache cache = make({DType::F32, 160, 8});
  std::map<SequenceId, std::vector<float>> want;
  std::mt19937 random(1);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  float next = 0;
  int refused = 0;
  for (int step = 0; step < 3000; ++step) {
    const SequenceId id = below(5), other = below(5);
    switch (below(6)) {
      case 0:
        cache.fork(id, other), want[other] = std::vector(want[id]);
        break;
      case 1: {
        const int length = below(30);
        cache.truncate(id, length);
        if (length < std::ssize(want[id])) want[id].resize(length);
        break;
      }
      case 2:
        if (below(3) == 0) cache.clear(id), want[id].clear();
        break;
      default: {
        std::vector<float> values(1 + below(9));
        for (float& v : values) v = next++;
        try {
          store(cache, id, values);
          want[id].insert(want[id].end(), values.begin(), values.end());
        } catch (const Error& e) {
          ASSERT_EQ(e.category(), ErrorCategory::resource);
          ++refused;
        }
      }
    }
    std::set<std::int32_t> used;
    for (SequenceId s = 0; s < 5; ++s) {
      ASSERT_EQ(keys(cache, s), want[s]) << "step " << step << " sequence " << s;
      used.insert(cache.blocks(s).begin(), cache.blocks(s).end());
    }
    ASSERT_EQ(cache.free_tokens(), 160 - 8 * std::ssize(used));  // nothing leaks, nothing is freed twice
  }
  EXPECT_GT(refused, 0);
}

TEST_F(CacheTest, CopiesBlocksOfEveryType) {
  for (DType type : {DType::F32, DType::F16, DType::Q8_0}) {
    Cache cache = make({type, 8, 2}, {{32, 32}});
    store(cache, 0, {3});
    cache.fork(0, 1);
    store(cache, 1, {5});
    const KvLayer& l = cache.layer(0);
    const std::size_t row = row_bytes(type, 32);
    ASSERT_NE(cache.blocks(0)[0], cache.blocks(1)[0]);
    EXPECT_EQ(std::memcmp(l.k + cache.blocks(0)[0] * 2 * row, l.k + cache.blocks(1)[0] * 2 * row, row), 0)
        << name(type);
    EXPECT_EQ(std::memcmp(l.v + cache.blocks(0)[0] * 2 * row, l.v + cache.blocks(1)[0] * 2 * row, row), 0)
        << name(type);
  }
}

TEST_F(CacheTest, CountsItsBytes) {
  const std::vector<LayerShape> layers(3, {64, 32});
  EXPECT_EQ(Cache::bytes_needed(layers, {DType::F16, 100, 32}), 3u * 128 * (64 + 32) * 2);
  EXPECT_EQ(Cache::bytes_needed(layers, {DType::Q8_0, 128, 32}), 3u * 128 * (64 + 32) / 32 * 34);
  EXPECT_EQ(make({DType::F16, 100, 32}, layers).bytes(), 3u * 128 * (64 + 32) * 2);
}

TEST_F(CacheTest, RefusesWhatItCannotStore) {
  const auto category = [&](Options o, std::vector<LayerShape> layers) {
    try {
      make(o, layers);
    } catch (const Error& e) {
      return e.category();
    }
    return ErrorCategory::strict;
  };
  EXPECT_EQ(category({DType::Q8_0, 8, 4}, {{48, 48}}), ErrorCategory::usage);
  EXPECT_EQ(category({DType::BF16, 8, 4}, {{64, 64}}), ErrorCategory::usage);
  EXPECT_EQ(category({DType::F32, 0, 4}, {{64, 64}}), ErrorCategory::usage);
  EXPECT_EQ(category({DType::F32, 2'000'000'000, 32}, std::vector<LayerShape>(4096, {1 << 25, 1 << 25})),
            ErrorCategory::resource);
  Cache cache = make({DType::F32, 8, 4});
  EXPECT_THROW(cache.append(-1, 1), Error);
  EXPECT_THROW(cache.append(kMaxSequences, 1), Error);
  EXPECT_THROW(cache.append(0, -1), Error);
}

/// A recurrent layer beside one with keys and values.
class StateTest : public CacheTest {
 protected:
  Cache cache_ = make({DType::F32, 40, 4}, {{0, 0, 3}, {4, 2}, {0, 0, 2}});
  void set(SequenceId id, float value) {
    for (std::size_t layer : {0u, 2u})
      for (float& v : cache_.state(layer, id).row_span(0)) v = value + static_cast<float>(layer);
  }
  void expect(SequenceId id, float value) {
    ASSERT_EQ(cache_.state(0, id).cols, 3);
    ASSERT_EQ(cache_.state(2, id).cols, 2);
    for (float v : cache_.state(0, id).row_span(0)) EXPECT_EQ(v, value);
    for (float v : cache_.state(2, id).row_span(0)) EXPECT_EQ(v, value == 0.0f ? 0.0f : value + 2);
  }
};

TEST_F(StateTest, StartsWithZerosAndComesBackToCheckpoints) {
  cache_.append(0, 5);
  expect(0, 0);
  set(0, 5);
  cache_.checkpoint(0);
  cache_.append(0, 3);
  set(0, 8);
  EXPECT_EQ(cache_.truncate(0, 9), 8);  // nothing behind
  expect(0, 8);
  EXPECT_EQ(cache_.truncate(0, 5), 5);
  expect(0, 5);
  EXPECT_EQ(cache_.length(0), 5);
  cache_.append(0, 2);
  EXPECT_EQ(cache_.truncate(0, 6), 0);  // no state is known there: everything must be run again
  EXPECT_EQ(cache_.length(0), 0);
  EXPECT_EQ(cache_.free_tokens(), 40);
  cache_.append(0, 1);
  expect(0, 0);
}

TEST_F(StateTest, ForksHaveTheirOwn) {
  cache_.append(0, 5);
  set(0, 5);
  cache_.fork(0, 1);
  cache_.append(1, 1);
  set(1, 6);
  expect(0, 5);
  expect(1, 6);
  cache_.clear(1);
  cache_.append(1, 1);
  expect(1, 0);
  EXPECT_EQ(Cache::bytes_needed(std::vector<LayerShape>{{0, 0, 3}}, {DType::F16, 40, 4}), 2u * 3 * sizeof(float));
}

}  // namespace
}  // namespace mtmd::kv
