// The front ends against recorded spectrograms, the transform against its definition.
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <random>

#include "encoders/audio/mel.h"
#include "encoders/audio/spectrum.h"
#include "engine/gguf/gguf.h"

namespace mtmd::audio {
namespace {

TEST(Spectrum, IsTheDefinition) {
  std::mt19937 random(1);
  std::normal_distribution<double> normal;
  for (const int n : {2, 4, 6, 8, 10, 12, 28, 66, 160, 320, 400, 480, 512, 1024}) {
    Spectrum spectrum(n);
    std::vector<double> frame(static_cast<std::size_t>(n)), power(static_cast<std::size_t>(spectrum.n_bins()));
    for (double& x : frame) x = normal(random);
    spectrum.power(frame, power);
    for (int k = 0; k < spectrum.n_bins(); ++k) {
      double re = 0, im = 0;
      for (int i = 0; i < n; ++i) {
        const double angle = 2 * M_PI * k * i / n;
        re += frame[static_cast<std::size_t>(i)] * std::cos(angle);
        im += frame[static_cast<std::size_t>(i)] * std::sin(angle);
      }
      EXPECT_NEAR(power[static_cast<std::size_t>(k)], re * re + im * im, 1e-9 * n) << n << " " << k;
    }
  }
}

using FrontEnd = std::function<std::vector<Mel>(std::span<const float>)>;

/// Every recorded clip of one file: all windows, all values.
void compare(const char* name, double tolerance, const FrontEnd& front_end) {
  const std::filesystem::path path = std::filesystem::path(MTMD_CONFORMANCE "/media") / name;
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " of the conformance kit is not there";
  const auto golden = gguf::File::open(path);
  const auto facts = nlohmann::json::parse(golden.metadata().require<std::string_view>("golden.mel"));
  const auto floats = [&](const std::string& tensor) {
    const gguf::TensorInfo* t = golden.find(tensor);
    std::vector<float> values(static_cast<std::size_t>(t->n_values()));
    std::memcpy(values.data(), t->data.data(), t->data.size());
    return values;
  };
  double worst = 0;
  for (const auto& [key, fact] : facts.items()) {
    SCOPED_TRACE(std::string(name) + " " + key);
    const auto windows = front_end(floats("pcm." + key.substr(0, key.find('.'))));
    const auto index = static_cast<std::size_t>(std::stoi(key.substr(key.find('.') + 1)));
    ASSERT_LT(index, windows.size());
    const Mel& mel = windows[index];
    ASSERT_EQ(mel.frames, fact.at("n_len").get<int>());
    const int kept = fact.value("pre_kept", mel.frames);
    const auto recorded = floats("mel." + key);
    ASSERT_EQ(recorded.size(), static_cast<std::size_t>(mel.bands * kept));
    for (int b = 0; b < mel.bands; ++b)
      for (int i = 0; i < mel.frames; ++i) {
        const float wanted =
            i < kept ? recorded[static_cast<std::size_t>(b * kept + i)] : fact.at("pre_tail").get<float>();
        worst = std::max(worst, static_cast<double>(std::abs(mel.band(b)[i] - wanted)));
        ASSERT_NEAR(mel.band(b)[i], wanted, tolerance) << "band " << b << " frame " << i;
      }
  }
  std::printf("%-28s worst %.1e of %.0e\n", name, worst, tolerance);
}

TEST(Mel, Whisper) {
  compare("mel_whisper80.golden.gguf", 2e-4, [](auto pcm) { return whisper_mel(pcm, 80); });
  compare("mel_whisper128.golden.gguf", 2e-4, [](auto pcm) { return whisper_mel(pcm, 128); });
}
TEST(Mel, Qwen3) {
  compare("mel_qwen3a128.golden.gguf", 2e-4, [](auto pcm) { return qwen3_mel(pcm, 128); });
}
TEST(Mel, Conformer) {
  compare("mel_conformer128.golden.gguf", 1e-3, [](auto pcm) { return std::vector{conformer_mel(pcm, 128)}; });
}
TEST(Mel, Granite) {
  compare("mel_granite160.golden.gguf", 2e-4, [](auto pcm) { return std::vector{granite_mel(pcm)}; });
}
TEST(Mel, Gemma4) {
  compare("mel_gemma4a128.golden.gguf", 1e-3, [](auto pcm) { return gemma4_mel(pcm, 128); });
  compare("frames_gemma4ua640.golden.gguf", 0, [](auto pcm) { return std::vector{raw_frames(pcm, 640)}; });
}

TEST(Mel, NoSampleOfTheTailIsLost) {
  // A click in the very last sample is heard, whatever the length.
  for (const double seconds : {0.01, 29.9, 30.0, 30.1, 61.0}) {
    std::vector<float> silent(static_cast<std::size_t>(seconds * kRate), 0.0f), click = silent;
    click.back() = 1.0f;
    const auto a = whisper_mel(silent, 80), b = whisper_mel(click, 80);
    ASSERT_EQ(a.size(), b.size());
    ASSERT_GE(static_cast<double>(a.size()) * 30.0, seconds) << seconds;
    bool differs = false;
    for (std::size_t i = 0; i < a.size(); ++i) differs |= a[i].values != b[i].values;
    EXPECT_TRUE(differs) << seconds;
  }
}

TEST(Mel, OddInputIsFinite) {
  for (const std::size_t n : {std::size_t{0}, std::size_t{1}, std::size_t{159}, std::size_t{201}, std::size_t{401}}) {
    const std::vector<float> sound(n, 1.0f);
    std::vector<Mel> all = whisper_mel(sound, 80);
    for (auto&& more : {qwen3_mel(sound, 128), gemma4_mel(sound, 128)}) all.insert(all.end(), more.begin(), more.end());
    for (Mel mel : {conformer_mel(sound, 128), granite_mel(sound), raw_frames(sound, 640)}) all.push_back(mel);
    for (const Mel& mel : all)
      for (const float v : mel.values) ASSERT_TRUE(std::isfinite(v)) << n;
  }
}

}  // namespace
}  // namespace mtmd::audio
