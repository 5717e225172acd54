// The discrete Fourier transform of real frames, in double precision: quiet bands beside loud ones keep their digits.
#pragma once

#include <span>
#include <vector>

namespace mtmd::audio {

/// Frames of `n` values, n a multiple of 4. Sums over the symmetries of sine and cosine: about n^2 / 4 multiplications
/// a frame, in long loops that vectorise; at the sizes of speech (400, 512) as fast as is ever needed.
class Spectrum {
 public:
  explicit Spectrum(int n);
  int n() const noexcept { return n_; }
  int n_bins() const noexcept { return n_ / 2 + 1; }

  /// power [n_bins] = |DFT(frame)|^2; `frame` has n values. Not for several threads at once: it has scratch memory.
  void power(std::span<const double> frame, std::span<double> power);

 private:
  void fold(std::span<const double> frame);
  int n_, quarter_;                 // quarter_ = n / 4 + 1 bins are summed, the others follow by symmetry
  std::vector<double> cos_, sin_;   // [n / 2 - 1][quarter_]: angles 2 pi k (i + 1) / n
  std::vector<double> even_, odd_;  // x[i] + x[n - i], x[i] - x[n - i], i from 1 to n / 2 - 1
  std::vector<double> sums_;        // [4][quarter_]: cosines of even and of odd i, sines of even and of odd i
};

}  // namespace mtmd::audio
