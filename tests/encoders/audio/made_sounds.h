// Sounds by formula, at 16 kHz.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <vector>

#include "encoders/audio/mel.h"

namespace mtmd::audio::testing {

inline std::size_t n_samples(double seconds) { return static_cast<std::size_t>(std::lround(seconds * kRate)); }
inline std::vector<float> silence(double seconds) { return std::vector<float>(n_samples(seconds), 0.0f); }

class Random {
 public:
  explicit Random(std::uint32_t seed) : state_(seed * 2654435761u + 1) {}
  /// -1 … 1
  double next() {
    state_ = state_ * 1664525 + 1013904223;
    return static_cast<double>(static_cast<std::int32_t>(state_)) / 2147483648.0;
  }

 private:
  std::uint32_t state_;
};

inline std::vector<float> white(double seconds, float loud, std::uint32_t seed = 1) {
  Random random(seed);
  std::vector<float> v(n_samples(seconds));
  for (float& x : v) x = loud * static_cast<float>(random.next());
  return v;
}
inline std::vector<float> tone(double seconds, double hz, float loud) {
  std::vector<float> v(n_samples(seconds));
  const double fade = 400;
  for (std::size_t i = 0; i < v.size(); ++i) {
    const double edge = std::min({1.0, static_cast<double>(i) / fade, static_cast<double>(v.size() - i) / fade});
    v[i] = loud * static_cast<float>(edge * std::sin(2 * M_PI * hz * static_cast<double>(i) / kRate));
  }
  return v;
}
/// Mains: 50 Hz and its harmonics.
inline std::vector<float> hum(double seconds, float loud) {
  std::vector<float> v(n_samples(seconds));
  for (std::size_t i = 0; i < v.size(); ++i)
    for (int h = 1; h <= 20; ++h)
      v[i] += loud / static_cast<float>(h) *
              static_cast<float>(std::sin(2 * M_PI * 50 * h * static_cast<double>(i) / kRate + h));
  return v;
}

/// Syllables of a quarter of a second: a voice of about 120 Hz through two resonances that change from one to the next,
/// some with a hiss in front.
inline std::vector<float> speech(double seconds, float loud = 0.3f, std::uint32_t seed = 3) {
  Random random(seed);
  std::vector<float> v(n_samples(seconds));
  const std::size_t syllable = kRate / 4;
  double y1[2] = {}, y2[2] = {}, phase = 0;
  double hz[2] = {500, 1500}, hiss = 0;
  for (std::size_t i = 0; i < v.size(); ++i) {
    const std::size_t at = i % syllable;
    if (at == 0) {
      hz[0] = 500 + 250 * random.next(), hz[1] = 1600 + 700 * random.next();
      hiss = random.next() > 0 ? 0.25 : 0.0;
    }
    const double t = static_cast<double>(at) / static_cast<double>(syllable);
    phase += (120 + 20 * std::sin(2 * M_PI * 0.8 * static_cast<double>(i) / kRate)) / kRate;
    const double pulse = phase >= 1 ? 1.0 : 0.0;
    if (phase >= 1) phase -= 1;
    double x = pulse + 0.02 * random.next(), out = 0;
    for (int f = 0; f < 2; ++f) {
      const double r = std::exp(-M_PI * 90 / kRate), w = 2 * M_PI * hz[f] / kRate;
      const double y = x + 2 * r * std::cos(w) * y1[f] - r * r * y2[f];
      y2[f] = y1[f], y1[f] = y;
      out += 0.15 * y;
    }
    const double envelope = t < 0.2 ? t / 0.2 : t < 0.7 ? 1.0 : (1.0 - t) / 0.3;
    out = out * envelope * envelope + (t < 0.2 ? hiss * random.next() : 0.0);
    v[i] = loud * static_cast<float>(out);
  }
  return v;
}

inline std::vector<float> joined(const std::vector<std::vector<float>>& parts) {
  std::vector<float> all;
  for (const auto& p : parts) all.insert(all.end(), p.begin(), p.end());
  return all;
}
inline std::vector<float> mixed(std::vector<float> a, const std::vector<float>& b) {
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) a[i] += b[i];
  return a;
}

}  // namespace mtmd::audio::testing
