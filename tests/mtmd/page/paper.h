// Pages written with a stick alphabet, for tests that need text but no fonts.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <string_view>

#include "encoders/image/image.h"

namespace mtmd::page {

struct Colour {
  std::uint8_t r, g, b;
};

class Paper {
 public:
  Paper(int width, int height, Colour paper = {250, 250, 250}, Colour ink = {20, 20, 20}) : ink_(ink) {
    image.width = width;
    image.height = height;
    for (int i = 0; i < width * height; ++i) image.rgb.insert(image.rgb.end(), {paper.r, paper.g, paper.b});
  }

  void dot(int x, int y) {
    if (x < 0 || y < 0 || x >= image.width || y >= image.height) return;
    std::uint8_t* p = &image.rgb[3 * (std::size_t(y) * std::size_t(image.width) + std::size_t(x))];
    p[0] = ink_.r, p[1] = ink_.g, p[2] = ink_.b;
  }
  void box(int x0, int y0, int x1, int y1) {
    for (int y = y0; y < y1; ++y)
      for (int x = x0; x < x1; ++x) dot(x, y);
  }

  /// Letters of 5 x 7 cells of `cell` pixels, capitals and small ones with rises and tails; anything unknown is a bar.
  /// Returns the right end.
  int write(int x, int y, std::string_view text, int cell = 2) {
    for (const char c : text) {
      if (c != ' ') letter(x, y, c, cell);
      x += 6 * cell;
    }
    return x - cell;
  }

  /// Every pixel moved down by slope * x.
  void shear(double slope) {
    const image::Image from = image;
    for (int y = 0; y < image.height; ++y)
      for (int x = 0; x < image.width; ++x) {
        const int sy = std::clamp(int(std::lround(y - slope * x)), 0, image.height - 1);
        std::copy_n(&from.rgb[3 * (std::size_t(sy) * std::size_t(image.width) + std::size_t(x))], 3,
                    &image.rgb[3 * (std::size_t(y) * std::size_t(image.width) + std::size_t(x))]);
      }
  }

  void noise(double sigma) {
    std::mt19937 random(7);
    std::normal_distribution<double> normal(0, sigma);
    for (auto& v : image.rgb) v = std::uint8_t(std::clamp(v + normal(random), 0.0, 255.0));
  }

  image::Image image;

 private:
  void letter(int x, int y, char c, int cell) {
    // Rows of five cells, most significant bit on the left; y is the top of capitals.
    static constexpr std::array<std::pair<char, std::array<int, 9>>, 7> kShapes = {{
        {'H', {17, 17, 17, 31, 17, 17, 17, 0, 0}},
        {'E', {31, 16, 16, 30, 16, 16, 31, 0, 0}},
        {'o', {0, 0, 14, 17, 17, 17, 14, 0, 0}},
        {'n', {0, 0, 30, 17, 17, 17, 17, 0, 0}},
        {'l', {4, 4, 4, 4, 4, 4, 4, 0, 0}},
        {'p', {0, 0, 30, 17, 17, 17, 30, 16, 16}},
        {'.', {0, 0, 0, 0, 0, 0, 4, 0, 0}},
    }};
    for (const auto& [name, rows] : kShapes)
      if (name == c) {
        for (int row = 0; row < 9; ++row)
          for (int column = 0; column < 5; ++column)
            if (rows[std::size_t(row)] >> (4 - column) & 1)
              box(x + column * cell, y + row * cell, x + (column + 1) * cell, y + (row + 1) * cell);
        return;
      }
    box(x, y, x + cell, y + 7 * cell);
  }

  Colour ink_;
};

}  // namespace mtmd::page
