#include "encoders/audio/spectrum.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace mtmd::audio {

Spectrum::Spectrum(int n) : n_(n), quarter_(n / 4 + 1) {
  const int half = n / 2 - 1;
  cos_.resize(static_cast<std::size_t>(half) * static_cast<std::size_t>(quarter_));
  sin_.resize(cos_.size());
  even_.resize(static_cast<std::size_t>(half));
  odd_.resize(even_.size());
  sums_.resize(4 * static_cast<std::size_t>(quarter_));
  for (int i = 0; i < half; ++i) {
    for (int k = 0; k < quarter_; ++k) {
      // Reduced to one turn before it becomes an angle.
      const double angle = 2.0 * std::numbers::pi * static_cast<double>((i + 1) * k % n) / n;
      const auto at = static_cast<std::size_t>(i * quarter_ + k);
      cos_[at] = std::cos(angle);
      sin_[at] = std::sin(angle);
    }
  }
}

void Spectrum::fold(std::span<const double> frame) {
  const auto n = static_cast<std::size_t>(n_);
  for (std::size_t i = 0; i < even_.size(); ++i) {
    even_[i] = frame[i + 1] + frame[n - i - 1];
    odd_[i] = frame[i + 1] - frame[n - i - 1];
  }
}

void Spectrum::power(std::span<const double> frame, std::span<double> power) {
  fold(frame);
  std::fill(sums_.begin(), sums_.end(), 0.0);
  const auto q = static_cast<std::size_t>(quarter_);
  for (std::size_t i = 0; i < even_.size(); ++i) {
    const std::size_t parity = (i + 1) % 2;
    const double e = even_[i], o = odd_[i];
    const double *c = cos_.data() + i * q, *s = sin_.data() + i * q;
    double *re = sums_.data() + parity * q, *im = sums_.data() + (2 + parity) * q;
    for (std::size_t k = 0; k < q; ++k) re[k] += e * c[k];
    for (std::size_t k = 0; k < q; ++k) im[k] += o * s[k];
  }
  const auto half = static_cast<std::size_t>(n_ / 2);
  const double first = frame[0], middle = frame[half];
  for (std::size_t k = 0; k < q; ++k) {
    const double re_even = sums_[k], re_odd = sums_[q + k], im_even = sums_[2 * q + k], im_odd = sums_[3 * q + k];
    // cos(2 pi (n/2 - k) i / n) = (-1)^i cos(2 pi k i / n), and the negative of that for sines.
    const double ends = first + (k % 2 == 0 ? middle : -middle);
    const double ends_mirrored = first + ((half - k) % 2 == 0 ? middle : -middle);
    const double re = ends + re_even + re_odd, im = im_even + im_odd;
    const double re_mirrored = ends_mirrored + re_even - re_odd, im_mirrored = im_odd - im_even;
    power[k] = re * re + im * im;
    power[half - k] = re_mirrored * re_mirrored + im_mirrored * im_mirrored;
  }
}

}  // namespace mtmd::audio
