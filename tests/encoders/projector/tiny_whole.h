// Tiny files of the types that see a whole picture of any shape.
#pragma once

#include "encoders/projector/tiny_writer.h"

namespace mtmd::encoders::testing {

inline void tiny_bridge(TinyWriter& m, const char* first, const char* second) {
  m.linear(first, 4 * m.d(), 4 * m.d()), m.linear(second, m.text(), 4 * m.d());
}

inline void tiny_qwen2vl(TinyWriter& m) {
  m.patch(2);
  m.layers();
  m.norm("v.post_ln", m.d());
  tiny_bridge(m, "mm.0", "mm.2");
}

inline void tiny_qwen25vl(TinyWriter& m) {
  m.use("use_silu");
  m.set("n_wa_pattern", 2), m.set("window_size", 4 * m.shape().patch_size);
  m.patch(2);
  m.layers({.gated = true});
  m.rms("v.post_ln", m.d());
  tiny_bridge(m, "mm.0", "mm.2");
}

inline void tiny_qwen25o(TinyWriter& m) {
  tiny_qwen25vl(m);
  m.writer().set("clip.has_audio_encoder", true);  // and its tensors, which nobody asks for
  m.writer().set("clip.audio.block_count", std::int32_t{-5});
  m.tensor("a.position_embd.weight", {3, 5}, 0.0f, 1.0f), m.linear("mm.a.fc", 7, 5);
}

inline void tiny_qwen3vl(TinyWriter& m) {
  m.use("use_gelu");
  m.set("spatial_merge_size", 2);
  m.writer().set("clip.vision.is_deepstack_layers", std::vector<bool>{false, true});
  m.patch(2, true);
  m.positions(m.side() * m.side());
  m.layers({.fused = true});
  m.norm("v.post_ln", m.d());
  tiny_bridge(m, "mm.0", "mm.2");
  m.norm("v.deepstack.1.norm", 4 * m.d());
  m.linear("v.deepstack.1.fc1", 4 * m.d(), 4 * m.d()), m.linear("v.deepstack.1.fc2", m.text(), 4 * m.d());
}

inline void tiny_exaone45(TinyWriter& m) {
  m.use("use_silu");
  m.set("attention.head_count_kv", 1), m.set("spatial_merge_size", 2), m.set("n_wa_pattern", 2);
  m.pixels(8, 1024);
  m.patch(2);
  m.layers({.gated = true, .fused = true, .n_kv_heads = 1});
  m.rms("v.post_ln", m.d());
  tiny_bridge(m, "mm.0", "mm.2");
}

inline void tiny_youtuvl(TinyWriter& m) {
  m.use("use_gelu");
  m.set("spatial_merge_size", 2), m.set("window_size", 4 * m.shape().patch_size);
  const std::int32_t full[] = {1};
  m.writer().set("clip.vision.wa_layer_indexes", std::span<const std::int32_t>(full));
  m.linear("v.patch_embd", m.d(), 3 * m.shape().patch_size * m.shape().patch_size);
  m.layers();
  m.norm("v.post_ln", m.d());
  m.rms("mm.input_norm", m.d());
  tiny_bridge(m, "mm.0", "mm.2");
}

inline void tiny_pixtral_trunk(TinyWriter& m) {
  m.use("use_silu");
  m.set("spatial_merge_size", 2);
  m.patch();
  m.norm("v.pre_ln", m.d());
  m.layers({.gated = true});
  m.rms("mm.input_norm", m.d());
  m.matrix("mm.patch_merger", m.d(), 4 * m.d());
  m.linear("mm.1", m.text(), m.d()), m.linear("mm.2", m.text(), m.text());
}

inline void tiny_pixtral(TinyWriter& m) {
  tiny_pixtral_trunk(m);
  m.tensor("v.token_embd.img_break", {m.text()}, 0.0f, 1.0f);
}

inline void tiny_lightonocr(TinyWriter& m) {
  tiny_pixtral_trunk(m);
  m.set("preproc_image_size", 12 * m.shape().patch_size);
}

inline void tiny_paddleocr(TinyWriter& m) {
  m.use("use_gelu");
  m.pixels(8, 1024);
  m.patch();
  m.positions(m.side() * m.side());
  m.layers();
  m.norm("v.post_ln", m.d()), m.norm("mm.input_norm", m.d());
  tiny_bridge(m, "mm.1", "mm.2");
}

inline void tiny_dots_ocr(TinyWriter& m) {
  m.use("use_silu");
  m.set("projector.scale_factor", 2);
  m.pixels(8, 1024);
  m.patch(1, true);
  m.rms("v.pre_ln", m.d());
  m.layers({.gated = true, .fused = true});
  m.rms("mm.post_norm", m.d()), m.norm("mm.input_norm", m.d());
  tiny_bridge(m, "mm.0", "mm.2");
}

inline void tiny_kimi(TinyWriter& m) {
  m.use("use_gelu");
  m.set("projector.scale_factor", 2);
  m.patch(1, true);
  m.layers();
  m.norm("v.post_ln", m.d()), m.norm("mm.input_norm", m.d());
  tiny_bridge(m, "mm.1", "mm.2");
}

inline void tiny_kimivl(TinyWriter& m) {
  tiny_kimi(m);
  m.positions(m.side() * m.side());
}

inline void tiny_kimik25(TinyWriter& m) {
  tiny_kimi(m);
  m.pixels(1, 512);
  m.tensor("v.position_embd.weight", {m.side(), m.side() + 1, m.d()}, 0.0f, 0.5f);
}

inline void tiny_glm4v(TinyWriter& m) {
  m.use("use_silu");
  m.set("spatial_merge_size", 2);
  m.patch(2, true);
  m.rms("v.norm_embd", m.d());
  m.positions(m.side() * m.side());
  m.layers({.gated = true, .fused = true});
  m.rms("v.post_ln", m.d());
  m.conv("mm.patch_merger", m.text(), m.d(), 2);
  m.matrix("mm.model.fc", m.text(), m.text());
  m.norm("mm.post_norm", m.text());
  m.matrix("mm.up", 20, m.text()), m.matrix("mm.gate", 20, m.text()), m.matrix("mm.down", m.text(), 20);
}

inline void tiny_hunyuanvl(TinyWriter& m) {
  m.use("use_gelu");
  m.set("spatial_merge_size", 2);
  m.pixels(8, 512);
  m.patch(1, true);
  m.positions(m.side() * m.side());
  m.layers();
  m.rms("mm.pre_norm", m.d());
  m.conv("mm.0", 20, m.d(), 2), m.conv("mm.2", 18, 20, 1);
  m.vector("v.image_newline", 18);
  m.linear("mm.model.fc", m.text(), 18);
  m.vector("mm.image_begin", m.text()), m.vector("mm.image_end", m.text());
  m.rms("mm.post_norm", m.text());
}

inline void tiny_minimax_m3(TinyWriter& m) {
  m.set("spatial_merge_size", 2);
  m.patch(2);
  m.norm("v.pre_ln", m.d());
  m.layers();
  m.linear("mm.1", 10, m.d()), m.linear("mm.2", 10, 10);
  m.linear("mm.merger.fc1", 20, 40), m.linear("mm.merger.fc2", m.text(), 20);
}

}  // namespace mtmd::encoders::testing
