#include "engine/kv/cache.h"

#include <algorithm>
#include <new>
#include <numeric>
#include <optional>
#include <utility>

#include "engine/base/checked.h"
#include "engine/base/error.h"

namespace mtmd::kv {
namespace {

constexpr std::size_t kAlignment = 64;

void check(std::span<const LayerShape> layers, const Options& o) {
  if (o.type != DType::F32 && o.type != DType::F16 && o.type != DType::Q8_0)
    fail(ErrorCategory::usage, "KV cache: type {} is not supported; choose f32, f16 or q8_0", name(o.type));
  if (o.n_ctx < 1) fail(ErrorCategory::usage, "KV cache: a context of {} tokens, expected at least 1", o.n_ctx);
  if (o.block_tokens < 1 || o.block_tokens > 1024 || (o.type != DType::F32 && o.block_tokens % 2 != 0))
    fail(ErrorCategory::internal, "KV cache: blocks of {} tokens of type {}", o.block_tokens, name(o.type));
  const auto unit = static_cast<std::int32_t>(info(o.type).block_size);
  for (const LayerShape& l : layers) {
    if (l.key_cols < 0 || l.value_cols < 0 || (l.key_cols == 0 && l.value_cols != 0) || l.state_floats < 0)
      fail(ErrorCategory::internal, "KV cache: a layer of {} key and {} value columns", l.key_cols, l.value_cols);
    if (l.key_cols % unit != 0 || l.value_cols % unit != 0)
      fail(ErrorCategory::usage,
           "KV cache: type {} stores {} values at a time, but the model has rows of {} and {}; choose f16",
           name(o.type), unit, l.key_cols, l.value_cols);
  }
}

std::size_t n_blocks(const Options& o) {
  return ceil_div<std::size_t>(static_cast<std::size_t>(o.n_ctx), static_cast<std::size_t>(o.block_tokens));
}

/// Bytes of all blocks of one matrix (K or V of a layer), rounded up so that the next one is aligned.
std::optional<std::size_t> matrix_bytes(std::int32_t cols, const Options& o) {
  const auto rows = checked_mul(n_blocks(o), static_cast<std::size_t>(o.block_tokens));
  const auto bytes = rows ? checked_mul(*rows, row_bytes(o.type, cols)) : std::nullopt;
  if (!bytes || !checked_add(*bytes, kAlignment)) return std::nullopt;
  return round_up(*bytes, kAlignment);
}

std::shared_ptr<std::byte[]> allocate(Device& device, std::size_t bytes, const Options& o) {
  try {
    return device.allocate(std::max(bytes, kAlignment));
  } catch (const std::bad_alloc&) {
    fail(ErrorCategory::resource,
         "KV cache: {:.1f} MiB for {} tokens of type {} cannot be had; choose a smaller context (-c) or type (-ctk, "
         "-ctv)",
         static_cast<double>(bytes) / (1 << 20), o.n_ctx, name(o.type));
  }
}

std::size_t block_bytes(std::span<const LayerShape> layers, const Options& options) {
  check(layers, options);
  std::size_t total = 0;
  for (const LayerShape& l : layers) {
    for (std::int32_t cols : {l.key_cols, l.value_cols}) {
      const auto bytes = matrix_bytes(cols, options);
      const auto sum = bytes ? checked_add(total, *bytes) : std::nullopt;
      if (!sum)
        fail(ErrorCategory::resource, "KV cache: {} tokens do not fit into memory; choose a smaller context (-c)",
             options.n_ctx);
      total = *sum;
    }
  }
  return total;
}

/// What one sequence carries, and what it can come back to.
std::optional<std::size_t> state_bytes(std::span<const LayerShape> layers) {
  std::int64_t floats = 0;
  for (const LayerShape& l : layers) floats += l.state_floats;
  return checked_mul(static_cast<std::size_t>(floats), 2 * sizeof(float));
}

}  // namespace

std::size_t Cache::bytes_needed(std::span<const LayerShape> layers, const Options& options) {
  const std::size_t blocks = block_bytes(layers, options);
  const auto states = state_bytes(layers);
  const auto total = states ? checked_add(blocks, *states) : std::nullopt;
  if (!total) fail(ErrorCategory::resource, "KV cache: the states of {} layers do not fit into memory", layers.size());
  return *total;
}

Cache::Cache(Device& device, std::span<const LayerShape> layers, const Options& options)
    : device_(device), options_(options), bytes_(bytes_needed(layers, options)) {
  memory_ = allocate(device, block_bytes(layers, options), options);
  const auto blocks = static_cast<std::int32_t>(n_blocks(options));
  std::byte* next = memory_.get();
  const auto matrix = [&](std::int32_t cols) -> std::byte* {
    return cols == 0 ? nullptr : std::exchange(next, next + *matrix_bytes(cols, options));
  };
  layers_.reserve(layers.size());
  state_begin_.push_back(0);
  for (const LayerShape& l : layers) {
    std::byte* k = matrix(l.key_cols);
    std::byte* v = matrix(l.value_cols);
    state_begin_.push_back(state_begin_.back() + l.state_floats);
    layers_.push_back({options.type, k, v, options.block_tokens, blocks, l.key_cols, l.value_cols});
  }
  references_.assign(blocks, 0);
  free_.resize(blocks);
  std::iota(free_.rbegin(), free_.rend(), 0);  // low blocks first
}

Cache::Sequence& Cache::sequence(SequenceId id) {
  if (id < 0 || id >= kMaxSequences)
    fail(ErrorCategory::internal, "KV cache: sequence {}, expected 0 to {}", id, kMaxSequences - 1);
  if (static_cast<std::size_t>(id) >= sequences_.size()) sequences_.resize(static_cast<std::size_t>(id) + 1);
  return sequences_[id];
}

std::int32_t Cache::length(SequenceId id) const noexcept {
  return id >= 0 && static_cast<std::size_t>(id) < sequences_.size() ? sequences_[id].length : 0;
}

std::span<const std::int32_t> Cache::blocks(SequenceId id) const noexcept {
  if (id < 0 || static_cast<std::size_t>(id) >= sequences_.size()) return {};
  return sequences_[id].blocks;
}

std::int32_t Cache::free_tokens() const noexcept {
  const std::int64_t tokens = static_cast<std::int64_t>(free_.size()) * options_.block_tokens;
  return static_cast<std::int32_t>(std::min<std::int64_t>(tokens, INT32_MAX));
}

std::int64_t Cache::blocks_missing(const Sequence& s, std::int32_t n) const noexcept {
  if (n == 0) return 0;
  const std::int64_t wanted = ceil_div<std::int64_t>(std::int64_t{s.length} + n, options_.block_tokens);
  const bool copies = s.length % options_.block_tokens != 0 && references_[s.blocks.back()] > 1;
  return wanted - std::ssize(s.blocks) + (copies ? 1 : 0);
}

std::vector<std::int64_t> Cache::append(SequenceId id, std::int32_t n) {
  std::vector<std::int64_t> rows;
  append(id, n, rows);
  return rows;
}

void Cache::append(SequenceId id, std::int32_t n, std::vector<std::int64_t>& rows) {
  if (n < 0) fail(ErrorCategory::internal, "KV cache: {} more tokens", n);
  Sequence& s = sequence(id);
  const std::int64_t missing = blocks_missing(s, n);
  if (missing > std::ssize(free_) || s.length > INT32_MAX - n) {
    fail(ErrorCategory::resource,
         "the context of {} tokens is full: {} are free, {} more are needed; choose a larger context (-c) of at least "
         "{}",
         options_.n_ctx, free_tokens(), n,
         std::int64_t{options_.n_ctx} + (missing - std::ssize(free_)) * options_.block_tokens);
  }
  if (state_begin_.back() > 0 && !s.state) s.state = new_state();
  rows.reserve(rows.size() + static_cast<std::size_t>(n));
  s.blocks.reserve(s.blocks.size() + static_cast<std::size_t>(missing));
  const std::int32_t unit = options_.block_tokens;
  if (n > 0 && s.length % unit != 0 && references_[s.blocks.back()] > 1) {
    const std::int32_t own = take_block();
    copy_block(s.blocks.back(), own);
    release_block(std::exchange(s.blocks.back(), own));
  }
  for (std::int32_t i = 0; i < n; ++i, ++s.length) {
    if (s.length % unit == 0) s.blocks.push_back(take_block());
    rows.push_back(std::int64_t{s.blocks.back()} * unit + s.length % unit);
  }
}

std::int32_t Cache::truncate(SequenceId id, std::int32_t length) {
  if (length < 0) fail(ErrorCategory::internal, "KV cache: truncation to {} tokens", length);
  Sequence& s = sequence(id);
  if (length >= s.length) return s.length;
  if (state_begin_.back() > 0) {
    if (length != s.saved_length) length = 0;
    s.state = length > 0 ? std::exchange(s.saved, nullptr) : nullptr;
    s.saved_length = -1;
  }
  const std::int64_t keep = ceil_div<std::int64_t>(length, options_.block_tokens);
  while (std::ssize(s.blocks) > keep) {
    release_block(s.blocks.back());
    s.blocks.pop_back();
  }
  return s.length = length;
}

void Cache::checkpoint(SequenceId id) {
  Sequence& s = sequence(id);
  if (state_begin_.back() == 0 || s.length == 0) return;
  if (!s.saved) s.saved = new_state();
  device_.copy(whole(s.saved), whole(s.state));
  s.saved_length = s.length;
}

Tensor Cache::state(std::size_t layer, SequenceId id) const {
  const Tensor all = whole(sequences_[id].state);
  return all.cols_at(state_begin_[layer], state_begin_[layer + 1] - state_begin_[layer]);
}

Tensor Cache::whole(const std::shared_ptr<std::byte[]>& state) const noexcept {
  return {reinterpret_cast<float*>(state.get()), 1, state_begin_.back()};
}

std::shared_ptr<std::byte[]> Cache::new_state() const {
  return allocate(device_, static_cast<std::size_t>(state_begin_.back()) * sizeof(float), options_);
}

void Cache::fork(SequenceId from, SequenceId to) {
  if (from == to) return;
  sequence(std::max(from, to));  // both exist before references to them are taken
  sequence(std::min(from, to));
  clear(to);
  sequences_[to].length = sequences_[from].length;
  sequences_[to].blocks = sequences_[from].blocks;
  if (sequences_[from].state && sequences_[from].length > 0) {
    sequences_[to].state = new_state();
    device_.copy(whole(sequences_[to].state), whole(sequences_[from].state));
  }
  for (std::int32_t block : sequences_[to].blocks) ++references_[block];
}

void Cache::clear(SequenceId id) { truncate(id, 0); }

std::int32_t Cache::take_block() {
  const std::int32_t block = free_.back();
  free_.pop_back();
  references_[block] = 1;
  return block;
}

void Cache::release_block(std::int32_t block) noexcept {
  if (--references_[block] == 0) free_.push_back(block);  // never grows past its first size
}

void Cache::copy_block(std::int32_t from, std::int32_t to) {
  const auto copy = [&](std::byte* matrix, std::int32_t cols) {
    const std::size_t bytes = row_bytes(options_.type, cols) * static_cast<std::size_t>(options_.block_tokens);
    // Blocks are whole words, so the device's copy of floats moves their bits whatever they stand for.
    const auto words = static_cast<std::int64_t>(bytes / sizeof(float));
    const auto block = [&](std::int32_t b) {
      return Tensor(reinterpret_cast<float*>(matrix + static_cast<std::size_t>(b) * bytes), 1, words);
    };
    if (words > 0) device_.copy(block(to), block(from));
  };
  for (const KvLayer& l : layers_) {
    copy(l.k, l.key_cols);
    copy(l.v, l.value_cols);
  }
}

}  // namespace mtmd::kv
