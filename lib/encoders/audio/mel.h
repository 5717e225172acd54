// Mel spectrograms: what speech encoders hear. One front end per family, equal to the reference's
// (conformance/media/README.md, "Audio types"). Sound is mono f32 at 16 kHz.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace mtmd::audio {

inline constexpr int kRate = 16000;

/// A stretch of sound as an encoder takes it: row b holds band b, frame by frame.
struct Mel {
  int bands = 0, frames = 0;
  std::vector<float> values;  ///< [bands * frames]

  float* band(int b) noexcept { return values.data() + static_cast<std::size_t>(b) * static_cast<std::size_t>(frames); }
  const float* band(int b) const noexcept { return const_cast<Mel*>(this)->band(b); }
};

enum class MelScale {
  slaney,  ///< linear to 1 kHz, logarithmic above (Slaney 1998)
  htk,     ///< 2595 log10(1 + f / 700)
};

struct MelSpec {
  int n_fft = 400, window = 400, hop = 160;
  int window_at = 0;  ///< where the Hann window (periodic) begins within the frame of n_fft
  int bands = 80;
  MelScale scale = MelScale::slaney;
  bool area_norm = true;   ///< triangles of equal area instead of equal height
  bool magnitude = false;  ///< of |X| instead of |X|^2
};

/// The linear part: frames -> energy in bands.
class MelFilter {
 public:
  explicit MelFilter(const MelSpec& spec);
  ~MelFilter();
  MelFilter(MelFilter&&) noexcept;
  const MelSpec& spec() const noexcept;

  /// Energies of `frames` frames of `samples`, the first of which begins at sample 0; samples beyond the end are zeros.
  /// energies: [bands][frames].
  void run(std::span<const float> samples, int frames, std::span<double> energies);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Whisper's (arXiv:2212.04356): 30 s windows of 3000 frames, the sound followed by 30 s of silence and cut into whole
/// windows, so that no sample is lost. log10, at most 8 below the loudest value of the clip, (x + 4) / 4.
std::vector<Mel> whisper_mel(std::span<const float> samples, int bands);
/// Qwen3's: the same scale over the clip alone; windows of at most 800 frames, filled up with zeros to a multiple of
/// 100.
std::vector<Mel> qwen3_mel(std::span<const float> samples, int bands);
/// NeMo's conformers': pre-emphasis, natural logarithm, each band with mean 0 and deviation 1.
Mel conformer_mel(std::span<const float> samples, int bands);
/// Granite Speech's: 80 bands, two frames side by side.
Mel granite_mel(std::span<const float> samples);
/// Gemma 4's: magnitudes, natural logarithm; windows of 30 s. The recorded ones end a frame early, with up to 160 samples
/// of each window unheard; `whole`: they do not.
std::vector<Mel> gemma4_mel(std::span<const float> samples, int bands, bool whole = false);
/// Gemma 4's encoder without a spectrum: the samples themselves, `size` to a frame.
Mel raw_frames(std::span<const float> samples, int size);

}  // namespace mtmd::audio
