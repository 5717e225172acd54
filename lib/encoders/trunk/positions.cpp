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

std::vector<Tap> antialias_taps(int from, int to, int i) {
  const float scale = static_cast<float>(from) / static_cast<float>(to), reach = std::max(scale, 1.0f);
  const float center = (static_cast<float>(i) + 0.5f) * scale;
  std::vector<Tap> taps;
  float sum = 0;
  for (int k = std::max(0, static_cast<int>(center - reach)); k < from && static_cast<float>(k) < center + reach; ++k) {
    const float weight = std::max(0.0f, 1.0f - std::abs(static_cast<float>(k) + 0.5f - center) / reach);
    if (weight > 0) taps.push_back({k, weight}), sum += weight;
  }
  for (Tap& tap : taps) tap.weight /= sum;
  return taps;
}

std::vector<Tap> corner_taps(int from, int to, int i) {
  const float at = to > 1 ? static_cast<float>(i) * static_cast<float>(from - 1) / static_cast<float>(to - 1) : 0.0f;
  const int first = std::min(static_cast<int>(at), from - 1);
  const float t = at - static_cast<float>(first);
  return {{first, 1.0f - t}, {std::min(first + 1, from - 1), t}};
}

}  // namespace

PositionTable::PositionTable(gguf::Weights& weights, std::int64_t n_embd, TableResize how)
    : n_embd_(n_embd), how_(how) {
  constexpr std::string_view kName = "v.position_embd.weight";
  const gguf::TensorInfo* info = weights.find(kName);
  const std::int64_t rows = info != nullptr && !info->shape.empty() ? info->shape.front() : 1;
  side_ = static_cast<int>(std::lround(std::sqrt(static_cast<double>(rows))));
  if (std::int64_t{side_} * side_ != rows) {
    fail(ErrorCategory::model, "{}: {} has {} rows, expected a square number", weights.file().metadata().file(), kName,
         rows);
  }
  table_ = weights.values(kName, {rows, n_embd});
}

std::vector<float> PositionTable::resized(int columns, int rows) const {
  const auto d = static_cast<std::size_t>(n_embd_);
  const auto taps = how_ == TableResize::antialias ? antialias_taps : corner_taps;
  std::vector<float> out(static_cast<std::size_t>(columns) * static_cast<std::size_t>(rows) * d);
  std::vector<std::vector<Tap>> xs;
  for (int x = 0; x < columns; ++x) xs.push_back(taps(side_, columns, x));
  float* to = out.data();
  for (int y = 0; y < rows; ++y) {
    const std::vector<Tap> ys = taps(side_, rows, y);
    for (int x = 0; x < columns; ++x, to += d) {
      for (const Tap& ty : ys) {
        for (const Tap& tx : xs[static_cast<std::size_t>(x)]) {
          const float weight = ty.weight * tx.weight;
          const float* from = &table_[(static_cast<std::size_t>(ty.at) * static_cast<std::size_t>(side_) +
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

std::vector<Position> grid_positions(std::span<const std::int32_t> order, int columns, std::int64_t n_pictures) {
  std::vector<Position> positions;
  positions.reserve(order.size() * static_cast<std::size_t>(n_pictures));
  for (std::int64_t i = 0; i < n_pictures; ++i) {
    for (const std::int32_t at : order) positions.push_back({0, at / columns, at % columns, 0});
  }
  return positions;
}

}  // namespace mtmd::encoders
