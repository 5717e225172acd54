// Rows that weights of models look like, and rows that they should not.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

namespace mtmd::quant {

enum class Kind {
  gaussian,
  heavy_tails,
  sparse,
  constant,
  zeros,
  denormal,
  huge,
  ties,
  changing_scale,
  positive,
  small
};
constexpr std::array kKinds = {Kind::gaussian, Kind::heavy_tails, Kind::sparse,        Kind::constant,
                               Kind::zeros,    Kind::denormal,    Kind::huge,          Kind::ties,
                               Kind::positive, Kind::small,       Kind::changing_scale};

inline std::vector<float> row_of(Kind kind, std::int64_t n, unsigned seed) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal;
  std::vector<float> row(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < row.size(); ++i) {
    const float g = normal(rng);
    switch (kind) {
      case Kind::gaussian:
        row[i] = g;
        break;
      case Kind::heavy_tails:
        row[i] = g * g * g * std::exp(normal(rng));
        break;
      case Kind::sparse:
        row[i] = rng() % 40 == 0 ? g : 0;
        break;
      case Kind::constant:
        row[i] = 0.37f;
        break;
      case Kind::zeros:
        row[i] = rng() % 2 ? 0.0f : -0.0f;
        break;
      case Kind::denormal:
        row[i] = std::bit_cast<float>(static_cast<std::uint32_t>(rng()) & 0x807fffffu);
        break;
      case Kind::huge:
        row[i] = g * 1e30f;
        break;
      case Kind::ties:
        row[i] = static_cast<float>(static_cast<int>(rng() % 9) - 4) * 0.25f;
        break;
      case Kind::changing_scale:
        row[i] = g * std::exp2(static_cast<float>(i / 16 % 20) - 10);
        break;
      case Kind::positive:
        row[i] = std::fabs(g) + 0.5f;
        break;
      case Kind::small:
        row[i] = g * 1e-7f;
        break;
    }
  }
  return row;
}

/// Squares of gaussian numbers, some of them zero, as the sums of squared activations in an importance matrix.
inline std::vector<float> weights_of(std::int64_t n, unsigned seed) {
  std::vector<float> w = row_of(Kind::gaussian, n, seed);
  for (std::size_t i = 0; i < w.size(); ++i) w[i] = i % 50 == 0 ? 0 : w[i] * w[i];
  return w;
}

}  // namespace mtmd::quant
