// Voice activity on sounds made here: what speech has (voiced syllables with formants, hisses, pauses), and what is
// none.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "encoders/audio/made_sounds.h"
#include "encoders/audio/vad.h"

namespace mtmd::audio {
namespace {

using namespace testing;  // NOLINT: mtmd::audio::testing
using ::testing::IsEmpty;

std::vector<SpeechSegment> segments_of(std::span<const float> sound, std::size_t block = 8000) {
  VoiceActivity voice;
  std::vector<SpeechSegment> all;
  for (std::size_t at = 0; at < sound.size(); at += block) {
    voice.push(sound.subspan(at, std::min(block, sound.size() - at)));
    for (const SpeechSegment& s : voice.take()) {
      EXPECT_LE(s.end, voice.decided());
      all.push_back(s);
    }
    if (const auto open = voice.open_since()) {
      EXPECT_LE(*open, voice.decided());
      if (!all.empty()) {
        EXPECT_GE(*open, all.back().end);
      }
    }
  }
  voice.finish();
  for (const SpeechSegment& s : voice.take()) all.push_back(s);
  EXPECT_EQ(voice.decided(), std::ssize(sound));
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_LT(all[i].begin, all[i].end);
    EXPECT_GE(all[i].begin, i == 0 ? 0 : all[i - 1].end);
    EXPECT_LE(all[i].end, std::ssize(sound));
  }
  return all;
}

double seconds_in(const std::vector<SpeechSegment>& all) {
  std::int64_t sum = 0;
  for (const SpeechSegment& s : all) sum += s.end - s.begin;
  return static_cast<double>(sum) / kRate;
}

/// 2 s of quiet, 3 s of speech, 2 s of quiet, 2 s of speech, 2 s of quiet.
void expect_both(const std::vector<float>& sound) {
  const auto got = segments_of(sound);
  ASSERT_EQ(got.size(), 2u);
  constexpr double kLate = 0.15, kEarly = 0.4;
  const auto check = [&](const SpeechSegment& s, double begin, double end) {
    EXPECT_GE(static_cast<double>(s.begin) / kRate, begin - kEarly);
    EXPECT_LE(static_cast<double>(s.begin) / kRate, begin + kLate);
    EXPECT_LE(static_cast<double>(s.end) / kRate, end + kEarly);
    EXPECT_GE(static_cast<double>(s.end) / kRate, end - kLate);
  };
  check(got[0], 2, 5), check(got[1], 7, 9);
}
std::vector<float> two_sayings(float loud = 0.3f) {
  return joined({silence(2), speech(3, loud), silence(2), speech(2, loud, 7), silence(2)});
}

TEST(VoiceActivity, FindsSpeechBetweenSilences) { expect_both(two_sayings()); }
TEST(VoiceActivity, FindsQuietSpeech) { expect_both(two_sayings(0.003f)); }
TEST(VoiceActivity, FindsClippedSpeech) {
  auto sound = two_sayings(8.0f);
  for (float& v : sound) v = std::clamp(v, -1.0f, 1.0f);
  expect_both(sound);
}
TEST(VoiceActivity, FindsSpeechInNoise) { expect_both(mixed(two_sayings(), white(11, 0.01f))); }
TEST(VoiceActivity, FindsSpeechOverHum) { expect_both(mixed(two_sayings(), hum(11, 0.2f))); }

TEST(VoiceActivity, SteadySoundsAreNoSpeech) {
  EXPECT_THAT(segments_of(silence(20)), IsEmpty());
  EXPECT_THAT(segments_of(white(20, 0.1f)), IsEmpty());
  EXPECT_THAT(segments_of(hum(20, 0.3f)), IsEmpty());
  EXPECT_THAT(segments_of(mixed(hum(20, 0.3f), white(20, 0.05f))), IsEmpty());
  // Switched on and off.
  EXPECT_THAT(segments_of(joined({silence(4), hum(6, 0.3f), silence(4)})), IsEmpty());
  EXPECT_THAT(segments_of(joined({white(4, 0.0005f), white(6, 0.1f), white(4, 0.0005f)})), IsEmpty());
}

TEST(VoiceActivity, ClicksAndTonesAreNoSpeech) {
  std::vector<float> clicks = silence(10);
  for (std::size_t i = 3000; i < clicks.size(); i += 11000) clicks[i] = 0.9f, clicks[i + 1] = -0.9f;
  EXPECT_THAT(segments_of(clicks), IsEmpty());
  std::vector<float> melody;
  for (const double hz : {440.0, 494.0, 523.0, 587.0, 659.0, 440.0, 880.0, 330.0})
    melody = joined({melody, tone(0.4, hz, 0.3f), silence(0.1)});
  EXPECT_LT(seconds_in(segments_of(joined({silence(2), melody, silence(2)}))), 0.5);
}

TEST(VoiceActivity, ShortPausesBelongToSpeech) {
  EXPECT_EQ(segments_of(joined({silence(2), speech(1.5), silence(0.15), speech(1.5), silence(2)})).size(), 1u);
}

TEST(VoiceActivity, HowTheSoundIsCutIntoCallsChangesNothing) {
  const auto sound = mixed(two_sayings(), white(11, 0.003f));
  const auto wanted = segments_of(sound);
  for (const std::size_t block : {std::size_t{1}, std::size_t{159}, std::size_t{160}, std::size_t{4801}, sound.size()})
    EXPECT_EQ(segments_of(sound, block), wanted) << block;
}

TEST(VoiceActivity, OddInput) {
  EXPECT_THAT(segments_of({}), IsEmpty());
  for (const std::size_t n : {1u, 159u, 160u, 319u, 320u, 481u})
    EXPECT_THAT(segments_of(std::vector<float>(n, 0.5f)), IsEmpty()) << n;
  EXPECT_THAT(segments_of(std::vector<float>(32000, 1e6f)), IsEmpty());
  EXPECT_EQ(segments_of(speech(3)).size(), 1u);  // from the first sample to the last
}

/// What is undecided never grows beyond a few seconds.
TEST(VoiceActivity, DecisionsAreNotPutOff) {
  VoiceActivity voice;
  std::vector<float> sound;
  for (unsigned i = 0; i < 12; ++i)
    sound = joined({sound, speech(0.06, 0.3f, i), white(0.2, 0.02f), tone(0.5, 200.0 + 40 * i, 0.2f)});
  sound = joined({sound, speech(20), white(3, 0.01f)});
  for (std::size_t at = 0; at + 800 <= sound.size(); at += 800) {
    voice.push(std::span(sound).subspan(at, 800));
    EXPECT_LE(static_cast<double>(static_cast<std::int64_t>(at) - voice.decided()) / kRate, 4.6);
  }
}

}  // namespace
}  // namespace mtmd::audio
