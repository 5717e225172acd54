// Small models of architectures without a recorded case in the kit. Their keys and tensors are named as llama.cpp's
// converter names them; their weights are a formula, so that the same file can be made again and run by the reference:
//
//   MTMD_WRITE_TINY=/tmp/tiny decoder_test --gtest_filter='*WriteThem*'      writes NAME.gguf
//   llama.cpp (CPU, f32 KV cache, no flash attention, one batch of the ids of tiny_prompt())
//
// A file in tiny/ describes one and holds a few of the logits that llama.cpp (library of 2026-11, 0.5.0) gave.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/gguf/writer.h"

namespace mtmd::test {

struct TinySizes {
  std::int32_t n_embd = 64, n_layers = 3, n_heads = 4, n_kv_heads = 2, head_dim = 16, n_ff = 96;
};

/// A model being described.
class TinyModel {
 public:
  static constexpr std::int32_t kVocab = 96;

  /// The keys that every architecture has. `norm_key`: attention.layer_norm_rms_epsilon or
  /// attention.layer_norm_epsilon.
  TinyModel(std::string architecture, const TinySizes& sizes,
            std::string_view norm_key = "attention.layer_norm_rms_epsilon");

  const TinySizes sizes;
  gguf::Writer writer;

  template <class T>
  void set(std::string_view key, const T& value) {
    writer.set(architecture_ + "." + std::string(key), value);
  }
  void set(std::string_view key, std::vector<std::int32_t> values) { set(key, std::span<const std::int32_t>(values)); }
  void set(std::string_view key, const std::vector<bool>& values) {
    writer.set(architecture_ + "." + std::string(key), values);
  }
  void remove(std::string_view key) { writer.remove(architecture_ + "." + std::string(key)); }

  /// Values spread evenly around `mean`, deviation `deviation`; depends on the name and the shape's size alone.
  void tensor(const std::string& name, std::vector<std::int64_t> shape, float deviation, float mean = 0.0f);
  /// Rows whose products with values of size 1 have the size `gain`. name without ".weight".
  void matrix(const std::string& name, std::int64_t out, std::int64_t in, float gain = 1.0f);
  void experts(const std::string& name, std::int64_t n, std::int64_t out, std::int64_t in, float gain = 1.0f);
  void norm(const std::string& name, std::int64_t n, float size = 1.0f);
  void bias(const std::string& name, std::int64_t n);  ///< name.bias

  /// token_embd, output_norm and output, or the first two for a tied output.
  void embeddings(bool tied = false);
  /// attn_q, attn_k, attn_v, attn_output of layer i, with biases if asked.
  void attention(std::int32_t i, bool qkv_bias = false, bool out_bias = false);
  /// ffn_gate, ffn_up, ffn_down of layer i.
  void feed_forward(std::int32_t i);
  static std::string block(std::int32_t i, std::string_view tensor) {
    return "blk." + std::to_string(i) + "." + std::string(tensor);
  }

 private:
  std::string architecture_;
};

/// Logits that the reference gave at one position, for the ids 0, 12, 24, … 84.
struct TinyRow {
  std::int32_t position;
  float logits[8];
};

struct TinyCase {
  std::string_view name;  ///< of the model file; may be more than one per architecture
  void (*build)(TinyModel& m);
  std::string_view architecture;
  TinySizes sizes;
  std::vector<TinyRow> rows;  ///< empty: nothing recorded
  /// Largest difference of a logit that rounding explains; their deviation is about 3.
  float tolerance = 2e-4f;
  std::string_view norm_key = "attention.layer_norm_rms_epsilon";

  std::vector<std::byte> bytes() const;
};

/// Ids that do not repeat soon, 40 of them.
std::vector<std::int32_t> tiny_prompt();
const std::vector<const TinyCase*>& tiny_cases();
/// A small model by name: recorded in tests/data, else of this list, else in the kit. It stays in memory.
const gguf::File& small_model(const std::string& name);

}  // namespace mtmd::test
