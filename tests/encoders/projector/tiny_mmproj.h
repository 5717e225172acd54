// Small mmproj files made in memory, for tests that need a projector of each type without the conformance kit.
#pragma once

#include <cmath>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/gguf/writer.h"

namespace mtmd::encoders::testing {

struct TinyShape {
  std::int32_t n_embd = 16, n_heads = 2, n_ff = 24, n_layers = 2, image_size = 28, patch_size = 7, text_width = 12;
  bool swapped_ffn = false;  ///< the older naming
};

/// Writes metadata and deterministic weights of about unit gain.
class TinyMmproj {
 public:
  TinyMmproj(std::string_view type, const TinyShape& shape) : shape_(shape) {
    writer_.set("general.architecture", "clip");
    writer_.set("clip.projector_type", type);
    writer_.set("clip.has_vision_encoder", true);
    const auto set = [&](const char* key, std::int32_t v) { writer_.set(std::string("clip.vision.") + key, v); };
    set("embedding_length", shape.n_embd), set("feed_forward_length", shape.n_ff), set("block_count", shape.n_layers);
    set("projection_dim", shape.text_width), set("attention.head_count", shape.n_heads);
    set("image_size", shape.image_size), set("patch_size", shape.patch_size);
    writer_.set("clip.vision.attention.layer_norm_epsilon", 1e-5f);
    const std::vector<float> half(3, 0.5f);
    writer_.set("clip.vision.image_mean", std::span<const float>(half));
    writer_.set("clip.vision.image_std", std::span<const float>(half));
    kinds().at(std::string(type))(*this);
  }

  static std::vector<std::string> types() {
    std::vector<std::string> names;
    for (const auto& [name, make] : kinds()) names.push_back(name);
    return names;
  }

  gguf::Writer& writer() noexcept { return writer_; }
  std::vector<std::byte> bytes() const { return writer_.to_memory(); }

 private:
  using Make = std::function<void(TinyMmproj&)>;
  static const std::map<std::string, Make>& kinds() {
    static const std::map<std::string, Make> all = {{"qwen2vl_merger", &TinyMmproj::qwen2vl},
                                                    {"qwen2.5vl_merger", &TinyMmproj::qwen25vl},
                                                    {"idefics3", &TinyMmproj::idefics3},
                                                    {"gemma3", &TinyMmproj::gemma3},
                                                    {"mlp", &TinyMmproj::mlp},
                                                    {"internvl", &TinyMmproj::internvl},
                                                    {"pixtral", &TinyMmproj::pixtral},
                                                    {"paddleocr", &TinyMmproj::paddleocr}};
    return all;
  }

  float next() {
    state_ = state_ * 6364136223846793005ull + 1442695040888963407ull;
    return static_cast<float>(static_cast<std::int32_t>(state_ >> 32)) / 2147483648.0f;
  }
  void tensor(const std::string& name, std::vector<std::int64_t> shape, float mean, float spread) {
    std::size_t n = 1;
    for (std::int64_t d : shape) n *= static_cast<std::size_t>(d);
    std::vector<float>& values = values_.emplace_back(n);  // the writer keeps a view
    for (float& v : values) v = mean + spread * next();
    writer_.add_tensor(name, DType::F32, std::move(shape), std::as_bytes(std::span(values)));
  }
  void matrix(const std::string& name, std::int64_t out, std::int64_t in) {
    tensor(name + ".weight", {out, in}, 0.0f, 1.7f / std::sqrt(static_cast<float>(in)));
  }
  void linear(const std::string& name, std::int64_t out, std::int64_t in) {
    matrix(name, out, in);
    tensor(name + ".bias", {out}, 0.0f, 0.1f);
  }
  void norm(const std::string& name, std::int64_t n) {
    tensor(name + ".weight", {n}, 1.0f, 0.1f);
    tensor(name + ".bias", {n}, 0.0f, 0.1f);
  }
  void patch(const std::string& name) {
    const std::int64_t p = shape_.patch_size;
    tensor(name, {shape_.n_embd, 3, p, p}, 0.0f, 1.7f / std::sqrt(static_cast<float>(3 * p * p)));
  }
  std::int64_t side() const { return shape_.image_size / shape_.patch_size; }
  void positions(std::int64_t rows) { tensor("v.position_embd.weight", {rows, shape_.n_embd}, 0.0f, 0.5f); }
  void layers(bool gated = false) {
    const std::int64_t d = shape_.n_embd, ff = shape_.n_ff;
    for (int i = 0; i < shape_.n_layers; ++i) {
      const std::string b = "v.blk." + std::to_string(i) + ".";
      norm(b + "ln1", d), norm(b + "ln2", d);
      for (const char* part : {"attn_q", "attn_k", "attn_v", "attn_out"}) linear(b + part, d, d);
      linear(b + (shape_.swapped_ffn ? "ffn_down" : "ffn_up"), ff, d);
      linear(b + (shape_.swapped_ffn ? "ffn_up" : "ffn_down"), d, ff);
      if (gated) linear(b + "ffn_gate", ff, d);
    }
  }

  void qwen2vl() {
    patch("v.patch_embd.weight"), patch("v.patch_embd.weight.1");
    layers();
    norm("v.post_ln", shape_.n_embd);
    linear("mm.0", 4 * shape_.n_embd, 4 * shape_.n_embd), linear("mm.2", shape_.text_width, 4 * shape_.n_embd);
  }
  void idefics3() {
    writer_.set("clip.use_gelu", true);
    writer_.set("clip.vision.projector.scale_factor", std::int32_t{2});
    writer_.set("clip.vision.preproc_image_size", 3 * shape_.image_size);
    patch("v.patch_embd.weight"), tensor("v.patch_embd.bias", {shape_.n_embd}, 0.0f, 0.1f);
    positions(side() * side());
    layers();
    norm("v.post_ln", shape_.n_embd);
    matrix("mm.model.fc", shape_.text_width, 4 * shape_.n_embd);
  }
  void gemma3() {
    writer_.set("clip.use_gelu", true);
    writer_.set("clip.vision.projector.scale_factor", std::int32_t{2});
    patch("v.patch_embd.weight"), tensor("v.patch_embd.bias", {shape_.n_embd}, 0.0f, 0.1f);
    positions(side() * side());
    layers();
    norm("v.post_ln", shape_.n_embd);
    tensor("mm.soft_emb_norm.weight", {shape_.n_embd}, 1.0f, 0.1f);
    matrix("mm.input_projection", shape_.n_embd, shape_.text_width);
  }
  void mlp() {
    const std::int32_t s = shape_.image_size;
    const std::vector<std::int32_t> pinpoints = {s, 2 * s, 2 * s, s, 2 * s, 2 * s, 3 * s, s, s, 3 * s};
    writer_.set("clip.vision.image_grid_pinpoints", std::span<const std::int32_t>(pinpoints));
    patch("v.patch_embd.weight");
    tensor("v.class_embd", {shape_.n_embd}, 0.0f, 0.5f);
    positions(side() * side() + 1);
    norm("v.pre_ln", shape_.n_embd);
    layers();
    linear("mm.0", shape_.text_width, shape_.n_embd), linear("mm.2", shape_.text_width, shape_.text_width);
  }

  void qwen25vl() {
    writer_.set("clip.use_silu", true);
    writer_.set("clip.vision.n_wa_pattern", std::int32_t{2});
    writer_.set("clip.vision.window_size", 4 * shape_.patch_size);
    patch("v.patch_embd.weight"), patch("v.patch_embd.weight.1");
    layers(true);
    norm("v.post_ln", shape_.n_embd);
    linear("mm.0", 4 * shape_.n_embd, 4 * shape_.n_embd), linear("mm.2", shape_.text_width, 4 * shape_.n_embd);
  }
  void internvl() {
    writer_.set("clip.use_gelu", true);
    writer_.set("clip.vision.projector.scale_factor", std::int32_t{2});
    patch("v.patch_embd.weight");
    tensor("v.class_embd", {shape_.n_embd}, 0.0f, 0.5f);
    positions(side() * side() + 1);
    layers();
    norm("mm.model.mlp.0", 4 * shape_.n_embd);
    linear("mm.model.mlp.1", shape_.text_width, 4 * shape_.n_embd);
    linear("mm.model.mlp.3", shape_.text_width, shape_.text_width);
  }
  void pixtral() {
    writer_.set("clip.use_silu", true);
    writer_.set("clip.vision.spatial_merge_size", std::int32_t{2});
    patch("v.patch_embd.weight");
    norm("v.pre_ln", shape_.n_embd);
    layers(true);
    tensor("mm.input_norm.weight", {shape_.n_embd}, 1.0f, 0.1f);
    matrix("mm.patch_merger", shape_.n_embd, 4 * shape_.n_embd);
    linear("mm.1", shape_.text_width, shape_.n_embd), linear("mm.2", shape_.text_width, shape_.text_width);
    tensor("v.token_embd.img_break", {shape_.text_width}, 0.0f, 1.0f);
  }
  void paddleocr() {
    const std::int32_t area = 4 * shape_.patch_size * shape_.patch_size;
    writer_.set("clip.use_gelu", true);
    writer_.set("clip.vision.image_min_pixels", 8 * area);
    writer_.set("clip.vision.image_max_pixels", 1024 * area);
    patch("v.patch_embd.weight");
    positions(side() * side());
    layers();
    norm("v.post_ln", shape_.n_embd), norm("mm.input_norm", shape_.n_embd);
    linear("mm.1", 4 * shape_.n_embd, 4 * shape_.n_embd), linear("mm.2", shape_.text_width, 4 * shape_.n_embd);
  }

  TinyShape shape_;
  gguf::Writer writer_;
  std::deque<std::vector<float>> values_;
  std::uint64_t state_ = 1;
};

}  // namespace mtmd::encoders::testing
