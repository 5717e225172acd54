// Recordings in files, written here byte by byte.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "engine/base/error.h"
#include "mtmd/media/sound_file.h"
#include "mtmd/media/sound_writers.h"

namespace mtmd::media {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::HasSubstr;

using namespace testing;  // NOLINT: mtmd::media::testing

std::string error_of(const Bytes& bytes, ErrorCategory category, const SoundOptions& options = {}) {
  try {
    (void)decode_sound(bytes, "clip", options);
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), category) << e.what();
    return e.what();
  }
  return "";
}

TEST(SoundFile, SixteenBits) {
  const auto sound = decode_sound(wav<std::int16_t>({0, 16384, -32768, 32767}, 1, 16000), "clip");
  EXPECT_THAT(sound.samples, ElementsAre(0.0f, 0.5f, -1.0f, 32767.0f / 32768));
  EXPECT_EQ(sound.facts.rate, 16000);
  EXPECT_EQ(sound.facts.channels, 1);
  EXPECT_EQ(sound.facts.frames, 4);
  EXPECT_TRUE(sound.facts.warnings.empty());
}

TEST(SoundFile, EightBitsByBothConventions) {
  const auto bytes = wav<std::uint8_t>({0, 128, 255}, 1, 8000);
  EXPECT_THAT(decode_sound(bytes, "clip").samples, ElementsAre(-1.0f, 0.0f, 127.0f / 128));
  const auto reference = decode_sound(bytes, "clip", {.convention = Convention::reference}).samples;
  EXPECT_THAT(reference, ElementsAre(-1.0f, FloatNear(1.0f / 255, 1e-7f), 1.0f));
}

TEST(SoundFile, ChannelsAreAveraged) {
  const auto sound = decode_sound(wav<float>({1.0f, 0.0f, -1.0f, 0.5f}, 2, 48000, true), "clip");
  EXPECT_THAT(sound.samples, ElementsAre(0.5f, -0.25f));
  std::vector<float> many(64 * 3, 0.25f);
  EXPECT_THAT(decode_sound(wav(many, 64, 48000, true), "clip").samples, ElementsAre(0.25f, 0.25f, 0.25f));
}

TEST(SoundFile, LongerThanOneBlock) {
  std::vector<std::int16_t> data(50001);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::int16_t>(i % 30000);
  const auto sound = decode_sound(wav(data, 1, 22050), "clip");
  ASSERT_EQ(sound.samples.size(), data.size());
  for (std::size_t i = 0; i < data.size(); ++i) ASSERT_EQ(sound.samples[i], static_cast<float>(data[i]) / 32768);
}

TEST(SoundFile, WrongFiles) {
  EXPECT_THAT(error_of({}, ErrorCategory::input), HasSubstr("not a recording"));
  Bytes text;
  say(text, "Once upon a time there was a recording that was no recording.");
  EXPECT_THAT(error_of(text, ErrorCategory::input), HasSubstr("not a recording"));
  Bytes stub;
  say(stub, "RIFFxxxxWAVE");
  EXPECT_THAT(error_of(stub, ErrorCategory::input), HasSubstr("damaged"));
  EXPECT_THAT(error_of(wav<std::int16_t>({}, 1, 16000), ErrorCategory::input), HasSubstr("no samples"));
  EXPECT_NE(error_of(wav<std::int16_t>({1, 2}, 1, 1 << 30), ErrorCategory::input), "");
  EXPECT_THAT(
      error_of(wav<std::int16_t>(std::vector<std::int16_t>(100), 1, 10), ErrorCategory::resource, {.max_seconds = 5}),
      HasSubstr("longer than 5 s"));
}

TEST(SoundFile, AHeaderThatPromisesMoreGivesWhatIsThere) {
  const auto sound = decode_sound(wav<std::int16_t>({1, 2, 3}, 1, 16000, false, 1 << 30), "clip");
  EXPECT_EQ(sound.samples.size(), 3u);
}

TEST(SoundFile, EveryTruncationEndsInAnErrorOrAPart) {
  const Bytes whole = wav<std::int16_t>({1, 2, 3, 4, 5, 6, 7, 8}, 2, 16000);
  for (std::size_t n = 0; n < whole.size(); ++n) {
    const Bytes part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n));
    try {
      EXPECT_LE(decode_sound(part, "clip").samples.size(), 4u) << n;
    } catch (const Error& e) {
      EXPECT_EQ(e.category(), ErrorCategory::input) << n;
    }
  }
}

TEST(Resample, KeepsATone) {
  for (const int from : {8000, 22050, 44100, 48000, 192000}) {
    std::vector<float> tone(static_cast<std::size_t>(from));  // 1 s of 440 Hz
    for (std::size_t i = 0; i < tone.size(); ++i)
      tone[i] = static_cast<float>(std::sin(2 * M_PI * 440 * static_cast<double>(i) / from));
    const auto out = resample(tone, from, 16000);
    ASSERT_NEAR(static_cast<double>(out.size()), 16000, 1) << from;
    for (std::size_t i = 200; i + 200 < out.size(); ++i)
      ASSERT_NEAR(out[i], std::sin(2 * M_PI * 440 * static_cast<double>(i) / 16000), 1e-3) << from << " " << i;
  }
}

TEST(Resample, RemovesWhatTheRateCannotHold) {
  std::vector<float> tone(48000);
  for (std::size_t i = 0; i < tone.size(); ++i)
    tone[i] = static_cast<float>(std::sin(2 * M_PI * 12000 * static_cast<double>(i) / 48000));
  const auto out = resample(tone, 48000, 16000);
  for (std::size_t i = 200; i + 200 < out.size(); ++i) ASSERT_NEAR(out[i], 0.0f, 1e-3) << i;
}

TEST(Resample, OddArguments) {
  EXPECT_TRUE(resample({}, 8000, 16000).empty());
  const std::vector<float> one = {0.5f};
  EXPECT_EQ(resample(one, 16000, 16000), one);
  EXPECT_THROW(resample(one, 0, 16000), Error);
  EXPECT_THROW(resample(one, 16000, -1), Error);
  EXPECT_THROW(resample(one, 1 << 21, 16000), Error);
}

}  // namespace
}  // namespace mtmd::media
