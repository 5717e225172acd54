// DeepSeek-V2 and V3 (arXiv:2405.04434, 2412.19437), Kimi-VL and their relatives: multi-head latent attention. Keys and
// values of all heads are made of one compressed row per token, and one rotated part is shared by all heads. Files
// come in two forms:
//  - attn_k_b and attn_v_b: the cache holds the compressed rows; k_b is multiplied into the queries, v_b into the
//    result, so attention has a single head of keys and values (section 2.1.2);
//  - attn_kv_b: keys and values are made and cached per head.
// The rotated part comes first in our heads, last in the file's.
#include <cmath>

#include "engine/base/error.h"
#include "engine/decoder/pass.h"

namespace mtmd::decoder::arch {
namespace {

struct Latent final : OwnWeights {
  std::int32_t rank = 0, nope = 0, rotated = 0, value = 0;  ///< of the compressed row, of a head's parts
  Weight q_a;                                               ///< [q rank, d]; empty: q is not compressed
  Vector q_a_norm;                                          ///< [q rank]
  Weight q;                                                 ///< [heads * (nope + rotated), q rank or d]
  Weight kv_a;                                              ///< [rank + rotated, d]
  Vector kv_a_norm;                                         ///< [rank]
  Weight kv_b;                                              ///< [heads * (nope + value), rank]
  Weight k_b, v_b;                                          ///< [heads, rank, nope], [heads, value, rank]
};

/// Column ranges of every head of a tensor [n, heads * size]: [begin, begin + count) of each.
Tensor head_columns(Tensor x, std::int64_t size, std::int64_t begin, std::int64_t count) {
  return heads(x, static_cast<std::int32_t>(size)).cols_at(begin, count);
}

/// Queries [n, heads * (nope + rotated)] as the file orders them.
Tensor queries(Pass& pass, const Latent& w, Tensor h) {
  const Tensor q = pass.ws.tensor(h.rows, w.q.rows);
  if (!w.q_a) {
    pass.device.matmul(q, w.q, h);
    return q;
  }
  const Tensor c = pass.ws.tensor(h.rows, w.q_a.rows);
  pass.device.matmul(c, w.q_a, h);
  pass.device.rms_norm(c, c, w.q_a_norm, pass.spec.norm_eps);
  pass.device.matmul(q, w.q, c);
  return q;
}

/// The compressed form: heads of [rotated, rank].
void latent_attention(Pass& pass, std::size_t layer, Tensor& x, Tensor h) {
  const LayerSpec& s = pass.spec.layers[layer];
  const auto& w = own<Latent>(pass, layer);
  Device& device = pass.device;
  const std::int64_t n = h.rows, size = w.nope + w.rotated;
  const Tensor c = pass.ws.tensor(n, w.rank + w.rotated), k = pass.ws.tensor(n, w.rotated + w.rank),
               v = pass.ws.tensor(n, w.rank);
  device.matmul(c, w.kv_a, h);
  device.rms_norm(v, c.cols_at(0, w.rank), w.kv_a_norm, pass.spec.norm_eps);
  device.copy(k.cols_at(0, w.rotated), c.cols_at(w.rank, w.rotated));
  device.copy(k.cols_at(w.rotated, w.rank), v);
  pass.rotate(k, s.key_dim, s);
  pass.store(layer, k, v);

  const Tensor plain = queries(pass, w, h);
  Tensor q = pass.ws.tensor(n, std::int64_t{s.n_heads} * s.key_dim);
  device.copy(head_columns(q, s.key_dim, 0, w.rotated), head_columns(plain, size, w.nope, w.rotated));
  for (std::int32_t i = 0; i < s.n_heads; ++i)
    device.matmul(q.cols_at(std::int64_t{i} * s.key_dim + w.rotated, w.rank), w.k_b.expert(i),
                  plain.cols_at(i * size, w.nope));
  pass.rotate(q, s.key_dim, s);
  pass.keep(layer, x, q);
  if (x.rows == 0) return;
  const Tensor a = pass.attend(layer, q), y = pass.ws.tensor(x.rows, std::int64_t{s.n_heads} * w.value);
  for (std::int32_t i = 0; i < s.n_heads; ++i)
    device.matmul(y.cols_at(std::int64_t{i} * w.value, w.value), w.v_b.expert(i),
                  a.cols_at(std::int64_t{i} * w.rank, w.rank));
  pass.add_residual(x, pass.model.layers[layer].o, {}, {}, y);
}

/// Keys and values per head: heads of [rotated, nope].
void per_head_attention(Pass& pass, std::size_t layer, Tensor& x, Tensor h) {
  const LayerSpec& s = pass.spec.layers[layer];
  const auto& w = own<Latent>(pass, layer);
  Device& device = pass.device;
  const std::int64_t n = h.rows, both = w.nope + w.value, size = w.nope + w.rotated;
  const Tensor c = pass.ws.tensor(n, w.rank + w.rotated), latent = pass.ws.tensor(n, w.rank),
               kv = pass.ws.tensor(n, w.kv_b.rows);
  device.matmul(c, w.kv_a, h);
  device.rms_norm(latent, c.cols_at(0, w.rank), w.kv_a_norm, pass.spec.norm_eps);
  device.matmul(kv, w.kv_b, latent);
  const Tensor k = pass.ws.tensor(n, s.n_heads * size), v = pass.ws.tensor(n, std::int64_t{s.n_heads} * w.value);
  for (std::int32_t i = 0; i < s.n_heads; ++i)
    device.copy(k.cols_at(i * size, w.rotated), c.cols_at(w.rank, w.rotated));
  device.copy(head_columns(k, size, w.rotated, w.nope), head_columns(kv, both, 0, w.nope));
  device.copy(heads(v, w.value), head_columns(kv, both, w.nope, w.value));
  pass.rotate(k, s.key_dim, s);
  pass.store(layer, k, v);

  const Tensor plain = queries(pass, w, h);
  Tensor q = pass.ws.tensor(n, plain.cols);
  device.copy(head_columns(q, size, 0, w.rotated), head_columns(plain, size, w.nope, w.rotated));
  device.copy(head_columns(q, size, w.rotated, w.nope), head_columns(plain, size, 0, w.nope));
  pass.rotate(q, s.key_dim, s);
  pass.keep(layer, x, q);
  if (x.rows > 0) pass.add_residual(x, pass.model.layers[layer].o, {}, {}, pass.attend(layer, q));
}

/// YaRN's attention factor belongs to the scores here, twice: once for q, once for k.
void scale_attention(const Facts& f, DecoderSpec& s, std::int32_t key_dim) {
  RopeSpec& r = s.ropes[0];
  r.magnitude = f.number_or("rope.scaling.attn_factor", 1e-6f, 1e6f, 1.0f);
  const float multiplier = f.number_or("rope.scaling.yarn_log_multiplier", 0.0f, 1e3f, 0.0f);
  const float m = r.magnitude * (1.0f + multiplier * std::log(1.0f / r.frequency_scale));
  s.attention_scale = m * m / std::sqrt(static_cast<float>(key_dim));
}

DecoderSpec describe(const Facts& f) {
  DecoderSpec s = transformer(f, RopePairs::adjacent);
  s.normalised_experts = false;
  mixture(f, s, "expert_feed_forward_length");
  const std::int32_t rank = f.integer("attention.kv_lora_rank", 1, kMaxWidth), rotated = s.ropes[0].n_dims;
  LayerSpec& first = s.layers[0];
  std::int32_t key_dim = first.key_dim;
  if (f.has("attention.key_length_mla")) {
    key_dim = f.integer("attention.key_length_mla", rotated + 1, kMaxHeadDim);
    if (first.n_kv_heads != 1) f.reject("attention.head_count_kv", fmt::format("{}", first.n_kv_heads), "1");
    if (first.key_dim != rank + rotated)
      f.reject("attention.key_length", fmt::format("{}", first.key_dim),
               fmt::format("kv_lora_rank + rope.dimension_count = {}", rank + rotated));
    if (first.value_dim != rank)
      f.reject("attention.value_length", fmt::format("{}", first.value_dim), fmt::format("kv_lora_rank {}", rank));
  } else {
    if (key_dim <= rotated)
      f.reject("attention.key_length", fmt::format("{}", key_dim), fmt::format("more than the {} rotated", rotated));
    if (first.n_kv_heads != first.n_heads)
      f.reject("attention.head_count_kv", fmt::format("{}", first.n_kv_heads),
               fmt::format("head_count {}", first.n_heads));
  }
  scale_attention(f, s, key_dim);
  return s;
}

void load_attention(const Layer& l, const Facts& f) {
  const std::int64_t d = l.model.n_embd, n_heads = l.spec.n_heads;
  auto own = std::make_unique<Latent>();
  Latent& w = *own;
  const bool split = f.has("attention.key_length_mla");
  w.rank = f.integer("attention.kv_lora_rank", 1, kMaxWidth);
  w.rotated = l.model.ropes[0].n_dims;
  w.nope = (split ? f.integer("attention.key_length_mla", w.rotated + 1, kMaxHeadDim) : l.spec.key_dim) - w.rotated;
  w.value = split ? f.integer("attention.value_length_mla", 1, kMaxHeadDim) : l.spec.value_dim;
  const std::int32_t q_rank = f.integer_or("attention.q_lora_rank", 0, kMaxWidth, 0);
  const std::int64_t q = n_heads * (w.nope + w.rotated);
  if (q_rank > 0) {
    w.q_a = l.matrix("attn_q_a.weight", q_rank, d);
    w.q_a_norm = l.vector("attn_q_a_norm.weight", q_rank);
    w.q = l.matrix("attn_q_b.weight", q, q_rank);
  } else {
    w.q = l.matrix("attn_q.weight", q, d);
  }
  w.kv_a = l.matrix("attn_kv_a_mqa.weight", w.rank + w.rotated, d);
  w.kv_a_norm = l.vector("attn_kv_a_norm.weight", w.rank);
  if (split) {
    w.k_b = l.weights.experts(l.name("attn_k_b.weight"), n_heads, w.rank, w.nope);
    w.v_b = l.weights.experts(l.name("attn_v_b.weight"), n_heads, w.value, w.rank);
  } else {
    w.kv_b = l.matrix("attn_kv_b.weight", n_heads * (w.nope + w.value), w.rank);
  }
  l.w.o = l.matrix("attn_output.weight", d, n_heads * w.value);
  l.w.mix = split ? latent_attention : per_head_attention;
  l.w.own = std::move(own);
}

void load(Model& m, gguf::Weights& weights) {
  const Facts f(weights.file(), m.spec.n_ctx);
  embeddings(m, weights);
  for (const Layer& l : layers(m, weights)) {
    norms(l);
    load_attention(l, f);
    l.spec.moe ? mixture(l) : feed_forward(l, Bias::none);
  }
}

}  // namespace

extern const Architecture deepseek2{"deepseek2", describe, load, Verified::library};

}  // namespace mtmd::decoder::arch
