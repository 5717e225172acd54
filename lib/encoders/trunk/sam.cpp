#include "encoders/trunk/sam.h"

#include <algorithm>
#include <cmath>

#include "encoders/trunk/hparams.h"
#include "encoders/trunk/rows.h"
#include "encoders/trunk/vit.h"
#include "engine/base/error.h"

namespace mtmd::encoders {
namespace {

constexpr float kEps = 1e-6f;  ///< of all norms
constexpr int kGlobalEvery = 3;

/// Rows of the widest matrices at once, so that they do not grow with the picture.
constexpr std::int64_t kFeedForwardRows = 512;

/// A table [2 from - 1, d] of distances for a window of another side: linear between neighbours, half-pixel centres.
std::vector<float> distances(Vector table, int side, std::int64_t d) {
  const auto from = static_cast<std::int64_t>(table.size()) / d, to = std::int64_t{2} * side - 1;
  if (from == to) return {table.begin(), table.end()};
  std::vector<float> out;
  out.reserve(static_cast<std::size_t>(to * d));
  const float step = static_cast<float>(from) / static_cast<float>(to);
  for (std::int64_t i = 0; i < to; ++i) {
    const float at = std::clamp((static_cast<float>(i) + 0.5f) * step - 0.5f, 0.0f, static_cast<float>(from - 1));
    const auto first = static_cast<std::int64_t>(at), second = std::min(first + 1, from - 1);
    const float t = at - static_cast<float>(first);
    for (std::int64_t c = 0; c < d; ++c)
      out.push_back((1.0f - t) * table[static_cast<std::size_t>(first * d + c)] +
                    t * table[static_cast<std::size_t>(second * d + c)]);
  }
  return out;
}

}  // namespace

/// A grid cut into equal windows; those at the right and bottom stick out of it, and what is outside are zeros that
/// take part like everything else.
struct Sam::Windows {
  int columns, rows, n;               ///< of one window, in patches; number of windows
  std::int64_t n_patches;             ///< of the grid
  std::vector<std::int32_t> order;    ///< raster indices window by window, n_patches for what is outside
  std::vector<std::int32_t> inverse;  ///< where in `order` each patch is
  std::vector<KeyRange> ranges;
  std::vector<float> places;  ///< per position in a window, its row and its column as unit vectors

  Windows(int grid_columns, int grid_rows, int window_columns, int window_rows)
      : columns(window_columns), rows(window_rows), n(0), n_patches(std::int64_t{grid_columns} * grid_rows) {
    inverse.resize(static_cast<std::size_t>(n_patches));
    for (int top = 0; top < grid_rows; top += rows) {
      for (int left = 0; left < grid_columns; left += columns, ++n) {
        for (int y = top; y < top + rows; ++y) {
          for (int x = left; x < left + columns; ++x) {
            const bool inside = y < grid_rows && x < grid_columns;
            const auto at = inside ? y * grid_columns + x : static_cast<std::int32_t>(n_patches);
            if (inside) inverse[static_cast<std::size_t>(at)] = static_cast<std::int32_t>(order.size());
            order.push_back(at);
          }
        }
      }
    }
    ranges = own_picture(n, patches());
    places.resize(static_cast<std::size_t>(patches() * (rows + columns)));
    for (std::int64_t i = 0; i < patches(); ++i) {
      float* place = &places[static_cast<std::size_t>(i * (rows + columns))];
      place[i / columns] = 1.0f, place[rows + i % columns] = 1.0f;
    }
  }
  std::int64_t patches() const noexcept { return std::int64_t{columns} * rows; }  ///< of one window
  bool whole() const noexcept { return n == 1 && patches() == n_patches; }
};

Sam::Sam(gguf::Weights& weights, Device& device, const SamSpec& spec) : device_(&device), spec_(spec) {
  const std::string& file = weights.file().metadata().file();
  if (spec.n_embd % spec.n_heads != 0)
    fail(ErrorCategory::model,
         "{}: clip.vision.sam.embedding_length {} is no multiple of clip.vision.sam.head_count {}", file, spec.n_embd,
         spec.n_heads);
  const ConvSpec patches{
      .in = 3, .out = spec.n_embd, .kernel = spec.patch_size, .stride = spec.patch_size, .round_f16 = false};
  patches_ = Conv2d(weights, device, "v.sam.patch_embd", patches);
  positions_ = PositionTable(weights, spec.n_embd, TableResize::bicubic_antialias, "v.sam.pos_embd.weight");
  for (int i = 0; i < spec.n_layers; ++i) layers_.push_back(load_layer(weights, i));
  const auto conv = [&](const char* name, int in, int out, int kernel, int stride) {
    return Conv2d(weights, device, name,
                  {.in = in, .out = out, .kernel = kernel, .stride = stride, .pad = kernel / 2, .round_f16 = false});
  };
  narrow_ = conv("v.sam.neck.0", spec.n_embd, 0, 1, 1);
  const int c = narrow_.out();
  narrow_norm_ = weights.vector("v.sam.neck.1.weight", c), narrow_norm_bias_ = weights.vector("v.sam.neck.1.bias", c);
  smooth_ = conv("v.sam.neck.2", c, c, 3, 1);
  smooth_norm_ = weights.vector("v.sam.neck.3.weight", c), smooth_norm_bias_ = weights.vector("v.sam.neck.3.bias", c);
  half_ = conv("v.sam.net_2", c, 0, 3, 2);
  quarter_ = conv("v.sam.net_3", half_.out(), spec.n_out, 3, 2);
}

Sam::Layer Sam::load_layer(gguf::Weights& weights, int index) const {
  const std::string prefix = fmt::format("v.sam.blk.{}.", index);
  const std::int64_t d = spec_.n_embd, head_dim = d / spec_.n_heads;
  const auto vector = [&](const char* name, std::int64_t n) { return weights.vector(prefix + name, n); };
  Layer layer;
  layer.global = index % kGlobalEvery == kGlobalEvery - 1;
  layer.ln1 = vector("pre_ln.weight", d), layer.ln1_bias = vector("pre_ln.bias", d);
  layer.ln2 = vector("post_ln.weight", d), layer.ln2_bias = vector("post_ln.bias", d);
  const Weight qkv = weights.matrix(prefix + "attn.qkv.weight", 3 * d, d);
  layer.q = qkv.rows_at(0, d), layer.k = qkv.rows_at(d, d), layer.v = qkv.rows_at(2 * d, d);
  const Vector bias = vector("attn.qkv.bias", 3 * d);
  const auto n = static_cast<std::size_t>(d);
  layer.q_bias = bias.subspan(0, n), layer.k_bias = bias.subspan(n, n), layer.v_bias = bias.subspan(2 * n, n);
  layer.o = weights.matrix(prefix + "attn.out.weight", d, d), layer.o_bias = vector("attn.out.bias", d);
  const auto table = [&](const char* name) {
    // Tables of windows fit exactly; those of the whole picture have the side that the model was trained with.
    const std::string full = prefix + name;
    return weights.values(full, {layer.global ? matrix_rows(weights, full) : 2 * spec_.window - 1, head_dim});
  };
  layer.rows = table("attn.pos_h.weight"), layer.columns = table("attn.pos_w.weight");
  const std::int64_t n_ff = matrix_rows(weights, prefix + "mlp.lin1.weight");
  layer.up = weights.matrix(prefix + "mlp.lin1.weight", n_ff, d), layer.up_bias = vector("mlp.lin1.bias", n_ff);
  layer.down = weights.matrix(prefix + "mlp.lin2.weight", d, n_ff), layer.down_bias = vector("mlp.lin2.bias", d);
  return layer;
}

void Sam::run(Workspace& ws, Tensor y, Tensor pixels, int height, int width, TableResize how) const {
  const Workspace::Scope scope(ws);
  const int columns = width / spec_.patch_size, rows = height / spec_.patch_size;
  const Tensor x = ws.tensor(std::int64_t{columns} * rows, spec_.n_embd);
  patches_.run(ws, x, pixels, width, height);
  {
    const Workspace::Scope inner(ws);
    const std::vector<float> positions = positions_.resized(columns, rows, how);
    const Tensor table = ws.tensor(x.rows, x.cols);
    std::copy(positions.begin(), positions.end(), table.data);
    device_->add(x, x, table);
  }
  const Windows small(columns, rows, spec_.window, spec_.window), all(columns, rows, columns, rows);
  for (const Layer& layer : layers_) {
    attention(ws, x, layer, layer.global ? all : small);
    feed_forward(ws, x, layer);
  }
  neck(ws, y, x, columns, rows);
}

// A query's score of a key is (q k) / sqrt(d) + q R[row distance] + q C[column distance]: two terms that depend on the
// key's row and on its column alone. So queries get one more value for each row and column of the window, keys the unit
// vectors of their own, and one plain product has it all. That costs (d + rows + columns) / d of the products of q and
// k, and no score is ever stored.
void Sam::attention(Workspace& ws, Tensor x, const Layer& layer, const Windows& windows) const {
  const Workspace::Scope scope(ws);
  const std::int64_t d = spec_.n_embd, heads = spec_.n_heads, head_dim = d / heads;
  const std::int64_t n = static_cast<std::int64_t>(windows.order.size());
  const std::int64_t extra = windows.rows + windows.columns, wide = head_dim + extra;
  const Tensor q = ws.tensor(n, d), k = ws.tensor(n, d), v = ws.tensor(n, d);
  const Tensor wide_q = ws.tensor(n * heads, wide), wide_k = ws.tensor(n * heads, wide);
  {
    const Workspace::Scope inner(ws);
    const Tensor normed = ws.tensor(x.rows + 1, d), ordered = windows.whole() ? normed.rows_at(0, n) : ws.tensor(n, d);
    device_->layer_norm(normed.rows_at(0, x.rows), x, layer.ln1, layer.ln1_bias, kEps);
    device_->scale(normed.rows_at(x.rows, 1), x.rows_at(0, 1), 0.0f);
    if (!windows.whole()) gather(*device_, ordered, normed, windows.order);
    device_->matmul({{q, layer.q, {.bias = layer.q_bias}},
                     {k, layer.k, {.bias = layer.k_bias}},
                     {v, layer.v, {.bias = layer.v_bias}}},
                    ordered);
  }
  device_->copy(wide_q.cols_at(0, head_dim), q.reshaped(n * heads, head_dim));
  device_->copy(wide_k.cols_at(0, head_dim), k.reshaped(n * heads, head_dim));
  add_relative(ws, wide_q, q, layer.rows, windows, true);
  add_relative(ws, wide_q, q, layer.columns, windows, false);
  std::vector<std::int32_t> place;
  place.reserve(static_cast<std::size_t>(n * heads));
  for (std::int64_t i = 0; i < n * heads; ++i)
    place.push_back(static_cast<std::int32_t>(i / heads % windows.patches()));
  device_->get_rows(
      wide_k.cols_at(head_dim, extra),
      Weight{DType::F32, reinterpret_cast<const std::byte*>(windows.places.data()), windows.patches(), extra}, place);
  AttentionOptions options;
  options.n_heads = options.n_kv_heads = spec_.n_heads;
  options.key_dim = static_cast<std::int32_t>(wide), options.value_dim = static_cast<std::int32_t>(head_dim);
  options.scale = 1.0f / std::sqrt(static_cast<float>(head_dim));
  device_->attention(q, wide_q.reshaped(n, heads * wide), wide_k.reshaped(n, heads * wide), v, windows.ranges, options);
  const Tensor back = windows.whole() ? q : k.rows_at(0, x.rows);
  if (!windows.whole()) gather(*device_, back, q, windows.inverse);
  device_->matmul(x, layer.o, back, {.bias = layer.o_bias, .accumulate = true});
}

void Sam::add_relative(Workspace& ws, Tensor wide, Tensor q, Vector table, const Windows& windows,
                       bool vertical) const {
  const Workspace::Scope scope(ws);
  const std::int64_t heads = spec_.n_heads, head_dim = spec_.n_embd / heads;
  const int side = vertical ? windows.rows : windows.columns;
  const std::int64_t first = head_dim + (vertical ? 0 : windows.rows), n_distances = std::int64_t{2} * side - 1;
  // Reversed, so that the keys of a query follow each other; scaled, because the scores are divided by sqrt(d).
  const std::vector<float> by_distance = distances(table, side, head_dim);
  const Tensor reversed = ws.tensor(n_distances, head_dim);
  for (std::int64_t i = 0; i < n_distances; ++i) {
    const float* from = &by_distance[static_cast<std::size_t>((n_distances - 1 - i) * head_dim)];
    std::copy(from, from + head_dim, reversed.row(i));
  }
  device_->scale(reversed, reversed, std::sqrt(static_cast<float>(head_dim)));
  const Tensor products = ws.tensor(wide.rows, n_distances);
  device_->matmul(products, as_weight(reversed), q.reshaped(wide.rows, head_dim));
  // Neighbours with the same place on the axis are copied together.
  const std::int64_t run = (vertical ? windows.columns : 1) * heads;
  for (std::int64_t i = 0, row = 0; row < wide.rows; ++i, row += run) {
    device_->copy(wide.rows_at(row, run).cols_at(first, side),
                  products.rows_at(row, run).cols_at(side - 1 - i % side, side));
  }
}

void Sam::feed_forward(Workspace& ws, Tensor x, const Layer& layer) const {
  const Workspace::Scope scope(ws);
  const std::int64_t most = std::min(x.rows, kFeedForwardRows);
  const Tensor normed = ws.tensor(most, x.cols), hidden = ws.tensor(most, layer.up.rows);
  const FeedForward block{{}, layer.up, layer.down, Activation::gelu_erf, {}, layer.up_bias};
  for (std::int64_t begin = 0; begin < x.rows; begin += most) {
    const std::int64_t n = std::min(most, x.rows - begin);
    const Tensor rows = x.rows_at(begin, n), h = normed.rows_at(0, n), f = hidden.rows_at(0, n);
    device_->layer_norm(h, rows, layer.ln2, layer.ln2_bias, kEps);
    device_->feed_forward(rows, block, h, f, {.bias = layer.down_bias, .accumulate = true});
  }
}

void Sam::neck(Workspace& ws, Tensor y, Tensor x, int columns, int rows) const {
  const Tensor narrow = ws.tensor(x.rows, narrow_.out()), smooth = ws.tensor(x.rows, smooth_.out());
  narrow_.run(ws, narrow, x, columns, rows);
  device_->layer_norm(narrow, narrow, narrow_norm_, narrow_norm_bias_, kEps);
  smooth_.run(ws, smooth, narrow, columns, rows);
  device_->layer_norm(smooth, smooth, smooth_norm_, smooth_norm_bias_, kEps);
  const int half_columns = half_.side(columns), half_rows = half_.side(rows);
  const Tensor half = ws.tensor(std::int64_t{half_columns} * half_rows, half_.out());
  half_.run(ws, half, smooth, columns, rows);
  quarter_.run(ws, y, half, half_columns, half_rows);
}

}  // namespace mtmd::encoders
