// Tiny files of the types that see tiles and windows beside an overview, or one token per patch.
#pragma once

#include "encoders/projector/tiny_writer.h"

namespace mtmd::encoders::testing {

inline void tiny_lfm2(TinyWriter& m) {
  m.use("use_gelu");
  m.set("projector.scale_factor", 2);
  m.patch(1, true);
  m.positions(m.side() * m.side());
  m.layers();
  m.norm("v.post_ln", m.d()), m.norm("mm.input_norm", 4 * m.d());
  m.linear("mm.1", m.text(), 4 * m.d()), m.linear("mm.2", m.text(), m.text());
}

inline void tiny_llama4(TinyWriter& m) {
  m.use("use_gelu");
  m.set("projector.scale_factor", 2);
  m.matrix("v.patch_embd", m.d(), 3 * m.shape().patch_size * m.shape().patch_size);
  m.class_token();
  m.positions(m.side() * m.side() + 1);
  m.norm("v.pre_ln", m.d());
  m.layers();
  m.norm("v.post_ln", m.d());
  m.matrix("mm.model.mlp.1", 20, 4 * m.d()), m.matrix("mm.model.mlp.2", 18, 20);
  m.matrix("mm.model.fc", m.text(), 18);
}

inline void tiny_phi4(TinyWriter& m) {
  m.use("use_gelu");
  m.pixels(16, 1024, 1);
  m.patch(1, true);
  m.positions(m.side() * m.side());
  m.layers();
  m.norm("v.post_ln", m.d());
  m.linear("mm.0", m.text(), m.d()), m.linear("mm.2", m.text(), m.text());
}

inline void tiny_janus_pro(TinyWriter& m) {
  m.use("use_gelu");
  m.patch(1, true);
  m.positions(m.side() * m.side());
  m.layers();
  m.norm("v.post_ln", m.d());
  m.linear("mm.0", m.text(), m.d()), m.linear("mm.1", m.text(), m.text());
}

inline void tiny_cogvlm(TinyWriter& m) {
  const std::int32_t s = m.shape().image_size;
  const std::vector<std::int32_t> pinpoints = {s, 2 * s, 2 * s, s};
  m.writer().set("clip.vision.image_grid_pinpoints", std::span<const std::int32_t>(pinpoints));
  m.use("use_gelu");
  m.patch(1, true);
  m.class_token();
  m.positions(m.side() * m.side() + 1);
  m.layers({.fused = true});
  m.matrix("mm.model.fc", m.text(), m.d());
  m.norm("mm.post_fc_norm", m.text());
  m.matrix("mm.up", 20, m.text()), m.matrix("mm.gate", 20, m.text()), m.matrix("mm.down", m.text(), 20);
  m.tensor("v.boi", {1, m.text()}, 0.0f, 1.0f), m.tensor("v.eoi", {1, m.text()}, 0.0f, 1.0f);
}

inline void tiny_nemotron(TinyWriter& m) {
  m.use("use_gelu");
  m.set("projector.scale_factor", 2);
  m.patch();
  m.tensor("v.class_embd", {3, m.d()}, 0.0f, 0.5f);  // registers
  m.positions(m.side() * m.side());
  m.layers({.fused = true});
  m.rms("mm.model.mlp.0", 4 * m.d());
  m.matrix("mm.model.mlp.1", 20, 4 * m.d()), m.matrix("mm.model.mlp.3", m.text(), 20);
}

/// Large patches: windows have 504 pixels whatever a file says.
inline void tiny_step3vl(TinyWriter& m) {
  const std::int32_t p = m.shape().image_size;
  m.set("patch_size", p), m.set("projector.scale_factor", 4), m.set("preproc_image_size", 500);
  m.tensor("v.patch_embd.weight", {m.d(), 3, p, p}, 0.0f, 1.7f / std::sqrt(static_cast<float>(3 * p * p)));
  m.positions(16);
  m.norm("v.pre_ln", m.d());
  m.layers({.fused = true});
  m.conv("mm.0", 14, m.d(), 3), m.conv("mm.1", 18, 14, 3);
  m.matrix("mm.model.fc", m.text(), 18);
}

}  // namespace mtmd::encoders::testing
