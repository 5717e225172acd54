// Tiny files of the types that cut pictures into slices or tiles of their own kind, and of Gemma 4.
#pragma once

#include "encoders/projector/tiny_writer.h"

namespace mtmd::encoders::testing {

inline void tiny_deepseekocr(TinyWriter& m) {
  constexpr std::int32_t kSam = 12, kHeads = 2, kLayers = 3, kNeck = 8, kWindow = 6;
  const std::int64_t p = m.shape().patch_size, side = 32;  // patches per side of the overview; 20 of a tile
  m.set("image_size", static_cast<std::int32_t>(side * p));
  m.set("sam.embedding_length", kSam), m.set("sam.head_count", kHeads), m.set("sam.block_count", kLayers);
  m.set("window_size", kWindow);
  m.set("preproc_min_tiles", 2), m.set("preproc_max_tiles", 4);
  m.class_token();
  m.positions(side / 4 * (side / 4) + 1);
  m.norm("v.pre_ln", m.d());
  m.layers({.fused = true});
  m.tensor("v.sam.pos_embd.weight", {side, side, kSam}, 0.0f, 0.5f);
  m.conv("v.sam.patch_embd", kSam, 3, p);
  for (int i = 0; i < kLayers; ++i) {
    const std::string b = "v.sam.blk." + std::to_string(i) + ".";
    m.norm(b + "pre_ln", kSam), m.norm(b + "post_ln", kSam);
    m.linear(b + "attn.qkv", 3 * kSam, kSam), m.linear(b + "attn.out", kSam, kSam);
    const std::int64_t rows = 2 * (i == 2 ? side : kWindow) - 1;
    m.matrix(b + "attn.pos_h", rows, kSam / kHeads), m.matrix(b + "attn.pos_w", rows, kSam / kHeads);
    m.linear(b + "mlp.lin1", 2 * kSam, kSam), m.linear(b + "mlp.lin2", kSam, 2 * kSam);
  }
  m.tensor("v.sam.neck.0.weight", {kNeck, kSam, 1, 1}, 0.0f, 0.5f), m.norm("v.sam.neck.1", kNeck);
  m.tensor("v.sam.neck.2.weight", {kNeck, kNeck, 3, 3}, 0.0f, 0.2f), m.norm("v.sam.neck.3", kNeck);
  m.tensor("v.sam.net_2.weight", {2 * kNeck, kNeck, 3, 3}, 0.0f, 0.2f);
  m.tensor("v.sam.net_3.weight", {m.d(), 2 * kNeck, 3, 3}, 0.0f, 0.2f);
  m.vector("v.image_newline", m.text()), m.vector("v.view_seperator", m.text());
  m.linear("mm.model.fc", m.text(), 2 * m.d());
}

inline void tiny_sliced_encoder(TinyWriter& m) {
  m.use("use_gelu");
  m.patch(1, true);
  m.positions(70 * 70);
  m.layers();
  m.norm("v.post_ln", m.d());
}

inline void tiny_resampler(TinyWriter& m) {
  constexpr std::int64_t kWidth = 128;  // one head
  tiny_sliced_encoder(m);
  m.writer().set("clip.minicpmv_version", std::int32_t{3});
  m.tensor("resampler.query", {5, kWidth}, 0.0f, 1.0f);
  m.matrix("resampler.proj", kWidth, kWidth), m.matrix("resampler.kv", kWidth, m.d());
  for (const char* part : {"q", "k", "v", "out"}) m.linear(std::string("resampler.attn.") + part, kWidth, kWidth);
  for (const char* part : {"q", "kv", "post"}) m.norm(std::string("resampler.ln_") + part, kWidth);
}

inline void tiny_minicpmv46(TinyWriter& m) {
  const std::vector<std::int32_t> after = {0};
  tiny_sliced_encoder(m);
  m.set("projector.scale_factor", 4);
  m.writer().set("clip.vision.wa_layer_indexes", std::span<const std::int32_t>(after));
  m.norm("v.vit_merger.ln1", m.d());
  for (const char* part : {"q", "k", "v", "out"}) m.linear(std::string("v.vit_merger.attn_") + part, m.d(), m.d());
  m.norm("v.vit_merger.ds_ln", 4 * m.d());
  m.linear("v.vit_merger.ds_ffn_up", 20, 4 * m.d()), m.linear("v.vit_merger.ds_ffn_down", m.d(), 20);
  m.norm("mm.input_norm", 4 * m.d());
  m.linear("mm.up", 20, 4 * m.d()), m.linear("mm.down", m.text(), 20);
}

/// A range around one matrix.
inline void tiny_clamps(TinyWriter& m, const std::string& name, float most) {
  m.tensor(name + ".input_min", {1}, -most, 0.0f), m.tensor(name + ".input_max", {1}, most, 0.0f);
  m.tensor(name + ".output_min", {1}, -1.5f, 0.0f), m.tensor(name + ".output_max", {1}, 1.25f, 0.0f);
}

inline void tiny_gemma4v(TinyWriter& m) {
  m.use("use_gelu");
  m.set("projector.scale_factor", 3);
  m.patch();
  m.tensor("v.position_embd.weight", {2, 900, m.d()}, 0.0f, 0.5f);
  m.layers({.gated = true});
  for (int i = 0; i < m.shape().n_layers; ++i) {
    const std::string b = "v.blk." + std::to_string(i) + ".";
    const std::int64_t head = m.d() / m.shape().n_heads;
    m.rms(b + "attn_q_norm", head), m.rms(b + "attn_k_norm", head);
    m.rms(b + "attn_post_norm", m.d()), m.rms(b + "ffn_post_norm", m.d());
    for (const char* part : {"attn_q", "attn_k", "attn_v", "attn_out", "ffn_gate", "ffn_up", "ffn_down"})
      tiny_clamps(m, b + part, 1.0f + 0.125f * static_cast<float>(i));
  }
  m.vector("v.std_bias", m.d()), m.vector("v.std_scale", m.d(), 1.0f);
  m.matrix("mm.input_projection", m.text(), m.d());
}

inline void tiny_gemma4uv(TinyWriter& m) {
  const std::int64_t pixels = 3 * 9 * m.shape().patch_size * m.shape().patch_size;
  m.set("projector.scale_factor", 3);
  m.linear("v.patch_embd", m.d(), pixels);
  m.norm("v.patch_norm.1", pixels), m.norm("v.patch_norm.2", m.d()), m.norm("v.patch_norm.3", m.d());
  m.tensor("v.position_embd.weight", {2, 300, m.d()}, 0.0f, 0.5f);
  m.matrix("mm.input_projection", m.text(), m.d());
}

}  // namespace mtmd::encoders::testing
