// A product cut into chunks that any thread can take. No output value depends on the cut.
#pragma once

#include "engine/device/cpu/matmul_acts.h"

namespace mtmd::cpu {

/// Takes finished values: out[w][token * pitch + row] for tokens [t0, t0 + n_t), rows [r0, r0 + n_r) of weight w. It
/// may change them.
struct Sink {
  void (*call)(const void* self, std::int64_t t0, std::int64_t n_t, std::int64_t r0, std::int64_t n_r,
               float* const* out, std::int64_t pitch);
  const void* self;
  /// Of Form::tile_groups only: they come as they were summed up, out[w][row * pitch + token], up to a multiple of
  /// kTileTokens, r0 and t0 multiples of the panels' sizes.
  bool by_rows = false;
};

/// How a loop over weights is shared out.
struct Share {
  int threads = 1;
  std::int64_t streamed = 0;  ///< bytes of each weight in a chunk that streams them once: as many as threads can share
                              ///< evenly, since memory is read slowly where a chunk begins
};
Share share_of(std::size_t bytes_of_weights, int threads) noexcept;

/// One weight, or two of one shape (gate and up) that are computed side by side, times prepared activations.
class MatmulWork {
 public:
  MatmulWork() = default;
  /// ways: one for each weight. Weights of a pair have the same rows, cols and Form.
  MatmulWork(const Kernels& k, std::span<const Weight> weights, const Acts& acts, std::span<const Way> ways,
             Share share);

  std::int64_t chunks() const noexcept { return row_chunks_ * token_chunks_; }
  void run(std::int64_t chunk, const Sink& sink) const;

 private:
  struct Range {
    std::int64_t r0, r1, t0, t1;
  };
  void plan_rows_form(std::int64_t streamed) noexcept;
  void plan_groups_form() noexcept;
  void plan_tiles_form(int threads) noexcept;
  void run_packed_rows(const Range& range, const Sink& sink) const;
  void run_float_rows(const Range& range, const Sink& sink) const;
  void run_int_groups(const Range& range, const Sink& sink) const;
  void run_tile_groups(const Range& range, const Sink& sink) const;
  void run_float_groups(const Range& range, const Sink& sink) const;
  /// Float weights or decoded ones, n tokens from t0 on.
  void dot_rows(const Weight& w, std::int64_t r0, std::int64_t r1, std::int64_t t0, std::int64_t n, float* decoded,
                float* out, std::int64_t pitch) const;
  struct Panel;
  Panel panel_at(const Range& range, std::int64_t i) const noexcept;
  PanelRows rows_of(const Panel& panel, int parts, std::uint16_t* to) const noexcept;
  void ask_for(const Panel& panel, PanelRows& rows) const noexcept;
  int whole_parts(const Panel& panel, bool exact, std::uint16_t* room) const noexcept;
  void unpack_float(const Weight& w, std::int64_t r0, int rows, std::int64_t k0, std::int64_t n, float* decoded,
                    float* panel) const;

  const Kernels* kernels_ = nullptr;
  Weight weights_[2] = {};
  int n_weights_ = 0;
  const Acts* acts_ = nullptr;
  Form form_ = Form::float_rows;
  Parts parts_[2] = {};
  std::int64_t chunk_rows_ = 0, chunk_tokens_ = 0, row_chunks_ = 0, token_chunks_ = 0;
  std::int64_t depth_ = 0;  ///< of tile_groups: columns that all panels of a chunk pass over before the next
};

}  // namespace mtmd::cpu
