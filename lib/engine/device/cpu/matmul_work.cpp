#include "engine/device/cpu/matmul_work.h"

#include <algorithm>

#include "engine/quant/quant.h"

namespace mtmd::cpu {
namespace {

constexpr std::int64_t kLeastStreamed = 96 << 10, kMostStreamed = 384 << 10, kStreamedChunks = 8;  // chunks of a thread
constexpr std::int64_t kPanelBytes =
    384 << 10;                                  // panels of a chunk: they share the second-level cache with activations
constexpr std::int64_t kChunkTokens = 384;      // so many tokens pay for unpacking; a multiple of all group sizes
constexpr std::int64_t kIntChunkTokens = 1536;  // int8 activations stream past their panels, however many they are
constexpr std::int64_t kEnoughChunks = 32;      // to keep many threads evenly busy
constexpr std::int64_t kFloatDepth = 1024;      // columns of an f32 panel
constexpr int kMaxTiles = 4;
constexpr std::int64_t kTileChunkTokens = 1024, kTileActs = 512 << 10;  // bf16 that stay in second-level cache
constexpr std::int64_t kMostDepth = 2048;                               // two panels fit beside them
constexpr std::int64_t kTileChunks = 8, kMaxPanels = 8;                 // chunks of a thread, panels of a chunk

std::size_t piece_bytes(const Weight& w) noexcept {
  const DTypeInfo& type = info(w.type);
  return static_cast<std::size_t>(PanelRows::kPieceCols / type.block_size) * type.block_bytes;
}

const std::uint16_t* halves(const std::byte* p) noexcept { return reinterpret_cast<const std::uint16_t*>(p); }

}  // namespace

Share share_of(std::size_t bytes_of_weights, int threads) noexcept {
  return {threads, std::clamp(static_cast<std::int64_t>(bytes_of_weights) / (kStreamedChunks * threads), kLeastStreamed,
                              kMostStreamed)};
}

MatmulWork::MatmulWork(const Kernels& k, std::span<const Weight> weights, const Acts& acts, std::span<const Way> ways,
                       Share share)
    : kernels_(&k), n_weights_(static_cast<int>(weights.size())), acts_(&acts), form_(ways[0].form) {
  std::copy(weights.begin(), weights.end(), weights_);
  for (std::size_t i = 0; i < weights.size(); ++i) parts_[i] = ways[i].parts;
  if (form_ == Form::int_rows || form_ == Form::tile_rows || form_ == Form::float_rows)
    plan_rows_form(share.streamed);
  else if (form_ == Form::tile_groups)
    plan_tiles_form(share.threads);
  else
    plan_groups_form();
}

void MatmulWork::plan_rows_form(std::int64_t streamed) noexcept {
  const Weight& w = weights_[0];
  const auto bytes = static_cast<std::int64_t>(w.row_bytes());
  const std::int64_t step = form_ == Form::tile_rows ? kTileRows : 16;
  chunk_rows_ = std::clamp<std::int64_t>(streamed / std::max<std::int64_t>(bytes, 1) / step * step, step, 4096);
  row_chunks_ = ceil_div(w.rows, chunk_rows_);
  chunk_tokens_ = acts_->n();
  token_chunks_ = 1;
}

void MatmulWork::plan_groups_form() noexcept {
  const Weight& w = weights_[0];
  token_chunks_ = ceil_div(acts_->n(), form_ == Form::int_groups ? kIntChunkTokens : kChunkTokens);
  chunk_tokens_ = round_up<std::int64_t>(ceil_div(acts_->n(), token_chunks_), kMaxFloatTokens);
  token_chunks_ = ceil_div(acts_->n(), chunk_tokens_);
  const std::int64_t tiles = ceil_div<std::int64_t>(w.rows, kTileRows);
  std::int64_t per_chunk = 1;
  if (form_ == Form::int_groups) {
    const std::int64_t panel = w.cols * kTileRows * 5 / 4 * n_weights_;
    per_chunk = std::min(kPanelBytes / panel, tiles * token_chunks_ / kEnoughChunks);
  }
  chunk_rows_ = std::clamp<std::int64_t>(per_chunk, 1, kMaxTiles) * kTileRows;
  row_chunks_ = ceil_div(w.rows, chunk_rows_);
}

void MatmulWork::plan_tiles_form(int threads) noexcept {
  token_chunks_ = ceil_div(acts_->n(), kTileChunkTokens);
  chunk_tokens_ = round_up<std::int64_t>(ceil_div(acts_->n(), token_chunks_), kTileTokens);
  token_chunks_ = ceil_div(acts_->n(), chunk_tokens_);
  const std::int64_t tiles = ceil_div<std::int64_t>(weights_[0].rows, kTileRows);
  chunk_rows_ = std::clamp<std::int64_t>(tiles / (kTileChunks * threads), 1, kMaxPanels) * kTileRows;
  row_chunks_ = ceil_div(weights_[0].rows, chunk_rows_);
  const std::int64_t cols = weights_[0].cols, depths = ceil_div(cols, std::min(kTileActs / chunk_tokens_, kMostDepth));
  depth_ = round_up<std::int64_t>(ceil_div(cols, depths), PanelRows::kPieceCols);
}

void MatmulWork::run(std::int64_t chunk, const Sink& sink) const {
  const std::int64_t row = chunk / token_chunks_ * chunk_rows_, token = chunk % token_chunks_ * chunk_tokens_;
  const Range range{row, std::min(row + chunk_rows_, weights_[0].rows), token,
                    std::min(token + chunk_tokens_, acts_->n())};
  const Scratch::Frame frame(Scratch::mine());
  switch (form_) {
    case Form::int_rows:
    case Form::tile_rows:
      return run_packed_rows(range, sink);
    case Form::float_rows:
      return run_float_rows(range, sink);
    case Form::int_groups:
      return run_int_groups(range, sink);
    case Form::tile_groups:
      return run_tile_groups(range, sink);
    case Form::float_groups:
      return run_float_groups(range, sink);
  }
}

void MatmulWork::dot_rows(const Weight& w, std::int64_t r0, std::int64_t r1, std::int64_t t0, std::int64_t n,
                          float* decoded, float* out, std::int64_t pitch) const {
  const MatmulKernels& k = *kernels_->matmul;
  const std::byte* rows = w.row(r0);
  const auto dot = [&](auto kernel, const auto* weights, std::int64_t n_rows, float* to) {
    for (std::int64_t t = 0; t < n; t += kFloatDotTokens)
      kernel(weights, n_rows, w.cols, acts_->rows(t0 + t),
             static_cast<int>(std::min<std::int64_t>(kFloatDotTokens, n - t)), to + t * pitch, pitch);
  };
  switch (w.type) {
    case DType::F32:
      return dot(k.dot_f32, reinterpret_cast<const float*>(rows), r1 - r0, out);
    case DType::F16:
      return dot(k.dot_f16, halves(rows), r1 - r0, out);
    case DType::BF16:
      return dot(k.dot_bf16, halves(rows), r1 - r0, out);
    default:
      for (std::int64_t r = r0; r < r1; ++r) {
        quant::find(w.type)->decode(w.row(r), decoded, w.cols);
        dot(k.dot_f32, decoded, 1, out + r - r0);
      }
  }
}

void MatmulWork::run_packed_rows(const Range& range, const Sink& sink) const {
  Scratch& scratch = Scratch::mine();
  const std::int64_t n = range.t1 - range.t0, rows = range.r1 - range.r0;
  const int tokens = static_cast<int>(n);
  float* out[2] = {};
  for (int i = 0; i < n_weights_; ++i) {
    const Weight& w = weights_[i];
    const IntFormat& f = kernels_->matmul->formats[static_cast<int>(w.type)];
    out[i] = scratch.take<float>(n * rows);
    if (form_ == Form::tile_rows)
      f.few(w.row(range.r0), w.row_bytes(), rows, w.cols, acts_->tiles(0, 0, 0), tokens, out[i], rows);
    else
      f.dot(w.row(range.r0), w.row_bytes(), rows, w.cols, acts_->int_rows(range.t0), tokens, out[i], rows);
  }
  sink.call(sink.self, range.t0, n, range.r0, rows, out, rows);
}

void MatmulWork::run_float_rows(const Range& range, const Sink& sink) const {
  constexpr std::int64_t kBlock = 8;  // rows that the next tokens find in cache
  Scratch& scratch = Scratch::mine();
  const std::int64_t n = range.t1 - range.t0, step = n <= kFloatDotTokens ? range.r1 - range.r0 : kBlock;
  float* decoded = scratch.take<float>(weights_[0].cols);
  float* out[2] = {scratch.take<float>(n * step), scratch.take<float>(n * step)};
  for (std::int64_t r = range.r0; r < range.r1; r += step) {
    const std::int64_t end = std::min(r + step, range.r1);
    for (int i = 0; i < n_weights_; ++i) dot_rows(weights_[i], r, end, range.t0, n, decoded, out[i], step);
    sink.call(sink.self, range.t0, n, r, end - r, out, step);
  }
}

void MatmulWork::run_int_groups(const Range& range, const Sink& sink) const {
  Scratch& scratch = Scratch::mine();
  const std::int64_t cols = weights_[0].cols;
  const int tiles = static_cast<int>(ceil_div<std::int64_t>(range.r1 - range.r0, kTileRows));
  IntPanel panels[2][kMaxTiles];
  const IntFormat* formats[2] = {};
  for (int i = 0; i < n_weights_; ++i) {
    const Weight& w = weights_[i];
    const IntFormat& f = kernels_->matmul->formats[static_cast<int>(w.type)];
    formats[i] = &f;
    for (int p = 0; p < tiles; ++p) {
      const std::int64_t r = range.r0 + p * kTileRows, groups = cols / f.group * kTileRows;
      panels[i][p] = {scratch.take<std::int8_t>(cols * kTileRows), scratch.take<float>(groups),
                      f.has_min ? scratch.take<float>(groups) : nullptr};
      f.unpack(w.row(r), w.row_bytes(), static_cast<int>(std::min<std::int64_t>(kTileRows, range.r1 - r)), cols,
               panels[i][p]);
    }
  }
  float* out[2] = {scratch.take<float>(kIntTokens * kTileRows), scratch.take<float>(kIntTokens * kTileRows)};
  for (std::int64_t t = range.t0; t < range.t1; t += kIntTokens) {
    const int tokens = static_cast<int>(std::min<std::int64_t>(kIntTokens, range.t1 - t));
    for (int p = 0; p < tiles; ++p) {
      for (int i = 0; i < n_weights_; ++i)
        formats[i]->tile(panels[i][p], acts_->int_group(t / kIntTokens), cols, tokens, out[i]);
      const std::int64_t r = range.r0 + p * kTileRows;
      sink.call(sink.self, t, tokens, r, std::min<std::int64_t>(kTileRows, range.r1 - r), out, kTileRows);
    }
  }
}

/// One panel of one of the weights.
struct MatmulWork::Panel {
  int weight;
  std::int64_t index, row, rows, col, cols;  ///< index: of the panels of the chunk
  const std::byte* bytes;                    ///< from row and col on
};

MatmulWork::Panel MatmulWork::panel_at(const Range& range, std::int64_t i) const noexcept {
  const std::int64_t panels = ceil_div<std::int64_t>(range.r1 - range.r0, kTileRows), step = i / n_weights_,
                     index = step % panels, col = step / panels * depth_, row = range.r0 + index * kTileRows;
  const auto weight = static_cast<int>(i % n_weights_);
  const DTypeInfo& type = info(weights_[weight].type);
  return {weight,
          index,
          row,
          std::min<std::int64_t>(kTileRows, range.r1 - row),
          col,
          std::min(depth_, weights_[0].cols - col),
          weights_[weight].row(row) + static_cast<std::size_t>(col / type.block_size) * type.block_bytes};
}

PanelRows MatmulWork::rows_of(const Panel& panel, int parts, std::uint16_t* to) const noexcept {
  const Weight& w = weights_[panel.weight];
  PanelRows rows;
  rows.to_bf16 = kernels_->matmul->tiles.to_bf16[static_cast<int>(w.type)];
  rows.row = panel.bytes, rows.row_bytes = w.row_bytes(), rows.piece_bytes = piece_bytes(w);
  rows.cols = panel.cols, rows.left = panel.rows * ceil_div(panel.cols, PanelRows::kPieceCols);
  rows.parts = parts, rows.part_values = depth_ * kTileRows, rows.to = to;
  return rows;
}

/// Lets the bytes of a panel be asked for from memory while rows are taken.
void MatmulWork::ask_for(const Panel& panel, PanelRows& rows) const noexcept {
  const Weight& w = weights_[panel.weight];
  rows.ahead = panel.bytes, rows.ahead_row_bytes = w.row_bytes(), rows.ahead_piece_bytes = piece_bytes(w);
}

/// How many parts an unpacked panel has; one that its parts do not hold exactly gets another where that matters.
int MatmulWork::whole_parts(const Panel& panel, bool exact, std::uint16_t* room) const noexcept {
  const int parts = parts_[panel.weight].weights;
  if (exact || parts == 2 || weights_[panel.weight].precision == Precision::bf16) return parts;
  rows_of(panel, 2, room).take_all();
  return 2;
}

void MatmulWork::run_tile_groups(const Range& range, const Sink& sink) const {
  Scratch& scratch = Scratch::mine();
  const TileKernels& tiles = kernels_->matmul->tiles;
  const std::int64_t cols = weights_[0].cols, rows = range.r1 - range.r0, n = range.t1 - range.t0,
                     panels = ceil_div<std::int64_t>(rows, kTileRows),
                     count = panels * ceil_div(cols, depth_) * n_weights_, part_values = depth_ * kTileRows;
  // 16: rows of a tile fall into different sets of the cache
  const std::int64_t sum_pitch = round_up<std::int64_t>(n, kTileTokens) + 16, pitch = panels * kTileRows + 16;
  float *out[2] = {}, *sums[2] = {};
  for (int w = 0; w < n_weights_; ++w) {
    out[w] = scratch.take<float>(kTileTokens * pitch);
    sums[w] = scratch.take<float>(panels * kTileRows * sum_pitch);
  }
  std::uint16_t* room[2] = {};
  for (auto& parts : room) parts = scratch.take<std::uint16_t>(2 * part_values);
  // A panel is unpacked while the one before it is multiplied; the one after it is on its way from memory then.
  const auto rows_at = [&](std::int64_t i) {
    if (i == count) return PanelRows{};
    const Panel panel = panel_at(range, i);
    PanelRows next = rows_of(panel, parts_[panel.weight].weights, room[i % 2]);
    if (i + 1 < count) ask_for(panel_at(range, i + 1), next);
    return next;
  };
  PanelRows unpacked = rows_at(0);
  for (std::int64_t i = 0; i < count; ++i) {
    unpacked.take_all();
    const Panel now = panel_at(range, i);
    const int parts = whole_parts(now, unpacked.exact, room[i % 2]), act_parts = parts_[now.weight].acts,
              most = std::max(parts, act_parts);
    unpacked = rows_at(i + 1);
    float* to = sums[now.weight] + now.index * kTileRows * sum_pitch;
    for (int p = 0; p < parts; ++p)
      for (int a = 0; a < act_parts && p + a < most; ++a)
        tiles.multiply(room[i % 2] + p * part_values, static_cast<int>(now.rows), now.cols,
                       acts_->tiles(range.t0, now.col, a), acts_->tile_pitch(), n, now.col > 0 || p + a > 0, to,
                       sum_pitch, unpacked);
  }
  if (sink.by_rows) return sink.call(sink.self, range.t0, n, range.r0, rows, sums, sum_pitch);
  for (std::int64_t t = 0; t < n; t += kTileTokens) {
    const std::int64_t tokens = std::min<std::int64_t>(kTileTokens, n - t);
    for (int w = 0; w < n_weights_; ++w)
      for (std::int64_t panel = 0; panel < panels; ++panel)
        tiles.finish(sums[w] + panel * kTileRows * sum_pitch + t, sum_pitch, tokens, out[w] + panel * kTileRows, pitch);
    sink.call(sink.self, range.t0 + t, tokens, range.r0, rows, out, pitch);
  }
}

void MatmulWork::unpack_float(const Weight& w, std::int64_t r0, int rows, std::int64_t k0, std::int64_t n,
                              float* decoded, float* panel) const {
  const MatmulKernels& k = *kernels_->matmul;
  if (w.type == DType::F32)
    return k.float_panel(reinterpret_cast<const float*>(w.row(r0)) + k0, static_cast<std::size_t>(w.cols), rows, n,
                         panel);
  const DTypeInfo& type = info(w.type);
  const quant::Format* format = quant::find(w.type);
  for (int r = 0; r < rows; ++r) {
    const std::byte* from = w.row(r0 + r) + static_cast<std::size_t>(k0 / type.block_size) * type.block_bytes;
    float* to = decoded + r * kFloatDepth;
    if (w.type == DType::F16)
      k.from_f16(halves(from), n, to);
    else if (w.type == DType::BF16)
      k.from_bf16(halves(from), n, to);
    else
      format->decode(from, to, n);
  }
  k.float_panel(decoded, kFloatDepth, rows, n, panel);
}

void MatmulWork::run_float_groups(const Range& range, const Sink& sink) const {
  Scratch& scratch = Scratch::mine();
  const MatmulKernels& k = *kernels_->matmul;
  const int step = k.float_tokens, rows = static_cast<int>(range.r1 - range.r0);
  const std::int64_t cols = weights_[0].cols, n = range.t1 - range.t0,
                     out_size = round_up<std::int64_t>(n, step) * kTileRows;
  float* panel = scratch.take<float>(kFloatDepth * kTileRows);
  float* decoded = scratch.take<float>(kFloatDepth * kTileRows);
  float* out[2] = {};
  for (int i = 0; i < n_weights_; ++i) {
    out[i] = scratch.take<float>(out_size);
    std::fill_n(out[i], out_size, 0.0f);
    for (std::int64_t k0 = 0; k0 < cols; k0 += kFloatDepth) {
      const std::int64_t depth = std::min(kFloatDepth, cols - k0);
      unpack_float(weights_[i], range.r0, rows, k0, depth, decoded, panel);
      for (std::int64_t t = 0; t < n; t += step)
        k.float_tile(panel, acts_->float_group((range.t0 + t) / step, k0, step), depth,
                     static_cast<int>(std::min<std::int64_t>(step, n - t)), out[i] + t * kTileRows);
    }
  }
  sink.call(sink.self, range.t0, n, range.r0, rows, out, kTileRows);
}

}  // namespace mtmd::cpu
