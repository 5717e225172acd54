// The generic decoder: one forward pass for nearly all decoder-only language models, driven by a DecoderSpec.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/verified.h"
#include "engine/decoder/spec.h"
#include "engine/device/device.h"
#include "engine/device/rope_table.h"
#include "engine/gguf/gguf.h"
#include "engine/kv/cache.h"

namespace mtmd::decoder {

/// Tokens of one or more sequences to run through the model. Per row either a token id, or a row of `embeddings` (then
/// the id is -1 and rows are taken from `embeddings` in order; used as they are, no embedding scale).
struct Batch {
  std::vector<std::int32_t> tokens;
  std::vector<Position> positions;        ///< one per row; M-RoPE models use all axes, the others t
  std::vector<kv::SequenceId> sequences;  ///< one per row; rows of a sequence are in order
  std::vector<std::int32_t> see_until;    ///< one per row: rows of this batch [.., see_until) of the same sequence are
                                        ///< visible (row + 1: causal; the end of the block: an image that sees itself)
  std::vector<bool> want_logits;  ///< one per row
  Tensor embeddings;              ///< [rows with token -1, n_embd * (1 + deepstack layers)]

  /// Appends text tokens of one sequence at consecutive positions from `position`, causal, logits for the last if
  /// `logits_last`.
  void add_text(kv::SequenceId sequence, std::span<const std::int32_t> ids, std::int32_t position, bool logits_last);
  /// Appends the next `at.size()` rows of `embeddings` at these positions, no logits. `sees_itself`: not causal among
  /// themselves.
  void add_embeddings(kv::SequenceId sequence, std::span<const Position> at, bool sees_itself);
  /// Empties it and keeps the memory.
  void clear();
  std::int64_t rows() const noexcept { return static_cast<std::int64_t>(tokens.size()); }
};

struct Options {
  std::int32_t n_ctx = 0;       ///< 0: the model's own; selects long or short RoPE factors
  std::int32_t n_ubatch = 512;  ///< rows computed at once (memory); an image block that sees itself is never split
};

class Decoder {
 public:
  /// Checks every hyper-parameter and tensor. `file` and `device` must outlive the decoder. Throws Error(model).
  Decoder(const gguf::File& file, Device& device, const Options& options);
  ~Decoder();
  Decoder(Decoder&&) noexcept;

  const DecoderSpec& spec() const noexcept;
  std::vector<kv::LayerShape> kv_layers() const;
  /// Appends the batch to the cache and computes logits for the rows that want them: [wanted rows, n_vocab], valid
  /// until the next call. Throws Error(resource) when the cache is full (nothing is appended then), Error(input) for a
  /// token id that the vocabulary lacks.
  Tensor forward(const Batch& batch, kv::Cache& cache);
  /// Scratch memory of a full micro-batch whose last row wants logits; known before anything runs. What the device
  /// needs inside its ops comes on top.
  std::size_t scratch_bytes() const;
  /// What was really taken so far, logits included.
  std::size_t scratch_peak_bytes() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The facts alone, without touching a weight (`mtmd inspect`, `--plan`). `n_ctx` as in Options. Throws Error(model).
DecoderSpec read_spec(const gguf::File& file, std::int32_t n_ctx = 0);
/// Rows of the KV cache that a model of this spec needs.
std::vector<kv::LayerShape> kv_layers(const DecoderSpec& spec);

/// Names of all supported architectures (GGUF's general.architecture), and how each was verified.
std::vector<std::string_view> architectures();
Verified verified(std::string_view architecture) noexcept;

}  // namespace mtmd::decoder
