// A decoder in memory: its facts and its weights, and the helpers with which architecture files name them.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/verified.h"
#include "engine/decoder/facts.h"
#include "engine/decoder/spec.h"
#include "engine/gguf/weights.h"

namespace mtmd::decoder {

struct Pass;

/// One half of a layer. x [rows, n_embd]: the residual stream, to which the half adds its answer to h, the norm of x.
/// The half that mixes tokens leaves only the wanted rows of x in the last layer (Pass::keep).
using Block = void (*)(Pass& pass, std::size_t layer, Tensor& x, Tensor h);

/// The skeleton's own halves: grouped-query attention; a feed-forward block or a mixture of experts.
void attention_block(Pass& pass, std::size_t layer, Tensor& x, Tensor h);
void feed_forward_block(Pass& pass, std::size_t layer, Tensor& x, Tensor h);

/// Weights that only a block in an architecture file knows.
struct OwnWeights {
  virtual ~OwnWeights() = default;
};

/// Parameters of a norm [d]; no weight: no norm. The bias belongs to layer norms, where it may be missing.
struct Norm {
  Vector weight, bias;
  bool empty() const noexcept { return weight.empty(); }
};

/// Weights of one layer; what a model does not have is empty. d: n_embd, H: n_heads, G: n_kv_heads, k, v: key_dim,
/// value_dim.
struct LayerWeights {
  Block mix = attention_block, feed_forward = feed_forward_block;
  Norm attn_norm;     ///< [d]
  Weight q, k, v, o;  ///< [H k, d], [G k, d], [G v, d], [d, H v]
  Vector q_bias, k_bias, v_bias, o_bias;
  HeadNorm head_norm = HeadNorm::none;
  Vector q_norm, k_norm;  ///< [k] (each), [H k] and [G k] (own, row), none (plain)
  Vector sinks;           ///< [H]: see AttentionOptions
  Norm post_attn_norm;    ///< [d]: of the attention's output, before it joins the residual
  Norm ffn_norm;          ///< [d]
  Weight gate, up, down;  ///< [ff, d] (none: not gated), [ff, d], [d, ff]
  Vector gate_bias, up_bias, down_bias;
  Weight router;                       ///< [experts, d]
  Vector router_bias, selection_bias;  ///< [experts]: of the scores; of their order only
  Vector expert_scales;                ///< [experts]: factors of the experts' outputs
  MoeWeights experts;
  Weight shared_gate, shared_up, shared_down, shared_router;  ///< [ff, d], [ff, d], [d, ff], [1, d]
  Norm post_ffn_norm;                                         ///< [d]
  std::unique_ptr<OwnWeights> own;
};

struct Model {
  DecoderSpec spec;
  Weight token_embd, output;  ///< [vocabulary, d]; the same when tied
  Vector output_bias;         ///< [vocabulary]
  Norm output_norm;           ///< [d]
  std::vector<LayerWeights> layers;
  /// Called with the embeddings of each micro-batch, before the first layer.
  void (*prepare)(Pass& pass, Tensor x) = nullptr;
  std::unique_ptr<OwnWeights> own;
};

/// One architecture: a file in arch/ and a word in CMakeLists.txt.
struct Architecture {
  std::string_view name;  ///< GGUF's general.architecture
  DecoderSpec (*describe)(const Facts& facts);
  /// Fetches every weight with the shape it must have; `model.spec` is filled in already.
  void (*load)(Model& model, gguf::Weights& weights);
  Verified verified = Verified::recorded;
};

/// Throws Error(model), listing what is supported, when there is none of this name.
const Architecture& find_architecture(const gguf::File& file);

/// Layer i being loaded: tensor names are completed to "blk.<i>.<name>".
struct Layer {
  gguf::Weights& weights;
  const DecoderSpec& model;
  const LayerSpec& spec;
  LayerWeights& w;
  std::int32_t index;

  std::string name(std::string_view tensor) const { return "blk." + std::to_string(index) + "." + std::string(tensor); }
  bool has(std::string_view tensor) const { return weights.has(name(tensor)); }
  Weight matrix(std::string_view tensor, std::int64_t out, std::int64_t in) const;
  Vector vector(std::string_view tensor, std::int64_t n) const { return weights.vector(name(tensor), n); }
  Vector vector_if(std::string_view tensor, std::int64_t n) const { return weights.vector_if(name(tensor), n); }
  /// Of any shape, flattened.
  Vector values(std::string_view tensor, std::initializer_list<std::int64_t> shape) const {
    return weights.values(name(tensor), shape);
  }
  /// NAME.weight, and NAME.bias where the model's norms are layer norms and it has one.
  Norm norm(std::string_view tensor) const;
  Norm norm_if(std::string_view tensor) const;
};
std::vector<Layer> layers(Model& model, gguf::Weights& weights);

enum class Bias { none, required, optional };

/// token_embd, `norm` (the last one), and output unless tied.
void embeddings(Model& m, gguf::Weights& weights, std::string_view norm = "output_norm");
/// Per pair frequency divisors stored as a tensor [n_dims / 2]; none when the file lacks it.
std::vector<float> frequency_factors(gguf::Weights& weights, std::string_view tensor, const RopeSpec& rope);
/// attn_norm and ffn_norm, before each half of the layer.
void norms(const Layer& l);
/// post_attention_norm and post_ffw_norm, behind each half.
void post_norms(const Layer& l);
/// attn_q, attn_k, attn_v with `qkv` bias, attn_output with `out` bias; or attn_qkv, the first three stacked.
void attention(const Layer& l, Bias qkv, Bias out);
/// attn_qkv and attn_output only.
void fused_attention(const Layer& l, Bias qkv, Bias out);
/// attn_q_norm, attn_k_norm.
void head_norms(const Layer& l, HeadNorm kind = HeadNorm::each);
/// ffn_gate, ffn_up, ffn_down (SwiGLU and its relatives, arXiv:2002.05202).
void feed_forward(const Layer& l, Bias bias);
/// The same with gate and up stacked in one matrix ffn_up.
void fused_feed_forward(const Layer& l);
/// ffn_up, ffn_down and an activation between them.
void ungated_feed_forward(const Layer& l, Bias bias);
/// ffn_gate_inp (the router), ffn_gate_exps, ffn_up_exps (or ffn_gate_up_exps, both stacked), ffn_down_exps.
void experts(const Layer& l);
/// The same, and ffn_gate_shexp, ffn_up_shexp, ffn_down_shexp when there is a shared expert; exp_probs_b.bias when
/// there is a bias on the choice.
void mixture(const Layer& l);

/// What the plainest architectures say about their weights.
struct Plain {
  Bias qkv = Bias::none, out = Bias::none, feed_forward = Bias::none;
  bool head_norms = false, post_norms = false;
};
/// All weights: embeddings, rope_freqs where the file has them, and per layer norms, attention and a gated feed-forward
/// block or a mixture.
void load_plain(Model& m, gguf::Weights& weights, const Plain& plain);

}  // namespace mtmd::decoder
