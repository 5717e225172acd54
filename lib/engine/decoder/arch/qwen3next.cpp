// Qwen3-Next (https://qwenlm.github.io/blog/qwen3_next): three layers of four mix tokens by a gated delta rule behind a
// short convolution (arXiv:2412.06464), the fourth by attention whose output is gated. Experts everywhere, with a
// shared one that is gated too. What the recurrence carries is kept per sequence in f32 (kv::Cache::state).
#include <cmath>

#include "engine/base/error.h"
#include "engine/decoder/pass.h"

namespace mtmd::decoder::arch {
namespace {

/// The delta rule's weights. K: key heads * key_dim, V: value heads * value_dim, C = 2 K + V.
struct DeltaNet final : OwnWeights {
  DeltaHeads heads;
  std::int32_t taps = 0;
  Weight qkv, gate, beta_alpha, out;  ///< [C, d], [V, d], [2 value heads, d], [d, V]
  Weight in;                          ///< [C + V, d]: qkv and gate of older files, key head by key head
  Vector kernel;                      ///< [C, taps]
  Vector dt_bias, a;                  ///< [value heads]; a: minus the decay rate
  Vector norm;                        ///< [value_dim]

  std::int64_t keys() const noexcept { return std::int64_t{heads.n_key_heads} * heads.key_dim; }
  std::int64_t values() const noexcept { return std::int64_t{heads.n_value_heads} * heads.value_dim; }
  std::int64_t channels() const noexcept { return 2 * keys() + values(); }
};

/// Each key head's value heads stand together: their betas, then their alphas.
void gates(const DeltaNet& w, Tensor beta_alpha, Tensor decay, Tensor beta) {
  const std::int32_t share = w.heads.n_value_heads / w.heads.n_key_heads;
  for (std::int64_t t = 0; t < beta_alpha.rows; ++t) {
    const float* from = beta_alpha.row(t);
    for (std::int32_t h = 0; h < w.heads.n_value_heads; ++h) {
      const std::int32_t at = h / share * 2 * share + h % share;
      const float alpha = from[at + share] + w.dt_bias[h];
      const float softplus = alpha > 20.0f ? alpha : std::log1p(std::exp(alpha));
      beta.row(t)[h] = 1.0f / (1.0f + std::exp(-from[at]));
      decay.row(t)[h] = std::exp(softplus * w.a[h]);
    }
  }
}

/// silu of the convolution of x [n, C] and of the rows before it, which `before` [taps - 1, C] holds and gets anew.
Tensor convolved(Pass& pass, const DeltaNet& w, Tensor before, Tensor x) {
  const std::int64_t n = x.rows, c = x.cols;
  const Tensor rows = pass.ws.tensor(before.rows + n, c), y = pass.ws.tensor(n, c);
  pass.device.copy(rows.rows_at(0, before.rows), before);
  pass.device.copy(rows.rows_at(before.rows, n), x);
  pass.device.copy(before, rows.rows_at(n, before.rows));
  // One block that holds all rows, in order.
  static constexpr std::int32_t kBlock[] = {0};
  const auto n_rows = static_cast<std::int32_t>(rows.rows);
  const KvLayer layer{
      DType::F32, reinterpret_cast<std::byte*>(rows.data), nullptr, n_rows, 1, static_cast<std::int32_t>(c), 0};
  pass.memory.queries.clear();
  for (std::int32_t i = w.taps; i <= n_rows; ++i) pass.memory.queries.push_back({kBlock, {0, i}});
  pass.device.causal_conv(y, layer, pass.memory.queries, w.kernel);
  pass.device.activate(y, y, Activation::silu);
  return y;
}

/// The heads of some columns, each of length `size`.
Tensor unit_heads(Pass& pass, Tensor x, std::int32_t head_dim, float size) {
  const Tensor y = pass.ws.tensor(x.rows, x.cols);
  const auto n = static_cast<float>(head_dim);
  pass.device.copy(y, x);
  pass.device.rms_norm(heads(y, head_dim), heads(y, head_dim), {}, pass.spec.norm_eps * pass.spec.norm_eps / n);
  pass.device.scale(y, y, size / std::sqrt(n));
  return y;
}

/// Rows [begin, end) of one sequence.
void recur(Pass& pass, std::size_t layer, Tensor y, Tensor qkv, Tensor decay, Tensor beta, Tensor state) {
  const auto& w = own<DeltaNet>(pass, layer);
  Workspace::Scope scope(pass.ws);
  const std::int64_t c = w.channels(), before = (w.taps - 1) * c, k = w.keys();
  const Tensor x = convolved(pass, w, state.cols_at(0, before).reshaped(w.taps - 1, c), qkv);
  const float q_size = 1.0f / std::sqrt(static_cast<float>(w.heads.key_dim));
  const Tensor memory = state.cols_at(before, state.cols - before)
                            .reshaped(std::int64_t{w.heads.n_value_heads} * w.heads.key_dim, w.heads.value_dim);
  pass.device.delta_rule(y, unit_heads(pass, x.cols_at(0, k), w.heads.key_dim, q_size),
                         unit_heads(pass, x.cols_at(k, k), w.heads.key_dim, 1.0f), x.cols_at(2 * k, w.values()), decay,
                         beta, memory, w.heads);
}

/// Older files have q, k, and of its value heads v and z, of one key head after the other.
void project_by_heads(Pass& pass, const DeltaNet& w, Tensor qkv, Tensor z, Tensor h) {
  const DeltaHeads& n = w.heads;
  const std::int64_t dk = n.key_dim, dv = std::int64_t{n.n_value_heads} / n.n_key_heads * n.value_dim;
  const Tensor all = pass.ws.tensor(h.rows, w.in.rows);
  pass.device.matmul(all, w.in, h);
  for (std::int64_t i = 0; i < n.n_key_heads; ++i) {
    const Tensor head = all.cols_at(i * 2 * (dk + dv), 2 * (dk + dv));
    pass.device.copy(qkv.cols_at(i * dk, dk), head.cols_at(0, dk));
    pass.device.copy(qkv.cols_at(w.keys() + i * dk, dk), head.cols_at(dk, dk));
    pass.device.copy(qkv.cols_at(2 * w.keys() + i * dv, dv), head.cols_at(2 * dk, dv));
    pass.device.copy(z.cols_at(i * dv, dv), head.cols_at(2 * dk + dv, dv));
  }
}

void delta_net(Pass& pass, std::size_t layer, Tensor& x, Tensor h) {
  const auto& w = own<DeltaNet>(pass, layer);
  Device& device = pass.device;
  const std::int64_t n = h.rows, n_heads = w.heads.n_value_heads;
  const Tensor qkv = pass.ws.tensor(n, w.channels()), z = pass.ws.tensor(n, w.values()),
               ba = pass.ws.tensor(n, 2 * n_heads), decay = pass.ws.tensor(n, n_heads),
               beta = pass.ws.tensor(n, n_heads);
  Tensor y = pass.ws.tensor(n, w.values());
  device.matmul(ba, w.beta_alpha, h);
  if (w.in)
    project_by_heads(pass, w, qkv, z, h);
  else
    device.matmul({{qkv, w.qkv}, {z, w.gate}}, h);
  gates(w, ba, decay, beta);
  for (std::int64_t begin = 0, end = 0; begin < n; begin = end) {
    const kv::SequenceId id = pass.batch.sequences[pass.at.begin + begin];
    while (end < n && pass.batch.sequences[pass.at.begin + end] == id) ++end;
    const auto part = [&](Tensor t) { return t.rows_at(begin, end - begin); };
    recur(pass, layer, part(y), part(qkv), part(decay), part(beta), pass.cache.state(layer, id));
  }
  const Tensor gate = pass.kept(layer, z);
  pass.keep(layer, x, y);
  if (x.rows == 0) return;
  device.rms_norm(heads(y, w.heads.value_dim), heads(y, w.heads.value_dim), w.norm, pass.spec.norm_eps);
  device.activate(gate, gate, Activation::silu);
  device.multiply(y, y, gate);
  pass.add_residual(x, w.out, {}, {}, y);
}

/// attn_q gives each head's query and, behind it, the gate of its result.
void gated_attention(Pass& pass, std::size_t layer, Tensor& x, Tensor h) {
  const LayerSpec& s = pass.spec.layers[layer];
  const LayerWeights& w = pass.model.layers[layer];
  Device& device = pass.device;
  const std::int64_t n = h.rows, q_cols = std::int64_t{s.n_heads} * s.key_dim;
  const Tensor both = pass.ws.tensor(n, 2 * q_cols), k = pass.ws.tensor(n, std::int64_t{s.n_kv_heads} * s.key_dim),
               v = pass.ws.tensor(n, std::int64_t{s.n_kv_heads} * s.value_dim), gate = pass.ws.tensor(n, q_cols);
  Tensor q = pass.ws.tensor(n, q_cols);
  device.matmul({{both, w.q}, {k, w.k}, {v, w.v}}, h);
  device.copy(heads(q, s.key_dim), heads(both, 2 * s.key_dim).cols_at(0, s.key_dim));
  device.copy(heads(gate, s.key_dim), heads(both, 2 * s.key_dim).cols_at(s.key_dim, s.key_dim));
  norm_heads(pass, w.q_norm, w.head_norm, q, s.key_dim);
  norm_heads(pass, w.k_norm, w.head_norm, k, s.key_dim);
  pass.rotate(q, s.key_dim, s);
  pass.rotate(k, s.key_dim, s);
  pass.store(layer, k, v);
  const Tensor g = pass.kept(layer, gate);
  pass.keep(layer, x, q);
  if (x.rows == 0) return;
  const Tensor a = pass.attend(layer, q);
  device.activate(g, g, Activation::sigmoid);
  device.multiply(a, a, g);
  pass.add_residual(x, w.o, {}, {}, a);
}

/// The delta rule's shape, from the keys of state space models.
DeltaNet shape(const Facts& f) {
  DeltaNet w;
  w.taps = f.integer("ssm.conv_kernel", 2, 64);
  w.heads.key_dim = f.integer("ssm.state_size", 1, kMaxHeadDim);
  w.heads.n_key_heads = f.integer("ssm.group_count", 1, kMaxHeads);
  w.heads.n_value_heads = f.integer("ssm.time_step_rank", 1, kMaxHeads);
  if (w.heads.n_value_heads % w.heads.n_key_heads != 0)
    f.reject("ssm.time_step_rank", fmt::format("{}", w.heads.n_value_heads),
             fmt::format("a multiple of ssm.group_count {}", w.heads.n_key_heads));
  const std::int32_t inner = f.integer("ssm.inner_size", 1, kMaxWidth);
  if (inner % w.heads.n_value_heads != 0)
    f.reject("ssm.inner_size", fmt::format("{}", inner),
             fmt::format("a multiple of ssm.time_step_rank {}", w.heads.n_value_heads));
  w.heads.value_dim = inner / w.heads.n_value_heads;
  if (w.channels() > kMaxWidth)
    f.reject("ssm.state_size", fmt::format("{}", w.heads.key_dim), "heads that make up at most 2^20 channels");
  return w;
}

DecoderSpec describe(const Facts& f) {
  DecoderSpec s = transformer(f, RopePairs::halves);
  mixture(f, s, "expert_feed_forward_length");
  if (s.layers[0].key_dim != s.layers[0].value_dim)
    f.reject("attention.value_length", fmt::format("{}", s.layers[0].value_dim),
             fmt::format("attention.key_length {}", s.layers[0].key_dim));
  const DeltaNet w = shape(f);
  const std::int64_t memory = std::int64_t{w.heads.n_value_heads} * w.heads.key_dim * w.heads.value_dim;
  const std::int32_t interval = f.integer_or("full_attention_interval", 1, kMaxLayers, 4);
  for (std::int32_t i = 0; i < s.n_layers; ++i)
    if ((i + 1) % interval != 0) s.layers[i].state_floats = (w.taps - 1) * w.channels() + memory;
  return s;
}

void load_delta_net(const Layer& l, const DeltaNet& like) {
  const std::int64_t d = l.model.n_embd, n = like.heads.n_value_heads;
  auto w = std::make_unique<DeltaNet>();
  w->heads = like.heads;
  w->taps = like.taps;
  if (l.has("attn_qkv.weight") || l.has("attn_gate.weight")) {
    w->qkv = l.matrix("attn_qkv.weight", like.channels(), d);
    w->gate = l.matrix("attn_gate.weight", like.values(), d);
  } else {
    w->in = l.matrix("ssm_in.weight", like.channels() + like.values(), d);
  }
  w->beta_alpha = l.matrix("ssm_ba.weight", 2 * n, d);
  w->out = l.matrix("ssm_out.weight", d, like.values());
  w->kernel = l.values("ssm_conv1d.weight", {like.channels(), like.taps});
  w->dt_bias = l.vector("ssm_dt.bias", n);
  w->a = l.vector("ssm_a", n);
  w->norm = l.vector("ssm_norm.weight", like.heads.value_dim);
  l.w.mix = delta_net;
  l.w.own = std::move(w);
}

void load_gated_attention(const Layer& l) {
  const std::int64_t d = l.model.n_embd, q = std::int64_t{l.spec.n_heads} * l.spec.key_dim,
                     kv = std::int64_t{l.spec.n_kv_heads} * l.spec.key_dim;
  l.w.q = l.matrix("attn_q.weight", 2 * q, d);
  l.w.k = l.matrix("attn_k.weight", kv, d);
  l.w.v = l.matrix("attn_v.weight", kv, d);
  l.w.o = l.matrix("attn_output.weight", d, q);
  head_norms(l);
  l.w.mix = gated_attention;
}

void load(Model& m, gguf::Weights& weights) {
  const DeltaNet like = shape(Facts(weights.file(), m.spec.n_ctx));
  embeddings(m, weights);
  for (const Layer& l : layers(m, weights)) {
    l.w.attn_norm = l.norm("attn_norm");
    l.w.ffn_norm = l.norm("post_attention_norm");
    if (l.spec.state_floats > 0)
      load_delta_net(l, like);
    else
      load_gated_attention(l);
    if (!l.spec.moe) {
      feed_forward(l, Bias::none);
      continue;
    }
    mixture(l);
    if (l.model.n_ff_shared > 0) l.w.shared_router = l.matrix("ffn_gate_inp_shexp.weight", 1, l.model.n_embd);
  }
}

}  // namespace

extern const Architecture qwen3next{"qwen3next", describe, load, Verified::library};

}  // namespace mtmd::decoder::arch
