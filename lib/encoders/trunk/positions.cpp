#include "encoders/trunk/positions.h"

#include <algorithm>
#include <cmath>

#include "engine/base/error.h"

namespace mtmd::encoders {
namespace {

struct Tap {
  int at;
  float weight;
};

/// A filter that reaches `radius` neighbours, widened when shrinking.
std::vector<Tap> widened_taps(int from, int to, int i, float radius, float (*filter)(float)) {
  const float scale = static_cast<float>(from) / static_cast<float>(to), wide = std::max(scale, 1.0f);
  const float center = (static_cast<float>(i) + 0.5f) * scale, reach = radius * wide;
  std::vector<Tap> taps;
  float sum = 0;
  for (int k = std::max(0, static_cast<int>(center - reach)); k < from && static_cast<float>(k) < center + reach; ++k) {
    const float weight = filter(std::abs(static_cast<float>(k) + 0.5f - center) / wide);
    if (weight != 0) taps.push_back({k, weight}), sum += weight;
  }
  for (Tap& tap : taps) tap.weight /= sum;
  return taps;
}

/// The cubic of Keys 1981, of a distance >= 0.
float cubic(float x, float a) {
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0.0f;
}

std::vector<Tap> antialias_taps(int from, int to, int i) {
  return widened_taps(from, to, i, 1.0f, [](float x) { return std::max(0.0f, 1.0f - x); });
}

std::vector<Tap> cubic_antialias_taps(int from, int to, int i) {
  return widened_taps(from, to, i, 2.0f, [](float x) { return cubic(x, -0.5f); });
}

/// Two neighbours around `at`; beyond the edges the edge counts.
std::vector<Tap> linear_taps(int from, float at) {
  at = std::clamp(at, 0.0f, static_cast<float>(from - 1));
  const int first = static_cast<int>(at);
  const float t = at - static_cast<float>(first);
  return {{first, 1.0f - t}, {std::min(first + 1, from - 1), t}};
}

std::vector<Tap> corner_taps(int from, int to, int i) {
  return linear_taps(from,
                     to > 1 ? static_cast<float>(i) * static_cast<float>(from - 1) / static_cast<float>(to - 1) : 0.0f);
}

std::vector<Tap> tenth_more_taps(int from, int to, int i) {
  const float scale = (static_cast<float>(to) + 0.1f) / static_cast<float>(from);
  return linear_taps(from, (static_cast<float>(i) + 0.5f) / scale - 0.5f);
}

/// a = -0.75; taps beyond the edges repeat the edge.
std::vector<Tap> cubic_taps(int from, int to, int i) {
  const float at = (static_cast<float>(i) + 0.5f) * static_cast<float>(from) / static_cast<float>(to) - 0.5f;
  const float floor = std::floor(at), t = at - floor;
  std::vector<Tap> taps;
  for (int k = -1; k <= 2; ++k)
    taps.push_back(
        {std::clamp(static_cast<int>(floor) + k, 0, from - 1), cubic(std::abs(t - static_cast<float>(k)), -0.75f)});
  return taps;
}

using Taps = std::vector<Tap> (*)(int from, int to, int i);

Taps taps_of(TableResize how) {
  switch (how) {
    case TableResize::antialias:
      return antialias_taps;
    case TableResize::align_corners:
      return corner_taps;
    case TableResize::bicubic:
      return cubic_taps;
    case TableResize::bicubic_antialias:
      return cubic_antialias_taps;
    case TableResize::tenth_more:
      return tenth_more_taps;
  }
  return antialias_taps;
}

}  // namespace

PositionTable::PositionTable(gguf::Weights& weights, std::int64_t n_embd, TableResize how, std::string_view name)
    : n_embd_(n_embd), how_(how) {
  constexpr std::int64_t kMostSide = 1 << 15;
  const gguf::TensorInfo* info = weights.find(name);
  const std::string& file = weights.file().metadata().file();
  if (info != nullptr && info->shape.size() == 3) {
    const std::int64_t height = info->shape[0], width = info->shape[1];
    if (height > kMostSide || width > kMostSide)
      fail(ErrorCategory::model, "{}: {} is {} x {}, expected sides up to {}", file, name, height, width, kMostSide);
    height_ = static_cast<int>(height), width_ = static_cast<int>(width);
    table_ = weights.values(name, {height, width, n_embd});
    return;
  }
  const std::int64_t rows = info != nullptr && !info->shape.empty() ? info->shape.front() : 1;
  const std::int64_t side = rows > kMostSide * kMostSide ? 0 : std::lround(std::sqrt(static_cast<double>(rows)));
  if (side * side != rows) fail(ErrorCategory::model, "{}: {} has {} rows, expected a square number", file, name, rows);
  height_ = width_ = static_cast<int>(side);
  table_ = weights.values(name, {rows, n_embd});
}

std::vector<float> PositionTable::resized(int columns, int rows, TableResize how) const {
  const auto d = static_cast<std::size_t>(n_embd_);
  const Taps taps = taps_of(how);
  std::vector<float> out(static_cast<std::size_t>(columns) * static_cast<std::size_t>(rows) * d);
  std::vector<std::vector<Tap>> xs;
  for (int x = 0; x < columns; ++x) xs.push_back(taps(width_, columns, x));
  float* to = out.data();
  for (int y = 0; y < rows; ++y) {
    const std::vector<Tap> ys = taps(height_, rows, y);
    for (int x = 0; x < columns; ++x, to += d) {
      for (const Tap& ty : ys) {
        for (const Tap& tx : xs[static_cast<std::size_t>(x)]) {
          const float weight = ty.weight * tx.weight;
          const float* from = &table_[(static_cast<std::size_t>(ty.at) * static_cast<std::size_t>(width_) +
                                       static_cast<std::size_t>(tx.at)) *
                                      d];
          for (std::size_t i = 0; i < d; ++i) to[i] += weight * from[i];
        }
      }
    }
  }
  return out;
}

RopeTable rope_2d(std::int32_t head_dim, const Rope2d& how, std::span<const Position> positions) {
  const std::int32_t half = head_dim / 4;
  RopeTable table;
  table.tokens = static_cast<std::int64_t>(positions.size()), table.pairs = std::int64_t{2} * half;
  for (const Position& p : positions) {
    const int axes[] = {how.rows_first ? p.y : p.x, how.rows_first ? p.x : p.y};
    for (int part = 0; part < 2; ++part) {
      for (std::int32_t i = 0; i < half; ++i) {
        const int exponent = 4 * i + (part == 1 && how.offset ? 2 : 0);
        const double angle =
            axes[part] * std::pow(static_cast<double>(how.base), -static_cast<double>(exponent) / head_dim);
        table.cos.push_back(static_cast<float>(std::cos(angle))),
            table.sin.push_back(static_cast<float>(std::sin(angle)));
      }
    }
  }
  return table;
}

RopeTable rope_axis(std::int32_t n, float base, Axis axis, std::span<const Position> positions) {
  RopeTable table;
  table.tokens = static_cast<std::int64_t>(positions.size()), table.pairs = n / 2;
  for (const Position& p : positions) {
    for (std::int32_t i = 0; i < n / 2; ++i) {
      const double angle =
          (axis == Axis::row ? p.y : p.x) * std::pow(static_cast<double>(base), -2.0 * static_cast<double>(i) / n);
      table.cos.push_back(static_cast<float>(std::cos(angle)));
      table.sin.push_back(static_cast<float>(std::sin(angle)));
    }
  }
  return table;
}

void rotate_part(Device& device, Tensor x, std::int32_t head_dim, std::int32_t first, const RopeTable& table,
                 RopePairs pairs) {
  if (table.pairs == 0) return;
  const auto n = static_cast<std::int32_t>(2 * table.pairs);
  for (std::int64_t head = 0; head + head_dim <= x.cols; head += head_dim)
    device.rope(x.cols_at(head + first, n), n, table, pairs);
}

std::vector<Position> grid_positions(std::span<const std::int32_t> order, int columns, std::int64_t n_pictures) {
  std::vector<Position> positions;
  positions.reserve(order.size() * static_cast<std::size_t>(n_pictures));
  for (std::int64_t i = 0; i < n_pictures; ++i) {
    for (const std::int32_t at : order) positions.push_back({0, at / columns, at % columns, 0});
  }
  return positions;
}

}  // namespace mtmd::encoders
