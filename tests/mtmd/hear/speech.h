// Sound that voice activity takes for speech, and WAV files of it.
#pragma once

#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace mtmd::test {

inline constexpr int kSoundRate = 16000;

/// Syllables: noise and harmonics that come and go four times a second.
inline void speak(std::vector<float>& sound, double seconds) {
  std::mt19937 random(static_cast<unsigned>(sound.size()));
  std::uniform_real_distribution<double> noise(-0.1, 0.1);
  const auto n = static_cast<std::int64_t>(seconds * kSoundRate);
  for (std::int64_t i = 0; i < n; ++i) {
    const double t = static_cast<double>(i) / kSoundRate, pitch = 120 + 20 * std::sin(3 * t);
    double v = noise(random);
    for (int h = 1; h < 20; ++h) v += 0.3 / h * std::sin(2 * M_PI * pitch * h * t);
    sound.push_back(static_cast<float>(0.5 * v * std::pow(std::sin(M_PI * 4 * t), 2)));
  }
}

inline void pause(std::vector<float>& sound, double seconds) {
  sound.resize(sound.size() + static_cast<std::size_t>(seconds * kSoundRate));
}

/// Samples without a header: 16 bits, little endian.
inline std::string pcm16(const std::vector<float>& sound) {
  std::string bytes;
  for (const float v : sound) {
    const auto s = static_cast<std::int16_t>(std::lround(std::fmax(-1.0f, std::fmin(1.0f, v)) * 32767));
    bytes += static_cast<char>(s & 0xff);
    bytes += static_cast<char>(s >> 8 & 0xff);
  }
  return bytes;
}

inline std::string wav(const std::vector<float>& sound) {
  const std::string data = pcm16(sound);
  const auto number = [](std::size_t value, int n_bytes) {
    std::string bytes;
    for (int i = 0; i < n_bytes; ++i) bytes += static_cast<char>(value >> 8 * i & 0xff);
    return bytes;
  };
  return "RIFF" + number(36 + data.size(), 4) + "WAVEfmt " + number(16, 4) + number(1, 2) + number(1, 2) +
         number(kSoundRate, 4) + number(2 * kSoundRate, 4) + number(2, 2) + number(16, 2) + "data" +
         number(data.size(), 4) + data;
}

}  // namespace mtmd::test
