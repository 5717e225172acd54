#include "engine/decoder/tiny_model.h"

namespace mtmd::test::tiny {
namespace {

constexpr std::int64_t kExperts = 5, kFf = 32;

void build(TinyModel& m) {
  const std::int64_t d = m.sizes.n_embd;
  m.set("attention.sliding_window", std::uint32_t{9});
  m.set("expert_count", static_cast<std::uint32_t>(kExperts));
  m.set("expert_used_count", std::uint32_t{2});
  m.set("expert_feed_forward_length", static_cast<std::uint32_t>(kFf));
  m.set("rope.scaling.type", "yarn");
  m.set("rope.scaling.factor", 8.0f);
  m.set("rope.scaling.original_context_length", std::uint32_t{16});
  m.embeddings();
  for (std::int32_t i = 0; i < m.sizes.n_layers; ++i) {
    m.norm(m.block(i, "attn_norm"), d);
    m.attention(i, true, true);
    m.tensor(m.block(i, "attn_sinks.weight"), {m.sizes.n_heads}, 1.0f);
    m.norm(m.block(i, "post_attention_norm"), d);
    m.matrix(m.block(i, "ffn_gate_inp"), kExperts, d, 2.0f);
    m.bias(m.block(i, "ffn_gate_inp"), kExperts);
    m.experts(m.block(i, "ffn_gate_exps"), kExperts, kFf, d, 4.0f);  // some beyond the clamp
    m.experts(m.block(i, "ffn_up_exps"), kExperts, kFf, d, 4.0f);
    m.experts(m.block(i, "ffn_down_exps"), kExperts, d, kFf, 0.3f);
    m.tensor(m.block(i, "ffn_gate_exps.bias"), {kExperts, kFf}, 0.3f);
    m.tensor(m.block(i, "ffn_up_exps.bias"), {kExperts, kFf}, 0.3f);
    m.tensor(m.block(i, "ffn_down_exps.bias"), {kExperts, d}, 0.3f);
  }
}

}  // namespace

extern const TinyCase gpt_oss{
    "gpt_oss",
    build,
    "gpt-oss",
    {.n_layers = 4},
    {{0,
      {0.998764515f, 1.52546549f, -0.872975826f, 3.68159342f, -7.34034157f, 4.09039164f, -5.24562073f, -1.24477935f}},
     {17, {-2.24551105f, 4.0939703f, -1.97071266f, 1.69224989f, 1.68291402f, -2.687778f, -1.82197094f, -0.990243435f}},
     {39,
      {0.326984644f, -0.0938999653f, -3.13067675f, -1.61506331f, 5.2542448f, 0.415861845f, 1.85132706f,
       -0.944765687f}}}};

}  // namespace mtmd::test::tiny
