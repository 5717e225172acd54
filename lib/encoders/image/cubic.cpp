// Cubic interpolation by the Lagrange polynomial through four neighbours, without antialiasing.
#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "encoders/image/filters.h"

namespace mtmd::image {
namespace {

/// The polynomial through p[-1..2] at t in [0, 1). Coefficients are computed in double, kept and evaluated in f32: the
/// recorded pixels depend on it.
float cubic(float before, float p, float after, float second, float t) {
  const float d0 = before - p, d2 = after - p, d3 = second - p;
  const auto a1 = static_cast<float>(-1.0 / 3 * d0 + d2 - 1.0 / 6 * d3);
  const auto a2 = static_cast<float>(1.0 / 2 * d0 + 1.0 / 2 * d2);
  const auto a3 = static_cast<float>(-1.0 / 6 * d0 - 1.0 / 2 * d2 + 1.0 / 6 * d3);
  return p + a1 * t + a2 * t * t + a3 * t * t * t;
}

struct Tap {
  std::array<int, 4> at;  ///< clamped source coordinates
  float t;
};

std::vector<Tap> taps(int from, int to) {
  const float step = static_cast<float>(from) / static_cast<float>(to);
  std::vector<Tap> out(to);
  for (int i = 0; i < to; ++i) {
    const float position = step * static_cast<float>(i);
    const int base = static_cast<int>(position);
    out[i].t = position - static_cast<float>(base);
    for (int k = 0; k < 4; ++k) out[i].at[k] = std::clamp(base - 1 + k, 0, from - 1);
  }
  return out;
}

/// Source rows interpolated along x, each computed once while it is needed (at most four at a time).
class Rows {
 public:
  Rows(const Image& source, std::vector<Tap> xs) : source_(source), xs_(std::move(xs)) {
    for (Row& row : rows_) row.values.resize(3 * xs_.size());
  }
  const float* get(int y) {
    Row& row = rows_[y & 3];
    if (row.y != y) compute(row, y);
    return row.values.data();
  }

 private:
  struct Row {
    int y = -1;
    std::vector<float> values;
  };
  void compute(Row& row, int y) const {
    const std::uint8_t* from = &source_.rgb[std::size_t{3} * y * source_.width];
    float* to = row.values.data();
    for (const Tap& x : xs_) {
      for (int c = 0; c < 3; ++c) {
        *to++ = cubic(from[3 * x.at[0] + c], from[3 * x.at[1] + c], from[3 * x.at[2] + c], from[3 * x.at[3] + c], x.t);
      }
    }
    row.y = y;
  }
  const Image& source_;
  std::vector<Tap> xs_;
  std::array<Row, 4> rows_;
};

}  // namespace

Image resize_cubic(const Image& source, Size size) {
  Rows rows(source, taps(source.width, size.width));
  Image out{size.width, size.height, {}};
  const std::size_t n = std::size_t{3} * size.width;
  out.rgb.resize(n * size.height);
  std::uint8_t* to = out.rgb.data();
  for (const Tap& y : taps(source.height, size.height)) {
    const float *p0 = rows.get(y.at[0]), *p1 = rows.get(y.at[1]), *p2 = rows.get(y.at[2]), *p3 = rows.get(y.at[3]);
    for (std::size_t i = 0; i < n; ++i) {
      const float value = std::round(cubic(p0[i], p1[i], p2[i], p3[i], y.t));
      *to++ = static_cast<std::uint8_t>(std::clamp(value, 0.0f, 255.0f));
    }
  }
  return out;
}

}  // namespace mtmd::image
