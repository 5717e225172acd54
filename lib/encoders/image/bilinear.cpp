#include <algorithm>
#include <vector>

#include "encoders/image/filters.h"

namespace mtmd::image {
namespace {

/// One output coordinate: the two source coordinates around it and the weight of the second.
struct Tap {
  int first, second;
  float weight;
};

std::vector<Tap> taps(int from, int to) {
  const float ratio = to > 1 ? static_cast<float>(from - 1) / static_cast<float>(to - 1) : 0.0f;
  std::vector<Tap> out(to);
  for (int i = 0; i < to; ++i) {
    const float at = ratio * static_cast<float>(i);
    const int first = std::min(static_cast<int>(at), from - 1);
    out[i] = {first, std::min(first + 1, from - 1), at - static_cast<float>(first)};
  }
  return out;
}

float lerp(float a, float b, float t) { return a + (b - a) * t; }

Image interpolate(const Image& source, const std::vector<Tap>& xs, const std::vector<Tap>& ys) {
  Image out{static_cast<int>(xs.size()), static_cast<int>(ys.size()), {}};
  out.rgb.resize(3 * xs.size() * ys.size());
  std::uint8_t* to = out.rgb.data();
  for (const Tap& y : ys) {
    const std::uint8_t* top = &source.rgb[std::size_t{3} * y.first * source.width];
    const std::uint8_t* bottom = &source.rgb[std::size_t{3} * y.second * source.width];
    for (const Tap& x : xs) {
      for (int c = 0; c < 3; ++c) {
        const float a = lerp(top[3 * x.first + c], top[3 * x.second + c], x.weight);
        const float b = lerp(bottom[3 * x.first + c], bottom[3 * x.second + c], x.weight);
        *to++ = static_cast<std::uint8_t>(lerp(a, b, y.weight));
      }
    }
  }
  return out;
}

/// Taps of a longer side; all that lies beyond `last` is like it.
std::vector<Tap> taps_up_to(int last, int from, int to) {
  std::vector<Tap> out = taps(from, to);
  for (Tap& tap : out) tap.first = std::min(tap.first, last), tap.second = std::min(tap.second, last);
  return out;
}

}  // namespace

Image resize_bilinear(const Image& source, Size size) {
  return interpolate(source, taps(source.width, size.width), taps(source.height, size.height));
}

Image resize_on_black(const Image& source, Size extent, Size size) {
  // One black column and one black row stand for all.
  const Size framed{std::min(source.width + 1, extent.width), std::min(source.height + 1, extent.height)};
  return interpolate(crop(source, 0, 0, framed), taps_up_to(framed.width - 1, extent.width, size.width),
                     taps_up_to(framed.height - 1, extent.height, size.height));
}

}  // namespace mtmd::image
