// Paged KV cache (Kwon et al. 2023, arXiv:2309.06180): fixed-size blocks of tokens and one block table per sequence, so that
// shared prefixes, forks and truncation are table edits with reference counts; a shared block is copied when written to.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/device/device.h"

namespace mtmd::kv {

struct LayerShape {
  std::int32_t key_cols = 0, value_cols = 0;  ///< per token; 0 for layers without attention state
};

struct Options {
  DType type = DType::F16;         ///< F32, F16 or Q8_0 (then key_cols and value_cols must be multiples of 32)
  std::int32_t n_ctx = 0;          ///< tokens over all sequences
  std::int32_t block_tokens = 32;
};

using SequenceId = std::int32_t;

class Cache {
 public:
  /// Allocates n_ctx rounded up to whole blocks. Throws Error(resource) saying how much would be needed.
  Cache(Device& device, std::span<const LayerShape> layers, const Options& options);

  static std::size_t bytes_needed(std::span<const LayerShape> layers, const Options& options);

  std::int32_t length(SequenceId sequence) const noexcept;  ///< tokens stored
  std::int32_t free_tokens() const noexcept;                ///< in whole free blocks
  /// Makes room for `n` more tokens and returns the cache row of each. Throws Error(resource) when the context is full.
  std::vector<std::int64_t> append(SequenceId sequence, std::int32_t n);
  void truncate(SequenceId sequence, std::int32_t length);
  void fork(SequenceId from, SequenceId to);                ///< `to` (emptied) shares all blocks of `from`
  void clear(SequenceId sequence);
  std::span<const std::int32_t> blocks(SequenceId sequence) const noexcept;

  const KvLayer& layer(std::size_t i) const noexcept { return layers_[i]; }
  std::size_t bytes() const noexcept { return bytes_; }
  const Options& options() const noexcept { return options_; }

 private:
  struct Sequence {
    std::int32_t length = 0;
    std::vector<std::int32_t> blocks;
  };
  std::int32_t take_block();
  void release_block(std::int32_t block) noexcept;
  void copy_block(std::int32_t from, std::int32_t to);

  Device& device_;
  Options options_;
  std::vector<KvLayer> layers_;
  std::shared_ptr<std::byte[]> memory_;
  std::size_t bytes_ = 0;
  std::vector<std::int32_t> free_, references_;
  std::vector<Sequence> sequences_;
};

}  // namespace mtmd::kv
