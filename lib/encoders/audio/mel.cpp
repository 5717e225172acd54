#include "encoders/audio/mel.h"

#include <algorithm>
#include <cmath>

#include "encoders/audio/spectrum.h"

namespace mtmd::audio {
namespace {

double to_mel(double hz, MelScale scale) {
  if (scale == MelScale::htk) return 2595.0 * std::log10(1.0 + hz / 700.0);
  constexpr double kLinear = 200.0 / 3.0, kBreak = 1000.0;
  return hz < kBreak ? hz / kLinear : kBreak / kLinear + std::log(hz / kBreak) * 27.0 / std::log(6.4);
}

double to_hz(double mel, MelScale scale) {
  if (scale == MelScale::htk) return 700.0 * (std::pow(10.0, mel / 2595.0) - 1.0);
  constexpr double kLinear = 200.0 / 3.0, kBreak = 1000.0, kBreakMel = kBreak / kLinear;
  return mel < kBreakMel ? mel * kLinear : kBreak * std::exp((mel - kBreakMel) * std::log(6.4) / 27.0);
}

/// A triangle over some bins of the spectrum.
struct Triangle {
  std::size_t begin = 0;
  std::vector<double> weights{};
};

std::vector<Triangle> triangles(const MelSpec& spec) {
  std::vector<double> corners;
  const double top = to_mel(kRate / 2.0, spec.scale);
  for (int i = 0; i < spec.bands + 2; ++i) corners.push_back(to_hz(top * i / (spec.bands + 1), spec.scale));
  std::vector<Triangle> all;
  for (std::size_t b = 0; b + 2 < corners.size(); ++b) {
    const double left = corners[b], peak = corners[b + 1], right = corners[b + 2];
    Triangle t;
    for (int k = 0; k <= spec.n_fft / 2; ++k) {
      const double hz = static_cast<double>(k) * kRate / spec.n_fft;
      const double height = std::min((hz - left) / (peak - left), (right - hz) / (right - peak));
      if (height <= 0) continue;
      if (t.weights.empty()) t.begin = static_cast<std::size_t>(k);
      t.weights.push_back(height * (spec.area_norm ? 2.0 / (right - left) : 1.0));
    }
    all.push_back(std::move(t));
  }
  return all;
}

/// The sound with its beginning mirrored in front of it, `front` samples (the first not repeated), and its end behind
/// it; silence where it is too short for that.
std::vector<float> reflected(std::span<const float> samples, std::size_t front, std::size_t back) {
  const std::size_t n = samples.size();
  std::vector<float> out(front + n + back, 0.0f);
  for (std::size_t i = 0; i < n; ++i) {
    out[front + i] = samples[i];
    if (i == 0) continue;
    if (i <= front) out[front - i] = samples[i];
    if (i <= back) out[front + n - 1 + i] = samples[n - 1 - i];
  }
  return out;
}

constexpr double kWhisperFloor = 5.960464477539063e-08;  // 2^-24

/// Logarithms to base 10, none more than 8 below the greatest, (x + 4) / 4.
void whisper_scale(std::span<double> energies, double floor) {
  double top = std::log10(floor);
  for (double& e : energies) {
    e = std::log10(std::max(e, floor));
    top = std::max(top, e);
  }
  for (double& e : energies) e = (std::max(e, top - 8.0) + 4.0) / 4.0;
}

Mel cut(std::span<const double> energies, int bands, int n, int begin, int frames, float tail) {
  Mel mel{bands, frames, std::vector<float>(static_cast<std::size_t>(bands) * static_cast<std::size_t>(frames), tail)};
  const int kept = std::clamp(n - begin, 0, frames);
  for (int b = 0; b < bands; ++b)
    for (int i = 0; i < kept; ++i)
      mel.band(b)[i] = static_cast<float>(
          energies[static_cast<std::size_t>(b) * static_cast<std::size_t>(n) + static_cast<std::size_t>(begin + i)]);
  return mel;
}

std::vector<double> energies_of(std::span<const float> samples, const MelSpec& spec, int frames) {
  std::vector<double> energies(static_cast<std::size_t>(spec.bands) * static_cast<std::size_t>(frames));
  MelFilter(spec).run(samples, frames, energies);
  return energies;
}

}  // namespace

struct MelFilter::Impl {
  explicit Impl(const MelSpec& s) : spec(s), spectrum(s.n_fft), bands(triangles(s)) {
    for (int i = 0; i < s.window; ++i) hann.push_back(0.5 - 0.5 * std::cos(2.0 * M_PI * i / s.window));
    frame.resize(static_cast<std::size_t>(s.n_fft));
    power.resize(static_cast<std::size_t>(spectrum.n_bins()));
  }
  MelSpec spec;
  Spectrum spectrum;
  std::vector<Triangle> bands;
  std::vector<double> hann, frame, power;
};

MelFilter::MelFilter(const MelSpec& spec) : impl_(std::make_unique<Impl>(spec)) {}
MelFilter::~MelFilter() = default;
MelFilter::MelFilter(MelFilter&&) noexcept = default;
const MelSpec& MelFilter::spec() const noexcept { return impl_->spec; }

void MelFilter::run(std::span<const float> samples, int frames, std::span<double> energies) {
  Impl& m = *impl_;
  const auto window_at = static_cast<std::size_t>(m.spec.window_at), n = static_cast<std::size_t>(frames);
  for (std::size_t f = 0; f < n; ++f) {
    const std::size_t begin = f * static_cast<std::size_t>(m.spec.hop);
    for (std::size_t i = 0; i < m.hann.size(); ++i) {
      const std::size_t at = begin + window_at + i;
      m.frame[window_at + i] = at < samples.size() ? m.hann[i] * static_cast<double>(samples[at]) : 0.0;
    }
    m.spectrum.power(m.frame, m.power);
    if (m.spec.magnitude)
      for (double& p : m.power) p = std::sqrt(p);
    for (std::size_t b = 0; b < m.bands.size(); ++b) {
      double sum = 0;
      const Triangle& t = m.bands[b];
      for (std::size_t k = 0; k < t.weights.size(); ++k) sum += t.weights[k] * m.power[t.begin + k];
      energies[b * n + f] = sum;
    }
  }
}

std::vector<Mel> whisper_mel(std::span<const float> samples, int bands) {
  constexpr int kWindow = 3000;  // frames of 30 s
  const MelSpec spec{.bands = bands};
  std::vector<float> clip(std::max<std::size_t>(samples.size(), 201), 0.0f);
  std::copy(samples.begin(), samples.end(), clip.begin());
  const std::vector<float> sound = reflected(clip, 200, 0);
  const auto n_samples = static_cast<int>(clip.size());
  // Behind these frames there is only silence.
  const int heard = (n_samples + 200) / spec.hop + 1;
  std::vector<double> energies = energies_of(sound, spec, heard);
  energies.push_back(0.0);  // a silent frame, for the tail
  whisper_scale(energies, kWhisperFloor);
  const auto silence = static_cast<float>(energies.back());
  std::vector<Mel> windows;
  for (int begin = 0; begin + kWindow <= (n_samples + 30 * kRate) / spec.hop; begin += kWindow)
    windows.push_back(cut(energies, bands, heard, begin, kWindow, silence));
  return windows;
}

std::vector<Mel> qwen3_mel(std::span<const float> samples, int bands) {
  constexpr int kWindow = 800, kMultiple = 100;
  const MelSpec spec{.bands = bands};
  const std::vector<float> sound = reflected(samples, 200, 200);
  const int frames = std::min(static_cast<int>(samples.size()) / spec.hop + 1,
                              (static_cast<int>(sound.size()) - spec.n_fft) / spec.hop + 1);
  std::vector<double> energies = energies_of(sound, spec, frames);
  whisper_scale(energies, kWhisperFloor);
  std::vector<Mel> windows;
  for (int begin = 0; begin < frames; begin += kWindow) {
    const int kept = std::min(kWindow, frames - begin);
    windows.push_back(cut(energies, bands, frames, begin, (kept + kMultiple - 1) / kMultiple * kMultiple, 0.0f));
  }
  return windows;
}

Mel conformer_mel(std::span<const float> samples, int bands) {
  const MelSpec spec{.n_fft = 512, .window_at = (512 - 400) / 2, .bands = bands};
  std::vector<float> sound(256, 0.0f);
  for (std::size_t i = 0; i < samples.size(); ++i)
    sound.push_back(i == 0 ? samples[0] : samples[i] - 0.97f * samples[i - 1]);
  const int frames = static_cast<int>(samples.size()) / spec.hop + 1, counted = frames - 1;
  const std::vector<double> energies = energies_of(sound, spec, frames);
  Mel mel{bands, frames, std::vector<float>(energies.size(), 0.0f)};
  std::vector<double> logs(static_cast<std::size_t>(counted));
  for (int b = 0; b < bands && counted > 0; ++b) {
    const double* band = energies.data() + static_cast<std::size_t>(b) * static_cast<std::size_t>(frames);
    double sum = 0, squares = 0;
    for (std::size_t i = 0; i < logs.size(); ++i) sum += logs[i] = std::log(std::max(band[i], kWhisperFloor));
    const double mean = sum / counted;
    for (const double x : logs) squares += (x - mean) * (x - mean);
    const double deviation = counted > 1 ? std::sqrt(squares / (counted - 1)) : 0.0;
    for (std::size_t i = 0; i < logs.size(); ++i)
      mel.band(b)[i] = static_cast<float>((logs[i] - mean) / (deviation + 1e-5));
  }
  return mel;
}

Mel granite_mel(std::span<const float> samples) {
  constexpr int kBands = 80;
  const MelSpec spec{
      .n_fft = 512, .window_at = (512 - 400) / 2, .bands = kBands, .scale = MelScale::htk, .area_norm = false};
  const std::vector<float> sound = reflected(samples, 256, 256);
  const int frames = static_cast<int>(samples.size()) / spec.hop + 1, pairs = frames / 2;
  std::vector<double> energies = energies_of(sound, spec, frames);
  whisper_scale(energies, 1e-10);
  Mel mel{2 * kBands, pairs,
          std::vector<float>(static_cast<std::size_t>(2 * kBands) * static_cast<std::size_t>(pairs))};
  for (int b = 0; b < 2 * kBands; ++b)
    for (int i = 0; i < pairs; ++i)
      mel.band(b)[i] = static_cast<float>(energies[static_cast<std::size_t>(b % kBands * frames + 2 * i + b / kBands)]);
  return mel;
}

std::vector<Mel> gemma4_mel(std::span<const float> samples, int bands, bool whole) {
  constexpr std::size_t kWindow = 30 * kRate;
  const MelSpec spec{
      .n_fft = 512, .window = 320, .bands = bands, .scale = MelScale::htk, .area_norm = false, .magnitude = true};
  std::vector<Mel> windows;
  for (std::size_t begin = 0; begin < samples.size() || windows.empty(); begin += kWindow) {
    const auto part = samples.subspan(begin, std::min(kWindow, samples.size() - begin));
    std::vector<float> sound(160, 0.0f);
    sound.insert(sound.end(), part.begin(), part.end());
    const int n = static_cast<int>(part.size());
    const int frames =
        whole ? (n + spec.hop - 1) / spec.hop : std::max(0, (n + spec.hop - spec.window - 1) / spec.hop + 1);
    std::vector<double> energies = energies_of(sound, spec, frames);
    for (double& e : energies) e = std::log(std::max(e, 0.001));
    windows.push_back(cut(energies, bands, frames, 0, frames, 0.0f));
  }
  return windows;
}

Mel raw_frames(std::span<const float> samples, int size) {
  const auto n = static_cast<int>(samples.size());
  Mel mel{size, std::max(1, (n + size - 1) / size), {}};
  mel.values.resize(static_cast<std::size_t>(size) * static_cast<std::size_t>(mel.frames));
  for (int i = 0; i < n; ++i) mel.band(i % size)[i / size] = samples[static_cast<std::size_t>(i)];
  return mel;
}

}  // namespace mtmd::audio
