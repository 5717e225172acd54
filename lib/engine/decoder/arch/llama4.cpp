// Llama 4 (https://ai.meta.com/blog/llama-4-multimodal-intelligence): three layers whose attention stays within chunks,
// then one that sees everything, does not rotate and sharpens its queries far out. Scout's rotated heads are normed
// without weights. Experts, one of which every token uses, in every layer or every other; weights are sigmoids and
// multiply the experts' inputs.
#include "engine/decoder/model.h"

namespace mtmd::decoder::arch {
namespace {

constexpr std::int32_t kChunk = 8192, kFullEvery = 4;
constexpr std::int32_t kMaverickExperts = 128;

/// Which layers stay within chunks.
void chunks(const Facts& f, DecoderSpec& s) {
  if (f.has("attention.sliding_window")) f.reject("attention.sliding_window", "there", "none: chunks take its place");
  for (std::int32_t i = 0; i < s.n_layers; ++i) {
    LayerSpec& l = s.layers[i];
    const bool full = i % kFullEvery == kFullEvery - 1;
    l.chunked = !full;
    l.window = full ? 0 : kChunk;
    l.tempered = full;
    if (full) l.rope = -1;
  }
}

DecoderSpec describe(const Facts& f) {
  DecoderSpec s = transformer(f, RopePairs::adjacent);
  mixture(f, s, "expert_feed_forward_length");
  if (s.n_experts == 0) f.reject("expert_count", "missing or 0", "at least 1");
  s.gating = Gating::sigmoid;
  s.normalised_experts = false;
  s.weighed_before_experts = true;
  s.n_ff_shared = f.integer("expert_feed_forward_length", 1, kMaxWidth);
  const std::int32_t every = f.integer("interleave_moe_layer_step", 1, kMaxLayers);
  const auto dense = f.per_layer("feed_forward_length", s.n_layers, 1, kMaxWidth);
  for (std::int32_t i = 0; i < s.n_layers; ++i) {
    s.layers[i].moe = (i + 1) % every == 0;
    if (!s.layers[i].moe) s.layers[i].n_ff = dense[i];
  }
  chunks(f, s);
  s.attention_temperature = 0.1f;
  s.temperature_context = 8192;
  s.temperature_offset = 1;
  s.rotated_before_norm = true;
  return s;
}

void load(Model& m, gguf::Weights& weights) {
  load_plain(m, weights, {});
  if (m.spec.n_experts == kMaverickExperts) return;
  for (const Layer& l : layers(m, weights))
    if (l.spec.rope >= 0) head_norms(l, HeadNorm::plain);
}

}  // namespace

extern const Architecture llama4{"llama4", describe, load, Verified::library};

}  // namespace mtmd::decoder::arch
