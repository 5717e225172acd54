// What a projector makes of a picture, decided from its size alone: count_tokens() and preprocess() follow the same
// plan.
#pragma once

#include <array>
#include <span>
#include <string>
#include <vector>

#include "encoders/image/resize.h"
#include "encoders/projector/projector.h"

namespace mtmd::encoders {

/// The picture or another canvas, scaled and padded.
struct Canvas {
  image::Size size;
  image::Filter filter = image::Filter::bilinear;
  image::Padding padding = image::Padding::none;
  image::Color color = {0, 0, 0};
  int source = -1;          ///< index of an earlier canvas that it is made from; -1: the picture
  image::Size extent = {};  ///< what is scaled (bilinear, stretched) is black, with the source in its top left; 0 x 0:
                            ///< the source alone
};

/// A rectangle of a canvas: one input of the encoder. What sticks out to the right or below is black.
struct View {
  int canvas = 0;  ///< index into Plan::canvases
  int x = 0, y = 0;
  image::Size size;  ///< of the input, unless `stretched`
  int parts = 1;     ///< the input holds so many equal tiles one below the other that lie side by side on the canvas
  image::Size stretched = {};  ///< the size of the input where it is scaled once more after normalisation; else 0 x 0
  image::Size input_size() const noexcept { return stretched.width > 0 ? stretched : size; }
};

struct Plan {
  std::vector<Canvas> canvases;
  std::vector<View> views;
  std::vector<Piece> layout;  ///< `input` counts views

  /// Adds a canvas that is one view, and the view's place in the prompt. Returns the view's index.
  int add_whole(const Canvas& canvas);
  /// Adds a canvas cut into square tiles, row by row, without touching the layout. Returns the index of the first.
  int add_tiles(const Canvas& canvas, int tile);
  /// LLaVA-NeXT's "any resolution": a picture with a side of more than `tile` as the tiles of the choice that fits it
  /// best, each in its place; then, and for all others only, the whole picture stretched over one tile.
  void add_tiles_and_overview(image::Size picture, int tile, std::span<const image::Size> choices);
  /// `otherwise`: where the vocabulary lacks the token `text`.
  void add_text(std::string text, std::string otherwise = {});
  void add_input(int view) { layout.push_back({{}, view}); }
};

/// How values of pixels become inputs.
struct Normalization {
  std::array<float, 3> mean{}, std{};
};

/// Carries a plan out; `frames` have equal sizes. Grids of tokens are left to the caller.
Preprocessed render(const Plan& plan, std::span<const image::Image> frames, const Normalization& how);

}  // namespace mtmd::encoders
