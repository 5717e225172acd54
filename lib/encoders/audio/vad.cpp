#include "encoders/audio/vad.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <utility>

#include "encoders/audio/mel.h"
#include "encoders/audio/spectrum.h"

namespace mtmd::audio {
namespace {

constexpr int kFrame = 320, kHop = 160;  // samples: 20 ms every 10 ms
constexpr std::size_t kBands = 16;
constexpr double kLowest = 100, kHighest = 6000;  // Hz
constexpr int kSmooth = 2;                        // frames to either side whose energies are averaged
constexpr int kReach = 200;                       // frames to either side that say what noise is: 2 s
constexpr float kQuiet = -95;                     // dB of a band below which there is nothing to hear
constexpr float kAbove = 9;                       // dB above its noise from which a band counts
constexpr float kBelow = 35;                      // dB below the loudest band from which one is its echo in the window
constexpr int kBegin = 4, kGoOn = 2;              // bands that count while speech begins, while it goes on

using Bands = std::array<float, kBands>;  ///< dB

/// The least of the last `n` values of each band, one step at a time (the monotonic queue, amortised constant).
class RunningMinimum {
 public:
  explicit RunningMinimum(std::int64_t n) : n_(n) {}
  void push(std::int64_t at, const Bands& values) {
    for (std::size_t b = 0; b < kBands; ++b) {
      auto& q = queues_[b];
      while (!q.empty() && q.back().value >= values[b]) q.pop_back();
      q.push_back({at, values[b]});
      while (q.front().at <= at - n_) q.pop_front();
    }
  }
  float least(std::size_t b) const { return queues_[b].front().value; }

 private:
  struct Entry {
    std::int64_t at;
    float value;
  };
  std::int64_t n_;
  std::array<std::deque<Entry>, kBands> queues_;
};

/// Frames of samples -> energies of bands.
class Analysis {
 public:
  Analysis() : spectrum_(kFrame), power_(static_cast<std::size_t>(spectrum_.n_bins())) {
    for (int i = 0; i < kFrame; ++i) hann_[static_cast<std::size_t>(i)] = 0.5 - 0.5 * std::cos(2 * M_PI * i / kFrame);
    const auto mel = [](double hz) { return std::log1p(hz / 700); };
    for (std::size_t b = 0; b <= kBands; ++b) {
      const double m = mel(kLowest) + (mel(kHighest) - mel(kLowest)) * static_cast<double>(b) / kBands;
      edges_[b] = static_cast<std::size_t>(std::lround(700 * std::expm1(m) * kFrame / kRate));
      if (b > 0) edges_[b] = std::max(edges_[b], edges_[b - 1] + 1);
    }
  }
  /// Mean power of the bins of each band; a full-scale sine is about 1 in its band's bins.
  std::array<double, kBands> run(std::span<const float> frame) {
    for (std::size_t i = 0; i < kFrame; ++i) windowed_[i] = hann_[i] * static_cast<double>(frame[i]);
    spectrum_.power(windowed_, power_);
    std::array<double, kBands> bands{};
    constexpr double kScale = 16.0 / (static_cast<double>(kFrame) * kFrame);
    for (std::size_t b = 0; b < kBands; ++b) {
      for (std::size_t k = edges_[b]; k < edges_[b + 1]; ++k) bands[b] += power_[k];
      bands[b] *= kScale / static_cast<double>(edges_[b + 1] - edges_[b]);
    }
    return bands;
  }

 private:
  Spectrum spectrum_;
  std::array<double, kFrame> hann_{}, windowed_{};
  std::vector<double> power_;
  std::array<std::size_t, kBands + 1> edges_{};
};

std::int64_t frames_of(double seconds) { return std::max<std::int64_t>(0, std::llround(seconds * kRate / kHop)); }

}  // namespace

struct VoiceActivity::Impl {
  explicit Impl(const VoiceOptions& options)
      : min_speech(frames_of(options.min_speech_seconds)),
        min_pause(std::max<std::int64_t>(1, frames_of(options.min_pause_seconds))),
        padding(std::clamp<std::int64_t>(frames_of(options.padding_seconds), 0, min_pause / 2)) {}

  // Samples -> energies of frames -> smoothed levels -> how many bands rise above the noise around them -> segments.
  // Each step waits for what it needs of the future.

  void push(std::span<const float> samples) {
    n_samples += std::ssize(samples);
    pending.insert(pending.end(), samples.begin(), samples.end());
    std::size_t at = 0;
    for (; at + kFrame <= pending.size(); at += kHop) energy(analysis.run(std::span(pending).subspan(at, kFrame)));
    pending.erase(pending.begin(), pending.begin() + static_cast<std::ptrdiff_t>(at));
  }

  void finish() {
    if (finished) return;
    finished = true;
    if (std::ssize(pending) > kFrame - kHop || (n_energies == 0 && n_samples > 0)) {
      pending.resize(kFrame);
      energy(analysis.run(pending));
    }
    for (int i = 0; i < kSmooth; ++i) smooth();
    while (judged < n_levels) judge();
    close_if_paused(judged + min_pause);
  }

  /// Energies of frame number n_energies.
  void energy(const std::array<double, kBands>& bands) {
    energies.push_back(bands);
    ++n_energies;
    if (n_energies > kSmooth) smooth();
  }

  /// The level of frame number n_levels, from the frames around it.
  void smooth() {
    if (n_levels >= n_energies) return;
    const std::int64_t first = n_energies - std::ssize(energies);
    const std::int64_t begin = std::max<std::int64_t>(first, n_levels - kSmooth);
    const std::int64_t end = std::min(n_energies, n_levels + kSmooth + 1);
    Bands level;
    for (std::size_t b = 0; b < kBands; ++b) {
      double sum = 0;
      for (std::int64_t i = begin; i < end; ++i) sum += energies[static_cast<std::size_t>(i - first)][b];
      level[b] = static_cast<float>(10 * std::log10(sum / static_cast<double>(end - begin) + 1e-12));
    }
    while (std::ssize(energies) > 2 * kSmooth) energies.pop_front();
    levels.push_back(level);
    ahead.push(n_levels++, level);
    if (n_levels > kReach) judge();
  }

  /// Whether frame number `judged` is speech.
  void judge() {
    const Bands level = levels.front();
    behind.push(judged, level);
    // At the end of the recording the future is what is left of it.
    const float echo = *std::max_element(level.begin(), level.end()) - kBelow;
    int count = 0;
    for (std::size_t b = 0; b < kBands; ++b) {
      const float noise = std::max({behind.least(b), future(b), kQuiet});
      count += level[b] > std::max(noise + kAbove, echo);
    }
    levels.pop_front();
    voiced(judged++, count);
  }
  float future(std::size_t b) {
    if (!finished) return ahead.least(b);
    float least = levels.front()[b];
    for (const Bands& level : levels) least = std::min(least, level[b]);
    return least;
  }

  void voiced(std::int64_t frame, int count) {
    if (count >= (active ? kGoOn : kBegin)) {
      if (!speech) speech = Run{frame, frame, 0};
      speech->end = frame + 1;
      speech->strong += count >= kBegin;
      active = true;
      // What never becomes strong would otherwise keep its end open for ever.
      if (speech->strong < min_speech && speech->end - speech->begin > kReach) speech.reset(), active = false;
    } else {
      active = false;
      close_if_paused(frame + 1);
    }
  }

  void close_if_paused(std::int64_t now) {
    if (!speech || now - speech->end < min_pause) return;
    if (speech->strong >= min_speech) done.push_back(padded(speech->begin, speech->end));
    speech.reset();
  }

  /// Frame i is about the samples around the middle of its window.
  std::int64_t sample_at(std::int64_t frame) const {
    return std::clamp<std::int64_t>(frame * kHop + (kFrame - kHop) / 2, 0, n_samples);
  }
  SpeechSegment padded(std::int64_t begin, std::int64_t end) const {
    return {begin <= padding ? 0 : sample_at(begin - padding), sample_at(end + padding)};
  }

  std::int64_t decided() const {
    if (finished) return n_samples;
    if (is_open()) return std::max(opened(), sample_at(std::min(judged, speech->end + padding)));
    // What is judged next, or a run that is too short so far, may begin with its padding here.
    return padded(speech ? speech->begin : judged, 0).begin;
  }
  bool is_open() const { return speech && speech->strong >= min_speech && !finished; }
  std::int64_t opened() const { return padded(speech->begin, speech->end).begin; }

  struct Run {
    std::int64_t begin, end;  ///< frames
    std::int64_t strong;      ///< of them that could begin speech
  };

  const std::int64_t min_speech, min_pause, padding;  // frames
  Analysis analysis;
  std::vector<float> pending;
  std::deque<std::array<double, kBands>> energies;
  std::deque<Bands> levels;  ///< of the frames from `judged` on
  RunningMinimum behind{kReach + 1}, ahead{kReach + 1};
  std::int64_t n_samples = 0, n_energies = 0, n_levels = 0, judged = 0;
  bool finished = false, active = false;
  std::optional<Run> speech;
  std::vector<SpeechSegment> done;
};

VoiceActivity::VoiceActivity(const VoiceOptions& options) : impl_(std::make_unique<Impl>(options)) {}
VoiceActivity::~VoiceActivity() = default;
VoiceActivity::VoiceActivity(VoiceActivity&&) noexcept = default;
void VoiceActivity::push(std::span<const float> samples) { impl_->push(samples); }
void VoiceActivity::finish() { impl_->finish(); }
std::vector<SpeechSegment> VoiceActivity::take() { return std::exchange(impl_->done, {}); }
std::int64_t VoiceActivity::decided() const noexcept { return impl_->decided(); }
std::optional<std::int64_t> VoiceActivity::open_since() const noexcept {
  if (!impl_->is_open()) return std::nullopt;
  return impl_->opened();
}

}  // namespace mtmd::audio
