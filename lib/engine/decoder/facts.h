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
  float number(std::string_view key, float low, float high) const;
  float number_or(std::string_view key, float low, float high, float otherwise) const;
  std::string text_or(std::string_view key, std::string_view otherwise) const;
  /// One value for all layers, or one per layer (more are cut: next-token-prediction blocks stand last).
  std::vector<std::int32_t> per_layer(std::string_view key, std::int32_t n, std::int32_t low, std::int32_t high) const;
  std::vector<std::int32_t> per_layer_or(std::string_view key, std::int32_t n, std::int32_t low, std::int32_t high,
                                         std::vector<std::int32_t> otherwise) const;
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

/// The keys that all decoders share: sizes, heads, norm epsilon, vocabulary, tied output. Every layer is alike, full
/// attention, ropes[0] (still to be filled in).
DecoderSpec transformer(const Facts& f);
/// Rotary embedding of key `freq_base`, with the scaling (none, linear, yarn, longrope) that the file asks for.
RopeSpec rope(const Facts& f, const DecoderSpec& s, RopePairs pairs);
/// M-RoPE (arXiv:2409.12191): which pairs follow t, y and x.
void multimodal(const Facts& f, DecoderSpec& s, RopeSpec& rope);
/// Experts in every layer when the file has `expert_count`; their width is `ff_key`'s.
void mixture(const Facts& f, DecoderSpec& s, std::string_view ff_key);

}  // namespace mtmd::decoder
