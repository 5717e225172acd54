// Tiny files of the types that see squares: whole pictures and tiles of one size.
#pragma once

#include "encoders/projector/tiny_writer.h"

namespace mtmd::encoders::testing {

inline void tiny_idefics3(TinyWriter& m) {
  m.use("use_gelu");
  m.set("projector.scale_factor", 2), m.set("preproc_image_size", 3 * m.shape().image_size);
  m.patch(1, true);
  m.positions(m.side() * m.side());
  m.layers();
  m.norm("v.post_ln", m.d());
  m.matrix("mm.model.fc", m.text(), 4 * m.d());
}

inline void tiny_gemma3(TinyWriter& m) {
  m.use("use_gelu");
  m.set("projector.scale_factor", 2);
  m.patch(1, true);
  m.positions(m.side() * m.side());
  m.layers();
  m.norm("v.post_ln", m.d());
  m.rms("mm.soft_emb_norm", m.d());
  m.matrix("mm.input_projection", m.d(), m.text());
}

inline void tiny_mlp(TinyWriter& m) {
  const std::int32_t s = m.shape().image_size;
  const std::vector<std::int32_t> pinpoints = {s, 2 * s, 2 * s, s, 2 * s, 2 * s, 3 * s, s, s, 3 * s};
  m.writer().set("clip.vision.image_grid_pinpoints", std::span<const std::int32_t>(pinpoints));
  m.patch();
  m.class_token();
  m.positions(m.side() * m.side() + 1);
  m.norm("v.pre_ln", m.d());
  m.layers();
  m.linear("mm.0", m.text(), m.d()), m.linear("mm.2", m.text(), m.text());
}

inline void tiny_internvl(TinyWriter& m) {
  m.use("use_gelu");
  m.set("projector.scale_factor", 2);
  m.patch();
  m.class_token();
  m.positions(m.side() * m.side() + 1);
  m.layers();
  m.norm("mm.model.mlp.0", 4 * m.d());
  m.linear("mm.model.mlp.1", m.text(), 4 * m.d()), m.linear("mm.model.mlp.3", m.text(), m.text());
}

}  // namespace mtmd::encoders::testing
