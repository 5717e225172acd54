#include <fmt/core.h>

#include "bench/tensor_list.h"

namespace mtmd::bench {

MadeModel made_text(const TextShape& s) {
  MadeModel m;
  gguf::Writer& w = m.writer;
  const std::string arch(s.arch);
  const auto key = [&](const char* name) { return arch + "." + name; };
  w.set("general.architecture", s.arch);
  w.set("general.type", "model");
  w.set("general.name", "random weights");
  w.set(key("vocab_size"), s.n_vocab);
  w.set(key("context_length"), s.n_ctx);
  w.set(key("embedding_length"), s.n_embd);
  w.set(key("block_count"), s.n_layer);
  w.set(key("feed_forward_length"), s.n_ff);
  w.set(key("attention.head_count"), s.n_head);
  w.set(key("attention.head_count_kv"), s.n_head_kv);
  w.set(key("attention.layer_norm_rms_epsilon"), 1e-6f);
  w.set(key("attention.key_length"), s.head_dim);
  w.set(key("attention.value_length"), s.head_dim);
  w.set(key("rope.dimension_count"), s.head_dim);
  w.set(key("rope.freq_base"), s.rope_base);
  if (!s.sections.empty()) w.set(key("rope.dimension_sections"), std::span(s.sections));
  if (s.sliding_window > 0) w.set(key("attention.sliding_window"), s.sliding_window);

  const DType f16 = DType::F16;  // before the types are chosen
  const std::int64_t e = s.n_embd, ff = s.n_ff, q = std::int64_t{s.n_head} * s.head_dim, kv = std::int64_t{s.n_head_kv} * s.head_dim;
  m.matrix("token_embd.weight", {s.n_vocab, e}, f16);
  m.norm("output_norm.weight", e);
  if (s.rope_factors) m.tensors.push_back({"rope_freqs.weight", DType::F32, {s.head_dim / 2}, 1, 0});
  for (std::uint32_t i = 0; i < s.n_layer; ++i) {
    const std::string b = fmt::format("blk.{}.", i);
    m.norm(b + "attn_norm.weight", e);
    m.matrix(b + "attn_q.weight", {q, e}, f16);
    m.matrix(b + "attn_k.weight", {kv, e}, f16);
    m.matrix(b + "attn_v.weight", {kv, e}, f16);
    if (s.qkv_bias) {
      m.bias(b + "attn_q.bias", q);
      m.bias(b + "attn_k.bias", kv);
      m.bias(b + "attn_v.bias", kv);
    }
    if (s.qk_norm) {
      m.norm(b + "attn_q_norm.weight", s.head_dim);
      m.norm(b + "attn_k_norm.weight", s.head_dim);
    }
    m.matrix(b + "attn_output.weight", {e, q}, f16);
    if (s.post_norms) m.norm(b + "post_attention_norm.weight", e);
    m.norm(b + "ffn_norm.weight", e);
    m.matrix(b + "ffn_gate.weight", {ff, e}, f16);
    m.matrix(b + "ffn_up.weight", {ff, e}, f16);
    m.matrix(b + "ffn_down.weight", {e, ff}, f16);
    if (s.post_norms) m.norm(b + "post_ffw_norm.weight", e);
  }
  return m;
}

}  // namespace mtmd::bench
