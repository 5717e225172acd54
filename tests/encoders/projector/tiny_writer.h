// Writes the metadata and the tensors of small mmproj files, for tests that need a projector without the conformance
// kit.
#pragma once

#include <cmath>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "engine/gguf/writer.h"

namespace mtmd::encoders::testing {

struct TinyShape {
  std::int32_t n_embd = 16, n_heads = 2, n_ff = 24, n_layers = 2, image_size = 28, patch_size = 7, text_width = 12;
  bool swapped_ffn = false;   ///< the older naming
  std::string missing = {};   ///< a tensor that is left out
  std::string enlarged = {};  ///< a tensor with one more row
};

/// How the blocks of a type's encoder look.
struct TinyLayers {
  bool gated = false, fused = false;
  std::int32_t n_kv_heads = 0;  ///< 0: as many as heads
};

/// Deterministic weights of about unit gain.
class TinyWriter {
 public:
  TinyWriter(std::string_view type, const TinyShape& shape) : shape_(shape) {
    writer_.set("general.architecture", "clip");
    writer_.set("clip.projector_type", type);
    writer_.set("clip.has_vision_encoder", true);
    set("embedding_length", shape.n_embd), set("feed_forward_length", shape.n_ff), set("block_count", shape.n_layers);
    set("projection_dim", shape.text_width), set("attention.head_count", shape.n_heads);
    set("image_size", shape.image_size), set("patch_size", shape.patch_size);
    writer_.set("clip.vision.attention.layer_norm_epsilon", 1e-5f);
    const std::vector<float> half(3, 0.5f);
    writer_.set("clip.vision.image_mean", std::span<const float>(half));
    writer_.set("clip.vision.image_std", std::span<const float>(half));
  }

  gguf::Writer& writer() noexcept { return writer_; }
  std::vector<std::byte> bytes() const { return writer_.to_memory(); }
  const std::vector<std::string>& tensors() const noexcept { return tensors_; }
  const std::vector<std::string>& integer_keys() const noexcept { return integer_keys_; }

  std::int32_t d() const noexcept { return shape_.n_embd; }
  std::int32_t text() const noexcept { return shape_.text_width; }
  const TinyShape& shape() const noexcept { return shape_; }
  /// Patches per side of image_size.
  std::int32_t side() const noexcept { return shape_.image_size / shape_.patch_size; }

  /// clip.vision.<key>
  void set(const std::string& key, std::int32_t value) {
    writer_.set("clip.vision." + key, value);
    integer_keys_.push_back("clip.vision." + key);
  }
  void use(const char* flag) { writer_.set(std::string("clip.") + flag, true); }
  /// image_min_pixels and image_max_pixels as numbers of tokens of merge x merge patches.
  void pixels(std::int32_t least, std::int32_t most, std::int32_t merge = 2) {
    const std::int32_t area = merge * merge * shape_.patch_size * shape_.patch_size;
    set("image_min_pixels", least * area), set("image_max_pixels", most * area);
  }

  void tensor(const std::string& name, std::vector<std::int64_t> dims, float mean, float spread) {
    tensors_.push_back(name);
    if (name == shape_.missing) return;
    if (name == shape_.enlarged) ++dims.front();
    std::size_t n = 1;
    for (std::int64_t dim : dims) n *= static_cast<std::size_t>(dim);
    std::vector<float>& values = values_.emplace_back(n);  // the writer keeps a view
    for (float& v : values) v = mean + spread * next();
    writer_.add_tensor(name, DType::F32, std::move(dims), std::as_bytes(std::span(values)));
  }
  void vector(const std::string& name, std::int64_t n, float mean = 0.0f) {
    tensor(name, {n}, mean, mean > 0 ? 0.1f : 0.5f);
  }
  void matrix(const std::string& name, std::int64_t out, std::int64_t in) {
    tensor(name + ".weight", {out, in}, 0.0f, gain(in));
  }
  void linear(const std::string& name, std::int64_t out, std::int64_t in) {
    matrix(name, out, in);
    tensor(name + ".bias", {out}, 0.0f, 0.1f);
  }
  void conv(const std::string& name, std::int64_t out, std::int64_t in, std::int64_t kernel) {
    tensor(name + ".weight", {out, in, kernel, kernel}, 0.0f, gain(in * kernel * kernel));
    tensor(name + ".bias", {out}, 0.0f, 0.1f);
  }
  void rms(const std::string& name, std::int64_t n) { tensor(name + ".weight", {n}, 1.0f, 0.1f); }
  void norm(const std::string& name, std::int64_t n) {
    rms(name, n);
    tensor(name + ".bias", {n}, 0.0f, 0.1f);
  }
  void patch(int n_kernels = 1, bool bias = false) {
    const std::int64_t p = shape_.patch_size;
    for (int i = 0; i < n_kernels; ++i)
      tensor(i == 0 ? "v.patch_embd.weight" : "v.patch_embd.weight.1", {d(), 3, p, p}, 0.0f, gain(3 * p * p));
    if (bias) tensor("v.patch_embd.bias", {d()}, 0.0f, 0.1f);
  }
  void class_token() { tensor("v.class_embd", {d()}, 0.0f, 0.5f); }
  void positions(std::int64_t rows) { tensor("v.position_embd.weight", {rows, d()}, 0.0f, 0.5f); }
  void layers(const TinyLayers& how = {}) {
    const std::int64_t ff = shape_.n_ff, head = d() / shape_.n_heads;
    const std::int64_t kv = head * (how.n_kv_heads > 0 ? how.n_kv_heads : shape_.n_heads);
    for (int i = 0; i < shape_.n_layers; ++i) {
      const std::string b = "v.blk." + std::to_string(i) + ".";
      norm(b + "ln1", d()), norm(b + "ln2", d());
      if (how.fused) {
        linear(b + "attn_qkv", d() + 2 * kv, d());
      } else {
        linear(b + "attn_q", d(), d()), linear(b + "attn_k", kv, d()), linear(b + "attn_v", kv, d());
      }
      linear(b + "attn_out", d(), d());
      linear(b + (shape_.swapped_ffn ? "ffn_down" : "ffn_up"), ff, d());
      linear(b + (shape_.swapped_ffn ? "ffn_up" : "ffn_down"), d(), ff);
      if (how.gated) linear(b + "ffn_gate", ff, d());
    }
  }

 private:
  static float gain(std::int64_t in) { return 1.7f / std::sqrt(static_cast<float>(in)); }
  float next() {
    state_ = state_ * 6364136223846793005ull + 1442695040888963407ull;
    return static_cast<float>(static_cast<std::int32_t>(state_ >> 32)) / 2147483648.0f;
  }

  TinyShape shape_;
  gguf::Writer writer_;
  std::vector<std::string> tensors_, integer_keys_;
  std::deque<std::vector<float>> values_;
  std::uint64_t state_ = 1;
};

}  // namespace mtmd::encoders::testing
