#include "encoders/audio/spectrum.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

namespace mtmd::audio {
namespace {

/// cos and sin of `turn` / `n` of a full turn.
std::pair<double, double> unit(int turn, int n) {
  const double angle = 2.0 * std::numbers::pi * (turn % n) / n;
  return {std::cos(angle), std::sin(angle)};
}

/// Sequences that lie side by side: element t of the parts of sequence q is at [q + t * apart].
struct Lanes {
  const double *re, *im;
  std::size_t apart, count;
};

struct Out {
  double *re, *im;  ///< result u of sequence q goes to [q + u * count], turned by the u-th twiddle
  const double *cos, *sin;

  void put(std::size_t at, std::size_t u, double r, double i) const {
    re[at] = r * cos[u] + i * sin[u];
    im[at] = i * cos[u] - r * sin[u];
  }
};

void radix2(const Lanes& x, const Out& y) {
  for (std::size_t q = 0; q < x.count; ++q) {
    const double ar = x.re[q], ai = x.im[q], br = x.re[q + x.apart], bi = x.im[q + x.apart];
    y.put(q, 0, ar + br, ai + bi);
    y.put(q + x.count, 1, ar - br, ai - bi);
  }
}

void radix4(const Lanes& x, const Out& y) {
  const std::size_t d = x.apart, n = x.count;
  for (std::size_t q = 0; q < n; ++q) {
    const double ar = x.re[q], br = x.re[q + d], cr = x.re[q + 2 * d], dr = x.re[q + 3 * d];
    const double ai = x.im[q], bi = x.im[q + d], ci = x.im[q + 2 * d], di = x.im[q + 3 * d];
    const double er = ar + cr, ei = ai + ci, fr = ar - cr, fi = ai - ci;
    const double gr = br + dr, gi = bi + di, hr = br - dr, hi = bi - di;
    y.put(q, 0, er + gr, ei + gi);
    y.put(q + n, 1, fr + hi, fi - hr);
    y.put(q + 2 * n, 2, er - gr, ei - gi);
    y.put(q + 3 * n, 3, fr - hi, fi + hr);
  }
}

void radix5(const Lanes& x, const Out& y) {
  static const auto [c1, s1] = unit(1, 5);
  static const auto [c2, s2] = unit(2, 5);
  const std::size_t d = x.apart, n = x.count;
  for (std::size_t q = 0; q < n; ++q) {
    const double ar = x.re[q], ai = x.im[q];
    const double pr = x.re[q + d] + x.re[q + 4 * d], pi = x.im[q + d] + x.im[q + 4 * d];
    const double mr = x.re[q + d] - x.re[q + 4 * d], mi = x.im[q + d] - x.im[q + 4 * d];
    const double rr = x.re[q + 2 * d] + x.re[q + 3 * d], ri = x.im[q + 2 * d] + x.im[q + 3 * d];
    const double tr = x.re[q + 2 * d] - x.re[q + 3 * d], ti = x.im[q + 2 * d] - x.im[q + 3 * d];
    const double er = ar + c1 * pr + c2 * rr, ei = ai + c1 * pi + c2 * ri;
    const double fr = ar + c2 * pr + c1 * rr, fi = ai + c2 * pi + c1 * ri;
    const double gr = s1 * mr + s2 * tr, gi = s1 * mi + s2 * ti;
    const double hr = s2 * mr - s1 * tr, hi = s2 * mi - s1 * ti;
    y.put(q, 0, ar + pr + rr, ai + pi + ri);
    y.put(q + n, 1, er + gi, ei - gr);
    y.put(q + 2 * n, 2, fr + hi, fi - hr);
    y.put(q + 3 * n, 3, fr - hi, fi + hr);
    y.put(q + 4 * n, 4, er - gi, ei + gr);
  }
}

void any_radix(int radix, const Lanes& x, const Out& y) {
  for (int u = 0; u < radix; ++u) {
    for (std::size_t q = 0; q < x.count; ++q) {
      double re = 0, im = 0;
      for (int t = 0; t < radix; ++t) {
        const auto [c, s] = unit(t * u, radix);
        const double r = x.re[q + static_cast<std::size_t>(t) * x.apart],
                     i = x.im[q + static_cast<std::size_t>(t) * x.apart];
        re += r * c + i * s, im += i * c - r * s;
      }
      y.put(q + static_cast<std::size_t>(u) * x.count, static_cast<std::size_t>(u), re, im);
    }
  }
}

}  // namespace

Spectrum::Spectrum(int n) : n_(n) {
  const int half = n / 2;
  for (int k = 0; k < half; ++k) {
    const auto [c, s] = unit(k, n);
    turn_cos_.push_back(c), turn_sin_.push_back(s);
  }
  for (int rest = half, stride = 1; rest > 1;) {
    int radix = 2;
    while (rest % radix != 0) ++radix;
    if (radix == 2 && rest % 4 == 0) radix = 4;
    stages_.push_back({radix, rest, stride, cos_.size()});
    for (int p = 0; p < rest / radix; ++p) {
      for (int u = 0; u < radix; ++u) {
        const auto [c, s] = unit(p * u, rest);
        cos_.push_back(c), sin_.push_back(s);
      }
    }
    rest /= radix, stride *= radix;
  }
  for (auto* v : {&re_, &im_, &next_re_, &next_im_}) v->resize(static_cast<std::size_t>(half));
}

void Spectrum::run(const Stage& stage) {
  const auto stride = static_cast<std::size_t>(stage.stride), radix = static_cast<std::size_t>(stage.radix);
  const auto parts = static_cast<std::size_t>(stage.n) / radix;
  for (std::size_t p = 0; p < parts; ++p) {
    const Lanes x{re_.data() + stride * p, im_.data() + stride * p, stride * parts, stride};
    const std::size_t twiddle = stage.twiddles + p * radix, to = stride * radix * p;
    const Out y{next_re_.data() + to, next_im_.data() + to, cos_.data() + twiddle, sin_.data() + twiddle};
    switch (stage.radix) {
      case 2:
        radix2(x, y);
        break;
      case 4:
        radix4(x, y);
        break;
      case 5:
        radix5(x, y);
        break;
      default:
        any_radix(stage.radix, x, y);
    }
  }
  std::swap(re_, next_re_), std::swap(im_, next_im_);
}

void Spectrum::power(std::span<const double> frame, std::span<double> power) {
  const auto half = static_cast<std::size_t>(n_ / 2);
  for (std::size_t i = 0; i < half; ++i) re_[i] = frame[2 * i], im_[i] = frame[2 * i + 1];
  for (const Stage& stage : stages_) run(stage);
  // Of the even and the odd values together -> of all.
  for (std::size_t k = 0; k <= half; ++k) {
    const std::size_t a = k % half, b = (half - k) % half;
    const double even_re = (re_[a] + re_[b]) / 2, even_im = (im_[a] - im_[b]) / 2;
    const double odd_re = (im_[a] + im_[b]) / 2, odd_im = (re_[b] - re_[a]) / 2;
    const double c = k < half ? turn_cos_[k] : -1.0, s = k < half ? turn_sin_[k] : 0.0;
    const double re = even_re + odd_re * c + odd_im * s, im = even_im + odd_im * c - odd_re * s;
    power[k] = re * re + im * im;
  }
}

}  // namespace mtmd::audio
