// Paged KV cache (Kwon et al. 2023, arXiv:2309.06180): fixed-size blocks of tokens and one block table per sequence, so
// that shared prefixes, forks and truncation are table edits with reference counts; a shared block is copied when
// written to.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/device/device.h"

namespace mtmd::kv {

struct LayerShape {
  /// Per token. Both 0: a layer without state of its own. Only value_cols 0: a mixer that is no attention keeps rows of
  /// its own here (the inputs of a short convolution), so that truncation, forks and undoing are free for it too.
  std::int32_t key_cols = 0, value_cols = 0;
  /// Floats per sequence: what a recurrence carries from token to token (f32 whatever the cache's type).
  std::int64_t state_floats = 0;
};

struct Options {
  DType type = DType::F16;         ///< F32, F16 or Q8_0 (then key_cols and value_cols must be multiples of 32)
  std::int32_t n_ctx = 0;          ///< tokens over all sequences
  std::int32_t block_tokens = 32;  ///< 1..1024; even for F16 and Q8_0, so that blocks are whole words
};

using SequenceId = std::int32_t;
inline constexpr SequenceId kMaxSequences = 1 << 16;  ///< ids are 0..kMaxSequences - 1

class Cache {
 public:
  /// Allocates n_ctx rounded up to whole blocks; states of sequences come later, one by one. Throws Error(resource)
  /// saying how much would be needed, Error(usage) for a type that these layers cannot be stored in.
  Cache(Device& device, std::span<const LayerShape> layers, const Options& options);
  Cache(const Cache&) = delete;
  Cache& operator=(const Cache&) = delete;
  Cache(Cache&&) = default;

  /// With the states of one sequence. Throws Error(resource) when the number of bytes does not even fit into an
  /// integer.
  static std::size_t bytes_needed(std::span<const LayerShape> layers, const Options& options);

  std::int32_t length(SequenceId sequence) const noexcept;  ///< tokens stored
  std::int32_t free_tokens() const noexcept;                ///< in whole free blocks
  /// Makes room for `n` more tokens and returns the cache row of each. Throws Error(resource) when the context is full;
  /// then nothing has changed.
  std::vector<std::int64_t> append(SequenceId sequence, std::int32_t n);
  /// The same, the rows added at the end of `rows`: no allocation once `rows` has its size.
  void append(SequenceId sequence, std::int32_t n, std::vector<std::int64_t>& rows);
  /// Forgets what lies behind the first `length` tokens; nothing to do when there are no more. Returns the length that
  /// is left: a recurrent model has its state for the present length and for the last checkpoint only, and is emptied
  /// when asked for another one; its tokens must be run again then.
  std::int32_t truncate(SequenceId sequence, std::int32_t length);
  /// The sequence's state is what truncate() can come back to. Nothing to do for models without.
  void checkpoint(SequenceId sequence);
  void fork(SequenceId from, SequenceId to);  ///< `to` (emptied) shares all blocks of `from`
  void clear(SequenceId sequence);
  /// What a recurrence carries, [1, state_floats] of the layer; zeros before the first token. The sequence has tokens.
  Tensor state(std::size_t layer, SequenceId sequence) const;
  /// The block table; valid until the sequence next changes.
  std::span<const std::int32_t> blocks(SequenceId sequence) const noexcept;

  const KvLayer& layer(std::size_t i) const noexcept { return layers_[i]; }
  std::size_t n_layers() const noexcept { return layers_.size(); }
  std::size_t bytes() const noexcept { return bytes_; }
  const Options& options() const noexcept { return options_; }

 private:
  struct Sequence {
    std::int32_t length = 0;
    std::vector<std::int32_t> blocks;
    std::shared_ptr<std::byte[]> state, saved;  ///< of all layers; null: zeros
    std::int32_t saved_length = -1;             ///< where `saved` belongs; -1: nowhere
  };
  Sequence& sequence(SequenceId id);  // made when it is new
  std::int32_t take_block();
  void release_block(std::int32_t block) noexcept;
  void copy_block(std::int32_t from, std::int32_t to);
  std::int64_t blocks_missing(const Sequence& s, std::int32_t n) const noexcept;
  Tensor whole(const std::shared_ptr<std::byte[]>& state) const noexcept;
  std::shared_ptr<std::byte[]> new_state() const;

  Device& device_;
  Options options_;
  std::vector<KvLayer> layers_;
  std::vector<std::int64_t> state_begin_;  // of every layer, in floats; one more: their sum
  std::shared_ptr<std::byte[]> memory_;
  std::size_t bytes_ = 0;
  std::vector<std::int32_t> free_, references_;  // stack of free blocks; users of each block
  std::vector<Sequence> sequences_;
};

}  // namespace mtmd::kv
