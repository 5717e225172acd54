// Hyper-parameters from a model file: typed and range-checked, so that nothing behind this point meets an absurd
// number.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/decoder/spec.h"
#include "engine/gguf/gguf.h"

namespace mtmd::decoder {

/// Keys are given without the architecture's name ("attention.head_count" is looked up as
/// "llama.attention.head_count"). All getters throw Error(model) naming file, key, found and expected.
class Facts {
 public:
  /// `n_ctx`: context the caller wants; 0: the model's own.
  Facts(const gguf::File& file, std::int32_t n_ctx);

  const std::string& architecture() const noexcept { return architecture_; }
  std::int32_t n_ctx() const noexcept { return n_ctx_; }
  const gguf::File& file() const noexcept { return file_; }
  bool has(std::string_view key) const { return metadata().has(full(key)); }

  std::int32_t integer(std::string_view key, std::int32_t low, std::int32_t high) const;
  std::int32_t integer_or(std::string_view key, std::int32_t low, std::int32_t high, std::int32_t otherwise) const;
  /// An even number from 2 to `high`: how many values of a head are rotated.
  std::int32_t even(std::string_view key, std::int32_t high, std::int32_t otherwise) const;
  float number(std::string_view key, float low, float high) const;
  float number_or(std::string_view key, float low, float high, float otherwise) const;
  bool flag_or(std::string_view key, bool otherwise) const { return metadata().get_or<bool>(full(key), otherwise); }
  std::string text_or(std::string_view key, std::string_view otherwise) const;
  /// One value for all layers, or one per layer (more are cut: next-token-prediction blocks stand last).
  std::vector<std::int32_t> per_layer(std::string_view key, std::int32_t n, std::int32_t low, std::int32_t high) const;
  std::vector<std::int32_t> per_layer_or(std::string_view key, std::int32_t n, std::int32_t low, std::int32_t high,
                                         std::vector<std::int32_t> otherwise) const;
  /// One flag per layer.
  std::vector<bool> flags(std::string_view key, std::int32_t n) const;
  std::vector<std::int32_t> list_or(std::string_view key, std::int32_t low, std::int32_t high,
                                    std::vector<std::int32_t> otherwise) const;
  /// Throws Error(model): "FILE: KEY is FOUND, expected EXPECTED".
  [[noreturn]] void reject(std::string_view key, const std::string& found, const std::string& expected) const;

 private:
  const gguf::Metadata& metadata() const noexcept { return file_.metadata(); }
  std::string full(std::string_view key) const { return architecture_ + "." + std::string(key); }
  std::int32_t in_range(std::string_view key, std::int64_t value, std::int32_t low, std::int32_t high) const;

  const gguf::File& file_;
  std::string architecture_;
  std::int32_t n_ctx_;
};

// Ranges: up to 4096 layers, heads and experts, heads of up to 8192, rows of up to 2^20, 2^24 tokens, contexts of up to
// 2^30. Generous for every published model, small enough that products of two never leave 64 bits.
inline constexpr std::int32_t kMaxLayers = 4096, kMaxHeads = 4096, kMaxHeadDim = 8192, kMaxWidth = 1 << 20,
                              kMaxVocab = 1 << 24, kMaxContext = 1 << 30, kMaxExperts = 4096;

/// The keys that all decoders share: sizes, heads, norm epsilon, vocabulary, tied output. Every layer is alike, full
/// attention. The rotation is ropes[0]: what rope() reads. `fewest_kv_heads` 0: some layers have no attention (their
/// n_kv_heads is 0 then).
DecoderSpec transformer(const Facts& f, RopePairs pairs, NormKind norm = NormKind::rms,
                        std::int32_t fewest_kv_heads = 1);
/// Sliding window from `attention.sliding_window` (missing: none) in all layers but every `period`-th, counted
/// from one; `dense_first`: the first of each period is the full one instead of the last.
void windows(const Facts& f, DecoderSpec& s, std::int32_t period, bool dense_first = false);
/// Rotary embedding of key `freq_base`, with the scaling (none, linear, yarn, longrope) that the file asks for.
RopeSpec rope(const Facts& f, const DecoderSpec& s, RopePairs pairs);
/// The same pairs with another base and no scaling: what layers with a sliding window often have.
RopeSpec unscaled(const RopeSpec& rope, float base);
/// M-RoPE (arXiv:2409.12191): which pairs follow t, y and x.
void multimodal(const Facts& f, DecoderSpec& s, RopeSpec& rope);
/// Experts in every layer from `leading_dense_block_count` on when the file has `expert_count`; their width is
/// `ff_key`'s, or feed_forward_length's where the file lacks it. What the file says about gating, scale, groups and
/// shared experts is taken over; what it does not say stays as it is in `s`.
void mixture(const Facts& f, DecoderSpec& s, std::string_view ff_key);

}  // namespace mtmd::decoder
