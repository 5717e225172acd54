#include <fmt/core.h>

#include "bench/tensor_list.h"

namespace mtmd::bench {
namespace {

/// Blocks of a vision transformer or of Whisper's encoder.
void blocks(MadeModel& m, const EncoderShape& s, const std::string& prefix, DType type, bool key_bias) {
  const std::int64_t n = s.n_embd, ff = s.n_ff;
  const auto linear = [&](const std::string& name, std::int64_t out, std::int64_t in, bool bias) {
    m.matrix(name + ".weight", {out, in}, type);
    if (bias) m.bias(name + ".bias", out);
  };
  for (std::uint32_t i = 0; i < s.n_layer; ++i) {
    const std::string b = fmt::format("{}.blk.{}.", prefix, i);
    for (const char* norm : {"ln1", "ln2"}) {
      m.norm(b + norm + ".weight", n);
      m.bias(b + norm + ".bias", n);
    }
    linear(b + "attn_q", n, n, true);
    linear(b + "attn_k", n, n, key_bias);
    linear(b + "attn_v", n, n, true);
    linear(b + "attn_out", n, n, true);
    linear(b + "ffn_up", ff, n, true);
    linear(b + "ffn_down", n, ff, true);
  }
}

void linear(MadeModel& m, const std::string& name, std::int64_t out, std::int64_t in, DType type) {
  m.matrix(name + ".weight", {out, in}, type);
  m.bias(name + ".bias", out);
}

void sound(MadeModel& m, const EncoderShape& s, DType type, DType kernel) {
  const std::int64_t n = s.n_embd;
  m.matrix("a.conv1d.1.weight", {n, s.n_mel, 3}, kernel);
  m.tensors.push_back({"a.conv1d.1.bias", DType::F32, {n, 1}, 0, 0.1f});
  m.matrix("a.conv1d.2.weight", {n, n, 3}, kernel);
  m.tensors.push_back({"a.conv1d.2.bias", DType::F32, {n, 1}, 0, 0.1f});
  m.tensors.push_back({"a.position_embd.weight", DType::F32, {1500, n}, 0, 0.3f});
  blocks(m, s, "a", type, false);
  m.norm("a.post_ln.weight", n);
  m.bias("a.post_ln.bias", n);
  m.norm("mm.a.norm_pre.weight", n * s.stack);
  m.matrix("mm.a.mlp.1.weight", {s.hidden, n * s.stack}, type);
  m.norm("mm.a.norm_mid.weight", s.hidden / 2);
  m.matrix("mm.a.mlp.2.weight", {s.n_text, s.hidden / 2}, type);
}

void picture(MadeModel& m, const EncoderShape& s, DType type, DType kernel) {
  const std::int64_t n = s.n_embd, p = s.patch_size, side = s.image_size / s.patch_size;
  m.matrix("v.patch_embd.weight", {n, 3, p, p}, kernel);
  if (s.projector == "qwen2vl_merger") {
    m.matrix("v.patch_embd.weight.1", {n, 3, p, p}, kernel);
  } else {
    m.bias("v.patch_embd.bias", n);
    m.tensors.push_back({"v.position_embd.weight", DType::F32, {side * side, n}, 0, 0.3f});
  }
  blocks(m, s, "v", type, true);
  m.norm("v.post_ln.weight", n);
  m.bias("v.post_ln.bias", n);
  if (s.projector == "qwen2vl_merger") {
    linear(m, "mm.0", 4 * n, 4 * n, type);
    linear(m, "mm.2", s.n_text, 4 * n, type);
  } else if (s.projector == "gemma3") {
    m.norm("mm.soft_emb_norm.weight", n);
    m.matrix("mm.input_projection.weight", {n, s.n_text}, type);
  } else {
    m.matrix("mm.model.fc.weight", {s.n_text, n * s.scale * s.scale}, type);
  }
}

}  // namespace

MadeModel made_encoder(const EncoderShape& s, DType type) {
  MadeModel m;
  gguf::Writer& w = m.writer;
  const bool hears = s.n_mel > 0;
  const std::string modality = hears ? "audio" : "vision", p = "clip." + modality + ".";
  w.set("general.architecture", "clip");
  w.set("general.type", "mmproj");
  w.set("general.name", "random weights");
  w.set("clip.projector_type", s.projector);
  w.set("clip.has_" + modality + "_encoder", true);
  w.set(p + "embedding_length", s.n_embd);
  w.set(p + "feed_forward_length", s.n_ff);
  w.set(p + "block_count", s.n_layer);
  w.set(p + "projection_dim", s.n_text);
  w.set(p + "attention.head_count", s.n_head);
  w.set(p + "attention.layer_norm_epsilon", 1e-6f);
  if (hears) {
    w.set(p + "num_mel_bins", s.n_mel);
    w.set(p + "projector.stack_factor", s.stack);
    w.set("clip.use_gelu", true);
  } else {
    const std::vector<float> half = {0.5f, 0.5f, 0.5f};
    w.set(p + "image_size", s.image_size);
    w.set(p + "patch_size", s.patch_size);
    w.set(p + "image_mean", std::span(half));
    w.set(p + "image_std", std::span(half));
    if (s.projector == "qwen2vl_merger") {
      w.set("clip.use_silu", false);
    } else {
      w.set("clip.use_gelu", true);
    }
    if (s.projector == "idefics3") {
      w.set(p + "projector.scale_factor", s.scale);
      w.set(p + "preproc_image_size", s.longest > 0 ? s.longest : 4 * s.image_size);
    }
  }
  const DType kernel = type == DType::Q8_0 ? DType::F16 : type == DType::BF16 ? DType::F32 : type;  // as converters write them
  if (hears) {
    sound(m, s, type, kernel);
  } else {
    picture(m, s, type, kernel);
  }
  return m;
}

}  // namespace mtmd::bench
