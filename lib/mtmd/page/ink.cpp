#include "mtmd/page/ink.h"

#include <array>
#include <cstdlib>

namespace mtmd::page {
namespace {

constexpr int kLeastContrast = 18;  // levels; fainter marks are dirt

/// Mean of each cell x cell square.
Plane shrink(const Plane& in, int cell) {
  Plane out((in.width + cell - 1) / cell, (in.height + cell - 1) / cell);
  std::vector<std::uint32_t> sum(std::size_t(out.width));
  for (int oy = 0; oy < out.height; ++oy) {
    std::fill(sum.begin(), sum.end(), 0);
    const int y1 = std::min((oy + 1) * cell, in.height);
    for (int y = oy * cell; y < y1; ++y)
      for (int x = 0; x < in.width; ++x) sum[std::size_t(x / cell)] += in.row(y)[x];
    for (int ox = 0; ox < out.width; ++ox) {
      const int n = (y1 - oy * cell) * (std::min((ox + 1) * cell, in.width) - ox * cell);
      out.row(oy)[ox] = std::uint8_t((int(sum[std::size_t(ox)]) + n / 2) / n);
    }
  }
  return out;
}

/// Low, middle and high levels of the window around every pixel of a small picture (histograms that slide along the
/// row).
struct Levels {
  Plane low, middle, high;
};

Levels local_levels(const Plane& in, int radius) {
  Levels out{Plane(in.width, in.height), Plane(in.width, in.height), Plane(in.width, in.height)};
  for (int y = 0; y < in.height; ++y) {
    std::array<int, 256> count{};
    int n = 0;
    const int y0 = std::max(0, y - radius), y1 = std::min(in.height - 1, y + radius);
    const auto column = [&](int x, int sign) {
      if (x < 0 || x >= in.width) return;
      for (int yy = y0; yy <= y1; ++yy) count[in.row(yy)[x]] += sign;
      n += sign * (y1 - y0 + 1);
    };
    for (int x = 0; x < radius; ++x) column(x, 1);
    for (int x = 0; x < in.width; ++x) {
      column(x + radius, 1);
      column(x - radius - 1, -1);
      int seen = 0, v = 0;
      const auto rank = [&](int want) {
        while (seen + count[std::size_t(v)] <= want) seen += count[std::size_t(v++)];
        return std::uint8_t(v);
      };
      out.low.row(y)[x] = rank(n * 3 / 100);
      out.middle.row(y)[x] = rank(n / 2);
      out.high.row(y)[x] = rank(n - 1 - n * 3 / 100);
    }
  }
  return out;
}

/// 1 in cells of light text on dark ground: there the middle level is nearer to the dark end. All cells of about the
/// same paper level decide together, each with its contrast, so that neither an empty region nor the step at a shadow's
/// edge goes its own way.
Plane light_text(const Plane& low, const Plane& middle, const Plane& high) {
  constexpr int kClear = 24;
  Plane light(middle.width, middle.height);
  std::array<long, 256> votes{}, opinion{};
  for (std::size_t i = 0; i < light.level.size(); ++i) {
    const int up = high.level[i] - middle.level[i], down = middle.level[i] - low.level[i];
    if (std::max(up, down) >= kClear) votes[middle.level[i]] += up - down;
  }
  for (int level = 0; level < 256; ++level)
    for (int d = -12; d <= 12; ++d)
      if (level + d >= 0 && level + d < 256)
        opinion[std::size_t(level)] += votes[std::size_t(level + d)] * (13 - std::abs(d));
  for (std::size_t i = 0; i < light.level.size(); ++i) light.level[i] = opinion[middle.level[i]] > 0;
  return light;
}

/// Noise of the paper: the usual step between neighbouring pixels.
int noise_of(const Plane& gray) {
  std::array<std::uint32_t, 256> count{};
  std::uint64_t n = 0;
  const int step = std::max(1, gray.height / 500);
  for (int y = 0; y < gray.height; y += step)
    for (int x = 1; x < gray.width; ++x, ++n) ++count[std::size_t(std::abs(gray.row(y)[x] - gray.row(y)[x - 1]))];
  std::uint64_t seen = 0;
  int v = 0;
  while (v < 255 && (seen += count[std::size_t(v)]) * 2 < n) ++v;
  return v;
}

/// The strongest contrast within `radius` pixels: a maximum filter by rows, then by columns, on cells.
Plane spread(const Plane& in, int radius) {
  const auto pass = [radius](const Plane& from, bool along_x) {
    Plane to(from.width, from.height);
    for (int y = 0; y < from.height; ++y)
      for (int x = 0; x < from.width; ++x) {
        std::uint8_t best = 0;
        for (int d = -radius; d <= radius; ++d)
          best = std::max(best, along_x ? from.near(x + d, y) : from.near(x, y + d));
        to.row(y)[x] = best;
      }
    return to;
  };
  return pass(pass(in, true), false);
}

}  // namespace

Ink find_ink(Plane gray, int window) {
  Ink ink;
  ink.cell = 4;
  const Plane small = shrink(gray, ink.cell);
  Levels levels = local_levels(small, std::max(3, window / ink.cell / 2));

  ink.paper = std::move(levels.middle);
  const Plane light = light_text(levels.low, ink.paper, levels.high);
  for (std::size_t i = 0; i < ink.paper.level.size(); ++i)
    if (light.level[i]) ink.paper.level[i] = std::uint8_t(255 - ink.paper.level[i]);
  for (int y = 0; y < gray.height; ++y)
    for (int x = 0; x < gray.width; ++x)
      if (light.row(y / ink.cell)[x / ink.cell]) gray.row(y)[x] = std::uint8_t(255 - gray.row(y)[x]);

  // Contrast to the paper, and the strongest contrast of the neighbourhood: half of that is ink.
  Plane contrast(gray.width, gray.height), peak(small.width, small.height);
  for (int y = 0; y < gray.height; ++y)
    for (int x = 0; x < gray.width; ++x) {
      const int c = std::max(0, ink.paper_at(x, y) - gray.row(y)[x]);
      contrast.row(y)[x] = std::uint8_t(c);
      std::uint8_t& p = peak.row(y / ink.cell)[x / ink.cell];
      p = std::max(p, std::uint8_t(c));
    }
  peak = spread(peak, std::max(3, window / ink.cell / 2));
  const int least = std::max(kLeastContrast, 5 * noise_of(gray));
  ink.mask = Plane(gray.width, gray.height);
  for (int y = 0; y < gray.height; ++y)
    for (int x = 0; x < gray.width; ++x)
      ink.mask.row(y)[x] = contrast.row(y)[x] > std::max(least, int(peak.row(y / ink.cell)[x / ink.cell]) * 9 / 20);
  ink.gray = std::move(gray);
  return ink;
}

}  // namespace mtmd::page
