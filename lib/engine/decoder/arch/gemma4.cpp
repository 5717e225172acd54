// Gemma 4 (https://ai.google.dev/gemma/docs/core): Gemma 3's layers, where heads of v are normed too, scores are not
// scaled, window layers have smaller heads, and the last layers use keys and values of earlier ones. A full layer
// without attn_v takes its keys for values. The small models add to each layer an embedding of its own of every token
// (as Gemma 3n); the large one has experts beside the dense block.
#include <cmath>

#include "engine/base/error.h"
#include "engine/decoder/pass.h"

namespace mtmd::decoder::arch {
namespace {

enum { global, local };  // indices into DecoderSpec::ropes

struct LayerParts final : OwnWeights {
  float output_scale = 1.0f;
  Weight inp_gate, proj;  ///< [p, d], [d, p]: of the layer's own embedding, p values
  Norm post_norm;         ///< [d]
  Norm experts_norm, post_dense_norm, post_experts_norm;
  Vector router_scale;  ///< [d]
};

struct ModelParts final : OwnWeights {
  std::int32_t p = 0;       ///< values per token and layer
  Weight embd, model_proj;  ///< [vocabulary, layers * p], [layers * p, d]
  Vector proj_norm;         ///< [p]
};

/// The embeddings of all layers: (embd * sqrt(p) + norm(proj x / sqrt(d))) / sqrt(2). Rows that are no tokens use token
/// 0, the padding.
void embed_layers(Pass& pass, Tensor x) {
  const auto& w = static_cast<const ModelParts&>(*pass.model.own);
  Device& device = pass.device;
  const Tensor y = pass.ws.tensor(x.rows, w.embd.cols);
  Workspace::Scope scope(pass.ws);
  pass.for_each_run([&](std::int64_t begin, std::int64_t end, bool is_token) {
    const Tensor part = y.rows_at(begin, end - begin);
    if (is_token)
      device.get_rows(part, w.embd, pass.tokens(begin, end));
    else
      device.get_rows(part, w.embd, std::vector<std::int32_t>(static_cast<std::size_t>(end - begin), 0));
  });
  device.scale(y, y, std::sqrt(static_cast<float>(w.p)));
  const Tensor u = pass.ws.tensor(x.rows, y.cols);
  device.matmul(u, w.model_proj, x);
  device.scale(u, u, 1.0f / std::sqrt(static_cast<float>(x.cols)));
  device.rms_norm(heads(u, w.p), heads(u, w.p), w.proj_norm, pass.spec.norm_eps);
  device.add(y, y, u);
  device.scale(y, y, std::sqrt(0.5f));
  pass.prepared = y;
}

/// Dense block and experts side by side, each between norms of its own. The router reads the residual stream itself.
void dense_and_experts(Pass& pass, std::size_t layer, Tensor x, Tensor h) {
  const LayerWeights& w = pass.model.layers[layer];
  const auto& parts = own<LayerParts>(pass, layer);
  Device& device = pass.device;
  const Tensor g = pass.ws.tensor(x.rows, w.gate.rows), y = pass.ws.tensor(x.rows, x.cols);
  device.feed_forward(y, {w.gate, w.up, w.down, pass.spec.activation}, h, g);
  pass.norm(y, y, parts.post_dense_norm);
  const Tensor r = pass.ws.tensor(x.rows, x.cols), z = pass.zeros(x.rows, x.cols);
  device.rms_norm(r, x, parts.router_scale, pass.spec.norm_eps);
  device.scale(r, r, 1.0f / std::sqrt(static_cast<float>(x.cols)));
  add_experts(pass, layer, z, pass.normed(x, parts.experts_norm), r);
  pass.norm(z, z, parts.post_experts_norm);
  device.add(y, y, z);
  pass.add_residual(x, w.post_ffn_norm, y);
}

void second_half(Pass& pass, std::size_t layer, Tensor& x, Tensor h) {
  const auto& w = own<LayerParts>(pass, layer);
  Device& device = pass.device;
  if (pass.spec.layers[layer].moe)
    dense_and_experts(pass, layer, x, h);
  else
    feed_forward_block(pass, layer, x, h);
  if (w.inp_gate) {
    const std::int64_t p = w.inp_gate.rows;
    const Tensor g = pass.ws.tensor(x.rows, p), y = pass.ws.tensor(x.rows, x.cols);
    device.matmul(g, w.inp_gate, x, {.activation = pass.spec.activation});
    device.multiply(g, g, pass.kept(layer, pass.prepared.cols_at(static_cast<std::int64_t>(layer) * p, p)));
    device.matmul(y, w.proj, g);
    pass.norm(y, y, w.post_norm);
    device.add(x, x, y);
  }
  if (w.output_scale != 1.0f) device.scale(x, x, w.output_scale);
}

/// The last n layers use the keys and values of the last layer before them that sees as far as they do.
void share_keys(const Facts& f, DecoderSpec& s) {
  const std::int32_t n = f.integer_or("attention.shared_kv_layers", 0, s.n_layers - 1, 0);
  for (std::int32_t i = s.n_layers - n; i < s.n_layers; ++i) {
    std::int32_t from = s.n_layers - n - 1;
    while (from >= 0 && s.layers[from].window != s.layers[i].window) --from;
    const LayerSpec& l = s.layers[i];
    if (from < 0 || s.layers[from].n_kv_heads != l.n_kv_heads)
      f.reject("attention.shared_kv_layers", fmt::format("{}", n),
               fmt::format("layers before them that have the window and the {} heads of layer {}", l.n_kv_heads, i));
    s.layers[i].kv_layer = from;
  }
}

DecoderSpec describe(const Facts& f) {
  DecoderSpec s = transformer(f, RopePairs::halves);
  s.activation = Activation::gelu_tanh;
  s.embedding_scale = std::sqrt(static_cast<float>(s.n_embd));
  s.attention_scale = 1.0f;
  s.normed_values = true;
  s.logit_softcap = f.number_or("final_logit_softcapping", 0.0f, 1e6f, 0.0f);
  s.image_block_sees_itself = true;
  s.n_ff_shared = s.layers[0].n_ff;
  mixture(f, s, "expert_feed_forward_length");

  const std::int32_t window = f.integer("attention.sliding_window", 1, INT32_MAX);
  const std::int32_t key_dim = f.integer_or("attention.key_length_swa", 1, kMaxHeadDim, s.layers[0].key_dim);
  const std::int32_t value_dim = f.integer_or("attention.value_length_swa", 1, kMaxHeadDim, s.layers[0].value_dim);
  const std::vector<bool> slides = f.flags("attention.sliding_window_pattern", s.n_layers);
  s.ropes.push_back(unscaled(s.ropes[global], f.number_or("rope.freq_base_swa", 1e-3f, 1e12f, 10000.0f)));
  s.ropes[local].n_dims = f.even("rope.dimension_count_swa", key_dim, key_dim);
  for (std::int32_t i = 0; i < s.n_layers; ++i) {
    if (!slides[i]) continue;
    LayerSpec& l = s.layers[i];
    l.window = window, l.rope = local, l.key_dim = key_dim, l.value_dim = value_dim;
  }
  share_keys(f, s);
  return s;
}

void load_attention(const Layer& l) {
  const std::int64_t d = l.model.n_embd, q = std::int64_t{l.spec.n_heads} * l.spec.key_dim,
                     k = std::int64_t{l.spec.n_kv_heads} * l.spec.key_dim,
                     v = std::int64_t{l.spec.n_kv_heads} * l.spec.value_dim;
  l.w.head_norm = HeadNorm::each;
  l.w.q = l.matrix("attn_q.weight", q, d);
  l.w.q_norm = l.vector("attn_q_norm.weight", l.spec.key_dim);
  l.w.o = l.matrix("attn_output.weight", d, std::int64_t{l.spec.n_heads} * l.spec.value_dim);
  if (l.spec.kv_layer >= 0) {  // some files have them nevertheless
    l.weights.matrix_if(l.name("attn_k.weight"), k, d);
    l.weights.matrix_if(l.name("attn_v.weight"), v, d);
    l.vector_if("attn_k_norm.weight", l.spec.key_dim);
    return;
  }
  l.w.k = l.matrix("attn_k.weight", k, d);
  l.w.k_norm = l.vector("attn_k_norm.weight", l.spec.key_dim);
  const bool keys_are_values = l.spec.window == 0 && k == v && !l.has("attn_v.weight");
  l.w.v = keys_are_values ? l.w.k : l.matrix("attn_v.weight", v, d);
}

void load_feed_forward(const Layer& l, LayerParts& parts) {
  if (!l.spec.moe) return feed_forward(l, Bias::none);
  const std::int64_t d = l.model.n_embd, ff = l.model.n_ff_shared;
  l.w.gate = l.matrix("ffn_gate.weight", ff, d);
  l.w.up = l.matrix("ffn_up.weight", ff, d);
  l.w.down = l.matrix("ffn_down.weight", d, ff);
  experts(l);
  l.w.expert_scales = l.vector_if("ffn_down_exps.scale", l.model.n_experts);
  parts.router_scale = l.vector("ffn_gate_inp.scale", d);
  parts.experts_norm = l.norm("pre_ffw_norm_2");
  parts.post_dense_norm = l.norm("post_ffw_norm_1");
  parts.post_experts_norm = l.norm("post_ffw_norm_2");
}

void load_layer_embeddings(Model& m, gguf::Weights& weights, std::int32_t p) {
  const std::int64_t all = std::int64_t{p} * m.spec.n_layers;
  auto parts = std::make_unique<ModelParts>();
  parts->p = p;
  parts->embd = weights.matrix("per_layer_token_embd.weight", m.spec.n_vocab, all);
  parts->model_proj = weights.matrix("per_layer_model_proj.weight", all, m.spec.n_embd);
  parts->proj_norm = weights.vector("per_layer_proj_norm.weight", p);
  m.own = std::move(parts);
  m.prepare = embed_layers;
}

void load(Model& m, gguf::Weights& weights) {
  const Facts f(weights.file(), m.spec.n_ctx);
  const std::int32_t p = f.integer_or("embedding_length_per_layer_input", 0, kMaxWidth, 0);
  embeddings(m, weights);
  m.spec.ropes[global].factors = frequency_factors(weights, "rope_freqs.weight", m.spec.ropes[global]);
  if (p > 0) load_layer_embeddings(m, weights, p);
  for (const Layer& l : layers(m, weights)) {
    auto parts = std::make_unique<LayerParts>();
    norms(l);
    post_norms(l);
    load_attention(l);
    load_feed_forward(l, *parts);
    if (p > 0) {
      parts->inp_gate = l.matrix("inp_gate.weight", p, l.model.n_embd);
      parts->proj = l.matrix("proj.weight", l.model.n_embd, p);
      parts->post_norm = l.norm("post_norm");
    }
    if (const Vector scale = l.vector_if("layer_output_scale.weight", 1); !scale.empty())
      parts->output_scale = scale[0];
    l.w.feed_forward = second_half;
    l.w.own = std::move(parts);
  }
}

}  // namespace

extern const Architecture gemma4{"gemma4", describe, load};

}  // namespace mtmd::decoder::arch
