// The discrete Fourier transform of real frames, in double precision: quiet bands beside loud ones keep their digits.
#pragma once

#include <span>
#include <vector>

namespace mtmd::audio {

/// Frames of `n` values, n even. A complex transform of half the length, by factors (Stockham's order, radix 4, 2, 3, 5
/// and whatever else divides n), which is as good as exact and linear in memory.
class Spectrum {
 public:
  explicit Spectrum(int n);
  int n() const noexcept { return n_; }
  int n_bins() const noexcept { return n_ / 2 + 1; }

  /// power [n_bins] = |DFT(frame)|^2; `frame` has n values. Not for several threads at once: it has scratch memory.
  void power(std::span<const double> frame, std::span<double> power);

 private:
  /// One step: what remains of length `n` is split into `radix` parts, for `stride` interleaved sequences at once.
  struct Stage {
    int radix, n, stride;
    std::size_t twiddles;  ///< where its angles begin: [n / radix][radix]
  };
  void run(const Stage& stage);

  int n_;
  std::vector<Stage> stages_;
  std::vector<double> cos_, sin_;                    // of the stages' twiddles
  std::vector<double> turn_cos_, turn_sin_;          // [n / 2]: angles 2 pi k / n
  std::vector<double> re_, im_, next_re_, next_im_;  // [n / 2]
};

}  // namespace mtmd::audio
