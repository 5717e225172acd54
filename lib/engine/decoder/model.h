// A decoder in memory: its facts and its weights, and the helpers with which architecture files name them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/decoder/facts.h"
#include "engine/decoder/spec.h"
#include "engine/gguf/weights.h"

namespace mtmd::decoder {

/// Weights of one layer; what a model does not have is empty. d: n_embd, H: n_heads, G: n_kv_heads, k, v: key_dim,
/// value_dim.
struct LayerWeights {
  Vector attn_norm;   ///< [d]
  Weight q, k, v, o;  ///< [H k, d], [G k, d], [G v, d], [d, H v]
  Vector q_bias, k_bias, v_bias, o_bias;
  Vector q_norm, k_norm;  ///< [k]: RMS norm of every head, before the rotation
  Vector post_attn_norm;  ///< [d]: of the attention's output, before it joins the residual
  Vector ffn_norm;        ///< [d]
  Weight gate, up, down;  ///< [ff, d], [ff, d], [d, ff]
  Vector gate_bias, up_bias, down_bias;
  Weight router;  ///< [experts, d]
  MoeWeights experts;
  Vector post_ffn_norm;  ///< [d]
};

struct Model {
  DecoderSpec spec;
  Weight token_embd, output;  ///< [vocabulary, d]; the same when tied
  Vector output_norm;         ///< [d]
  std::vector<LayerWeights> layers;
};

/// One architecture: a file in arch/ and a word in CMakeLists.txt.
struct Architecture {
  std::string_view name;  ///< GGUF's general.architecture
  DecoderSpec (*describe)(const Facts& facts);
  /// Fetches every weight with the shape it must have; `model.spec` is filled in already.
  void (*load)(Model& model, gguf::Weights& weights);
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
  Weight matrix(std::string_view tensor, std::int64_t out, std::int64_t in) const;
  Vector vector(std::string_view tensor, std::int64_t n) const { return weights.vector(name(tensor), n); }
  Vector vector_if(std::string_view tensor, std::int64_t n) const { return weights.vector_if(name(tensor), n); }
};
std::vector<Layer> layers(Model& model, gguf::Weights& weights);

enum class Bias { none, required, optional };

/// token_embd, output_norm, and output unless tied.
void embeddings(Model& m, gguf::Weights& weights);
/// Per pair frequency divisors stored as a tensor [n_dims / 2]; none when the file lacks it.
std::vector<float> frequency_factors(gguf::Weights& weights, std::string_view tensor, const RopeSpec& rope);
/// attn_norm and ffn_norm, before each half of the layer.
void norms(const Layer& l);
/// attn_q, attn_k, attn_v with `qkv` bias, attn_output with `out` bias.
void attention(const Layer& l, Bias qkv, Bias out);
/// The same with q, k and v stacked in one matrix attn_qkv.
void fused_attention(const Layer& l);
/// attn_q_norm, attn_k_norm.
void head_norms(const Layer& l);
/// ffn_gate, ffn_up, ffn_down (SwiGLU and its relatives, arXiv:2002.05202).
void feed_forward(const Layer& l, Bias bias);
/// The same with gate and up stacked in one matrix ffn_up.
void fused_feed_forward(const Layer& l);
/// ffn_gate_inp (the router), ffn_gate_exps, ffn_up_exps, ffn_down_exps.
void mixture(const Layer& l);

}  // namespace mtmd::decoder
