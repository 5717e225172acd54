// What the recipes ask about a model, and which tensors they leave alone.
#include <algorithm>
#include <array>

#include "engine/base/error.h"
#include "mtmd/quantize/recipe.h"

namespace mtmd::quantize {
namespace {

/// Of layer 0 when there is one number per layer.
std::int64_t number(const gguf::Metadata& m, const std::string& key, std::int64_t otherwise) {
  const gguf::Value* v = m.find(key);
  if (!v || v->size() == 0) return otherwise;
  const auto n = v->as_integer(0);
  if (!n || *n < 0 || *n > 1 << 20)
    fail(ErrorCategory::model, "{}: {}: expected a number from 0 to 2^20", m.file(), key);
  return *n;
}

// Small next to the rest, and sensitive: norms, gates, positions, mixing vectors, convolutions, codebooks.
constexpr std::array<std::string_view, 35> kLeftAlone = {
    "_norm.weight",
    "ffn_gate_inp.weight",
    "ffn_gate_tid2eid.weight",
    "altup",
    "laurel",
    "per_layer_model_proj",
    "ssm_conv1d",
    "shortconv.conv.weight",
    "indexer.k_proj.weight",
    "indexer.q_proj.weight",
    "time_mix_first.weight",
    "time_mix_w0.weight",
    "time_mix_w1.weight",
    "time_mix_w2.weight",
    "time_mix_v0.weight",
    "time_mix_v1.weight",
    "time_mix_v2.weight",
    "time_mix_a0.weight",
    "time_mix_a1.weight",
    "time_mix_a2.weight",
    "time_mix_g1.weight",
    "time_mix_g2.weight",
    "time_mix_decay_w1.weight",
    "time_mix_decay_w2.weight",
    "time_mix_lerp_fused.weight",
    "attn_rel_b.weight",
    ".position_embd",
    "sam.pos_embd",
    "sam.neck.",
    "sam.net_",
    ".rel_pos",
    ".patch_embd",
    ".patch_merger",
    "rvq.codebook",
    "code_embd",
};

}  // namespace

ModelFacts facts_of(const gguf::File& file) {
  const gguf::Metadata& m = file.metadata();
  ModelFacts f;
  f.architecture = m.require<std::string_view>("general.architecture");
  const std::string& a = f.architecture;
  f.n_layer = number(m, a + ".block_count", 0);
  f.n_head = number(m, a + ".attention.head_count", 0);
  f.n_head_kv = number(m, a + ".attention.head_count_kv", f.n_head);
  f.n_expert = number(m, a + ".expert_count", 0);
  f.mmproj = a == "clip";
  f.has_output = file.find("output.weight") != nullptr;
  return f;
}

bool allows_quantization(const TensorFacts& t, const ModelFacts&, bool leave_output) {
  // Leading dimensions of 1 do not count: [1, n] is a vector.
  const auto matrix = std::ranges::find_if(t.shape, [](std::int64_t d) { return d > 1; });
  if (t.shape.end() - matrix < 2 || !t.name.ends_with("weight")) return false;
  if (t.name == "position_embd.weight" || t.name == "token_types.weight") return false;
  if (leave_output && t.name == "output.weight") return false;
  return std::ranges::none_of(kLeftAlone, [&](std::string_view part) { return t.name.find(part) != t.name.npos; });
}

}  // namespace mtmd::quantize
