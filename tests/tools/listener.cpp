// The built-in model hears a voice message, in whatever format it was recorded.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sndfile.h>
#include <soxr.h>

#include <cctype>
#include <nlohmann/json.hpp>
#include <numeric>

#include "mtmd/media/sound_stream.h"
#include "mtmd/media/sound_writers.h"
#include "tools/process.h"

namespace mtmd::test {
namespace {

using media::testing::by_libav;
using media::testing::by_libsndfile;
using media::testing::Bytes;
using Json = nlohmann::ordered_json;

const std::string kMessage = MTMD_TEST_DATA "/message.opus";
constexpr const char* kSaid =
    "we moved the appointment from tuesday to thursday could you turn the heating down a little i will call you back "
    "as soon as i can";
/// The listener errs (models/README.md says how often); of this message it must get nearly all words.
constexpr double kMostErrors = 0.1;

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words(1);
  for (const char c : text) {
    if (std::isalpha(static_cast<unsigned char>(c)))
      words.back() += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    else if (!words.back().empty())
      words.emplace_back();
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

/// Words put in, left out or changed, as a share of those said (Levenshtein).
double word_error_rate(const std::string& heard) {
  const auto said = words_of(kSaid), got = words_of(heard);
  std::vector<std::size_t> row(got.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < said.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < got.size(); ++j) {
      const std::size_t changed = diagonal + (said[i] == got[j] ? 0 : 1);
      diagonal = std::exchange(row[j + 1], std::min({row[j] + 1, row[j + 1] + 1, changed}));
    }
  }
  return static_cast<double>(row.back()) / static_cast<double>(said.size());
}

/// Mono, as a transcriber gets it.
std::vector<float> decoded(const std::string& path) {
  media::SoundStream stream = media::SoundStream::open_file(path, {});
  std::vector<float> all, block(1 << 14);
  while (const std::size_t n = stream.read(block)) all.insert(all.end(), block.begin(), block.begin() + n);
  return all;
}

std::vector<float> at_rate(const std::vector<float>& samples, int rate) {
  std::vector<float> out(samples.size() * static_cast<std::size_t>(rate) / 16000);
  std::size_t made = 0;
  soxr_oneshot(16000, rate, 1, samples.data(), samples.size(), nullptr, out.data(), out.size(), &made, nullptr, nullptr,
               nullptr);
  out.resize(made);
  return out;
}

TEST(Listener, HearsAVoiceMessage) {
  const Outcome r = run({"transcribe", kMessage});
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_LE(word_error_rate(r.out), kMostErrors) << r.out;
}

TEST(Listener, HearsTheSameInEveryFormat) {
  struct Format {
    const char* name;
    int rate, major, minor;
  };
  const std::vector<float> sound = decoded(kMessage);
  const TemporaryFolder folder;
  std::string first;
  for (const Format& f : {Format{"16k.wav", 16000, SF_FORMAT_WAV, SF_FORMAT_PCM_16},
                          Format{"16k.flac", 16000, SF_FORMAT_FLAC, SF_FORMAT_PCM_16},
                          Format{"48k.wav", 48000, SF_FORMAT_WAV, SF_FORMAT_PCM_24},
                          Format{"44k.flac", 44100, SF_FORMAT_FLAC, SF_FORMAT_PCM_16},
                          Format{"48k.mp3", 48000, SF_FORMAT_MPEG, SF_FORMAT_MPEG_LAYER_III},
                          Format{"48k.opus", 48000, SF_FORMAT_OGG, SF_FORMAT_OPUS},
                          Format{"44k.ogg", 44100, SF_FORMAT_OGG, SF_FORMAT_VORBIS}, Format{"48k.m4a", 48000, 0, 0}}) {
    const std::vector<float> resampled = at_rate(sound, f.rate);
    const Bytes bytes =
        f.major ? by_libsndfile(resampled, f.rate, f.major | f.minor) : by_libav(resampled, f.rate, "ipod", "aac");
    if (bytes.empty()) continue;  // a build without libav
    write_file(folder / f.name, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    const std::string heard = run({"transcribe", (folder / f.name).string()}).out;
    EXPECT_LE(word_error_rate(heard), kMostErrors) << f.name << ": " << heard;
    if (first.empty()) first = heard;
    EXPECT_EQ(heard, first) << f.name;
  }
}

TEST(Listener, SubtitlesStandWhereTheSentencesAreSpoken) {
  const Outcome r = run({"transcribe", "--window", "5", "-f", "jsonl", kMessage});
  const Json segments = Json::parse(r.out)["segments"];
  ASSERT_EQ(segments.size(), 3u);
  EXPECT_NEAR(segments[0]["begin"].get<double>(), 0.5, 0.2);  // half a second of silence comes first
  for (std::size_t i = 0; i + 1 < segments.size(); ++i)       // and 1.6 s between two sentences
    EXPECT_NEAR(segments[i + 1]["begin"].get<double>() - segments[i]["end"].get<double>(), 1.6, 0.5);
}

TEST(Listener, SilenceHasNoText) {
  const std::vector<float> silence(5 * 16000);
  const TemporaryFolder folder;
  const Bytes bytes = by_libsndfile(silence, 16000, SF_FORMAT_WAV | SF_FORMAT_PCM_16);
  write_file(folder / "silence.wav", {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  const Outcome r = run({"transcribe", (folder / "silence.wav").string()});
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_EQ(r.out, "");
}

}  // namespace
}  // namespace mtmd::test
