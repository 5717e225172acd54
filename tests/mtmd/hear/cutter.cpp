// Recordings -> windows: nothing is lost, nothing is too long, cuts lie where nobody speaks.
#include "mtmd/hear/cutter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "encoders/audio/made_sounds.h"
#include "engine/base/error.h"

namespace mtmd {
namespace {

using namespace audio::testing;  // NOLINT: sounds
using audio::kRate;

SoundCutter::Read reader_of(const std::vector<float>& sound) {
  return [&sound, at = std::size_t{0}](std::span<float> to) mutable {
    const std::size_t n = std::min(to.size(), sound.size() - at);
    std::copy_n(sound.begin() + static_cast<std::ptrdiff_t>(at), n, to.begin());
    at += n;
    return n;
  };
}

/// All windows, checked for what must always hold.
std::vector<SoundWindow> windows_of(const std::vector<float>& sound, const CutOptions& options = {}) {
  SoundCutter cutter(reader_of(sound), options);
  std::vector<SoundWindow> all;
  std::int64_t covered = 0;
  while (auto w = cutter.next()) {
    EXPECT_LE(w->begin, covered);
    EXPECT_GE(w->begin, covered - std::lround(options.overlap_seconds * kRate));
    EXPECT_GT(w->end(), covered);
    EXPECT_LE(std::ssize(w->samples), std::lround(options.max_seconds * kRate));
    if (w->speaks()) {
      EXPECT_GE(w->speech_begin, w->begin);
      EXPECT_LE(w->speech_end, w->end());
    }
    EXPECT_TRUE(
        std::equal(w->samples.begin(), w->samples.end(), sound.begin() + static_cast<std::ptrdiff_t>(w->begin)));
    covered = w->end();
    all.push_back(std::move(*w));
  }
  EXPECT_EQ(covered, std::ssize(sound));
  EXPECT_FALSE(cutter.next());
  return all;
}

TEST(SoundCutter, ShortRecordingsAreOneWindow) {
  const auto all = windows_of(joined({silence(0.5), speech(4), silence(0.5)}));
  ASSERT_EQ(all.size(), 1u);
  EXPECT_TRUE(all[0].speaks());
}

TEST(SoundCutter, SilenceIsAWindowOfItsOwn) {
  const auto all = windows_of(joined({silence(10), speech(4), silence(70), speech(3), silence(5)}));
  std::vector<bool> speaks;
  double heard = 0;
  for (const SoundWindow& w : all) {
    if (speaks.empty() || speaks.back() != w.speaks()) speaks.push_back(w.speaks());
    if (w.speaks()) heard += static_cast<double>(w.samples.size()) / kRate;
  }
  EXPECT_EQ(speaks, (std::vector<bool>{false, true, false, true, false}));
  EXPECT_LT(heard, 9);
}

TEST(SoundCutter, CutsAtPauses) {
  std::vector<float> sound;
  std::vector<double> pauses;  // middles
  for (unsigned i = 0; i < 20; ++i) {
    sound = joined({sound, speech(5 + i % 3, 0.3f, i)});
    pauses.push_back(static_cast<double>(sound.size()) / kRate + 0.4);
    sound = joined({sound, silence(0.8)});
  }
  const auto all = windows_of(sound);
  EXPECT_LE(all.size(), 7u);  // 136 s
  for (std::size_t i = 0; i + 1 < all.size(); ++i) {
    EXPECT_EQ(all[i].end(), all[i + 1].begin);
    const double cut = static_cast<double>(all[i].end()) / kRate;
    double nearest = 1e9;
    for (const double p : pauses) nearest = std::min(nearest, std::abs(p - cut));
    EXPECT_LT(nearest, 0.3) << cut;
  }
}

TEST(SoundCutter, SpeechWithoutPausesIsCutWhereItIsQuietAndOverlaps) {
  const auto sound = speech(100);
  const auto all = windows_of(sound);
  ASSERT_GE(all.size(), 4u);
  for (std::size_t i = 0; i + 1 < all.size(); ++i) {
    EXPECT_EQ(all[i].end() - all[i + 1].begin, kRate);
    // Between two syllables, which are a quarter of a second long.
    const auto into = all[i].end() % (kRate / 4);
    EXPECT_LT(std::min<std::int64_t>(into, kRate / 4 - into), kRate / 16);
  }
}

TEST(SoundCutter, EveryLengthIsCoveredToTheLastSample) {
  for (const double seconds : {0.01, 1.0, 29.9, 30.0, 30.1, 61.0, 180.0}) {
    (void)windows_of(mixed(speech(seconds), white(seconds, 0.003f)));
    (void)windows_of(silence(seconds));
    (void)windows_of(white(seconds, 0.1f), {.max_seconds = 8});
  }
  EXPECT_TRUE(windows_of({}).empty());
}

TEST(SoundCutter, OddOptions) {
  const std::vector<float> none;
  EXPECT_THROW(SoundCutter(reader_of(none), {.max_seconds = 0.5}), Error);
  EXPECT_THROW(SoundCutter(reader_of(none), {.max_seconds = 30, .overlap_seconds = 11}), Error);
  EXPECT_THROW(SoundCutter(reader_of(none), {.max_seconds = 30, .overlap_seconds = -1}), Error);
}

}  // namespace
}  // namespace mtmd
