// Pillow's resampling: separable antialiased filters, weights in 22-bit fixed point, 8 bits between the passes
// (https://pillow.readthedocs.io/en/stable/handbook/concepts.html#filters).
#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "encoders/image/filters.h"

namespace mtmd::image {
namespace {

constexpr int kFractionBits = 22;

struct Kernel {
  double support;
  double (*value)(double);
};

double cubic(double x) {  // Keys 1981 with a = -0.5
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
  if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
  return 0.0;
}

double sinc(double x) { return x == 0.0 ? 1.0 : std::sin(x * std::numbers::pi) / (x * std::numbers::pi); }
double lanczos(double x) { return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3.0) : 0.0; }

/// The source samples [first, first + count) of one output sample; their weights begin at `weights` in Taps::weights.
struct Span {
  int first, count;
  std::size_t weights;
};

struct Taps {
  std::vector<Span> spans;
  std::vector<std::int32_t> weights;  ///< fixed point
  int longest = 0;
};

Taps make_taps(int from, int to, const Kernel& kernel) {
  const double scale = static_cast<double>(from) / to, stretch = std::max(scale, 1.0);
  const double support = kernel.support * stretch;
  Taps taps;
  std::vector<double> row;
  for (int i = 0; i < to; ++i) {
    const double center = (i + 0.5) * scale;
    const int first = std::max(static_cast<int>(center - support + 0.5), 0);
    const int count = std::min(static_cast<int>(center + support + 0.5), from) - first;
    row.resize(count);
    double sum = 0.0;
    for (int k = 0; k < count; ++k) sum += row[k] = kernel.value((k + first - center + 0.5) * (1.0 / stretch));
    taps.spans.push_back({first, count, taps.weights.size()});
    taps.longest = std::max(taps.longest, count);
    for (double weight : row) {
      if (sum != 0.0) weight /= sum;
      taps.weights.push_back(static_cast<std::int32_t>(std::lround(weight * (1 << kFractionBits))));
    }
  }
  return taps;
}

std::uint8_t to_byte(std::int32_t fixed) {
  return static_cast<std::uint8_t>(std::clamp(fixed >> kFractionBits, 0, 255));
}

void resize_row(const std::uint8_t* from, std::uint8_t* to, const Taps& taps) {
  for (const Span& span : taps.spans) {
    const std::int32_t* w = &taps.weights[span.weights];
    const std::uint8_t* p = from + std::size_t{3} * span.first;
    std::int32_t r = 1 << (kFractionBits - 1), g = r, b = r;
    for (int k = 0; k < span.count; ++k, p += 3) r += p[0] * w[k], g += p[1] * w[k], b += p[2] * w[k];
    *to++ = to_byte(r), *to++ = to_byte(g), *to++ = to_byte(b);
  }
}

/// Rows of the source after the horizontal pass; a ring that holds the rows of one vertical span.
class Rows {
 public:
  Rows(const Image& source, Taps xs, int capacity)
      : source_(source),
        xs_(std::move(xs)),
        row_bytes_(3 * xs_.spans.size()),
        capacity_(capacity),
        ring_(row_bytes_ * capacity) {}
  /// Makes rows [begin, end) available; spans only move downwards.
  void need(int begin, int end) {
    for (next_ = std::max(next_, begin); next_ < end; ++next_) {
      resize_row(&source_.rgb[std::size_t{3} * next_ * source_.width], &ring_[(next_ % capacity_) * row_bytes_], xs_);
    }
  }
  const std::uint8_t* get(int y) const { return &ring_[(y % capacity_) * row_bytes_]; }

 private:
  const Image& source_;
  Taps xs_;
  std::size_t row_bytes_, capacity_;
  std::vector<std::uint8_t> ring_;
  int next_ = 0;
};

}  // namespace

Image resize_antialiased(const Image& source, Size size, Filter filter) {
  const Kernel kernel = filter == Filter::lanczos ? Kernel{3.0, lanczos} : Kernel{2.0, cubic};
  const Taps ys = make_taps(source.height, size.height, kernel);
  Rows rows(source, make_taps(source.width, size.width, kernel), ys.longest);
  const std::size_t n = std::size_t{3} * size.width;
  Image out{size.width, size.height, {}};
  out.rgb.resize(n * size.height);
  std::vector<std::int32_t> sums(n);
  std::uint8_t* to = out.rgb.data();
  for (const Span& span : ys.spans) {
    rows.need(span.first, span.first + span.count);
    std::fill(sums.begin(), sums.end(), 1 << (kFractionBits - 1));
    for (int k = 0; k < span.count; ++k) {
      const std::int32_t w = ys.weights[span.weights + k];
      const std::uint8_t* row = rows.get(span.first + k);
      for (std::size_t i = 0; i < n; ++i) sums[i] += row[i] * w;
    }
    for (std::int32_t sum : sums) *to++ = to_byte(sum);
  }
  return out;
}

}  // namespace mtmd::image
