#include "mtmd/page/crop.h"

#include <array>
#include <cmath>

namespace mtmd::page {
namespace {

/// Weights of the source pixels from `first` on for one target pixel.
struct Taps {
  int first = 0;
  std::vector<float> weight;
};

std::vector<Taps> triangle(int in_size, double begin, double end, int out_size) {
  std::vector<Taps> all(static_cast<std::size_t>(out_size));
  const double scale = (end - begin) / out_size, radius = std::max(1.0, scale);
  for (int o = 0; o < out_size; ++o) {
    Taps& taps = all[std::size_t(o)];
    const double centre = begin + (o + 0.5) * scale;
    taps.first = std::max(0, int(centre - radius + 0.5));
    const int last = std::min(in_size, int(centre + radius + 0.5));
    double sum = 0;
    for (int i = taps.first; i < last; ++i) {
      const double w = std::max(0.0, 1.0 - std::abs((i - centre + 0.5) / radius));
      taps.weight.push_back(float(w));
      sum += w;
    }
    if (sum <= 0) {  // the rectangle leaves the picture: its nearest pixel
      taps = {std::clamp(int(centre), 0, in_size - 1), {1.0F}};
      sum = 1;
    }
    for (float& w : taps.weight) w = float(w / sum);
  }
  return all;
}

std::uint8_t rounded(float v) { return std::uint8_t(std::clamp(int(v + 0.5F), 0, 255)); }

}  // namespace

double ink_target(const LineFormat& format) { return format.height * 20.0 / 32.0; }

Plane resample(const Plane& in, double x0, double y0, double x1, double y1, int width, int height) {
  const auto across = triangle(in.width, x0, x1, width), down = triangle(in.height, y0, y1, height);
  Plane narrow(width, in.height), out(width, height);
  for (int y = 0; y < in.height; ++y)
    for (int x = 0; x < width; ++x) {
      const Taps& taps = across[std::size_t(x)];
      float sum = 0;
      for (std::size_t i = 0; i < taps.weight.size(); ++i) sum += taps.weight[i] * in.row(y)[taps.first + int(i)];
      narrow.row(y)[x] = rounded(sum);
    }
  for (int y = 0; y < height; ++y) {
    const Taps& taps = down[std::size_t(y)];
    for (int x = 0; x < width; ++x) {
      float sum = 0;
      for (std::size_t i = 0; i < taps.weight.size(); ++i) sum += taps.weight[i] * narrow.row(taps.first + int(i))[x];
      out.row(y)[x] = rounded(sum);
    }
  }
  return out;
}

void normalise(Plane& crop) {
  std::array<int, 256> count{};
  for (const auto v : crop.level) ++count[v];
  const int n = int(crop.level.size());
  const auto level_with = [&](int below) {  // the first level with more than `below` pixels at or under it
    int seen = 0, v = 0;
    while (v < 255 && (seen += count[std::size_t(v)]) <= below) ++v;
    return v;
  };
  const int edge = int(std::int64_t(n) * 3 / 1000);
  int low = level_with(edge), paper = level_with(n / 2);
  const int high = level_with(n - 1 - edge);
  const bool light = high - paper > paper - low;
  if (light) {
    low = 255 - high;
    paper = 255 - paper;
  }
  const int span = std::max(48, paper - low);
  for (auto& v : crop.level) {
    const int dark = light ? 255 - v : v;
    v = std::uint8_t(std::clamp((dark - (paper - span)) * 230 / span, 0, 255));
  }
}

image::Image cut_out(const Ink& ink, const Row& row, const Cut& cut, const LineFormat& format) {
  // Straighten: every column of the strip is shifted by the row's slope. Rows beyond `above` and `below` repeat the
  // last one.
  const double scale = ink_target(format) / cut.ink_height;
  const int margin = int(std::ceil(4 / scale));
  const int usable = cut.x1 - cut.x0 + 2 * margin;
  int width = int(std::ceil(usable * scale / format.step)) * format.step;
  width = std::clamp(width, format.min_width, format.max_width);
  const int columns = std::max(usable, int(std::ceil(width / scale)));
  const double tall = format.height / scale, middle = row.box.y + row.box.height / 2.0;
  const int rows = int(std::ceil(tall)) + 2;
  const int top = int(std::floor(middle - tall / 2)) - 1;
  const double pivot = row.box.x + row.box.width / 2.0;
  Plane strip(columns, rows);
  for (int x = 0; x < columns; ++x) {
    const int sx = cut.x0 - margin + x;
    const double shift = row.slope * (sx - pivot);
    // Outside the row's own reach there is paper; further letters of the row are cut off with the reach too.
    const bool paper_only = sx < cut.x0 - margin || sx >= cut.x1 + margin || sx < 0 || sx >= ink.gray.width;
    for (int y = 0; y < rows; ++y) {
      const int sy = std::clamp(top + y, row.box.y - cut.above, row.box.bottom() - 1 + cut.below);
      const double at = sy + shift;
      const int y0 = int(std::floor(at));
      if (paper_only) {
        strip.row(y)[x] = ink.paper_at(sx, y0);
      } else {
        const double part = at - y0;
        strip.row(y)[x] = std::uint8_t(ink.gray.near(sx, y0) * (1 - part) + ink.gray.near(sx, y0 + 1) * part + 0.5);
      }
    }
  }
  const double y0 = middle - tall / 2 - top;
  Plane crop = resample(strip, 0, y0, width / scale, y0 + tall, width, format.height);
  normalise(crop);
  image::Image out{.width = crop.width, .height = crop.height, .rgb = {}};
  out.rgb.reserve(crop.level.size() * 3);
  for (const auto v : crop.level) out.rgb.insert(out.rgb.end(), 3, v);
  return out;
}

}  // namespace mtmd::page
