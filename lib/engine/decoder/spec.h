// What an architecture file says about a model: facts only, in the paper's terms. `mtmd inspect` prints it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/device/device.h"
#include "engine/device/rope_table.h"

namespace mtmd::decoder {

enum class NormKind {
  rms,    ///< arXiv:1910.07467
  layer,  ///< arXiv:1607.06450, with or without bias
};

/// What of q and k is normed before the attention.
enum class HeadNorm {
  none,
  each,   ///< every head, the same weights for all
  own,    ///< every head, with weights of its own
  row,    ///< all heads of a token together
  plain,  ///< every head, without weights
};

/// How a router's scores become weights.
enum class Gating {
  softmax,         ///< over all experts
  sigmoid,         ///< each expert by itself
  chosen_softmax,  ///< over the experts that are used
};

/// Facts of one layer; most models have the same for all.
struct LayerSpec {
  std::int32_t n_heads = 0, n_kv_heads = 0, key_dim = 0, value_dim = 0;
  std::int32_t n_ff = 0;    ///< width of the feed-forward block, of one expert when `moe`
  std::int32_t window = 0;  ///< sliding window in tokens, itself included; 0: full
  bool chunked = false;     ///< the window does not slide: a token sees back to the last multiple of `window`
  std::int32_t rope = 0;    ///< index into DecoderSpec::ropes; -1: no rotary embedding
  bool moe = false;
  bool tempered = true;        ///< DecoderSpec::attention_temperature holds here
  std::int32_t kv_layer = -1;  ///< the earlier layer whose keys and values it uses; -1: its own
  /// Values per token that a mixer which is no attention keeps in the cache; 0: keys and values.
  std::int32_t state_cols = 0;
  std::int64_t state_floats = 0;  ///< the same per sequence, for a recurrence
};

struct DecoderSpec {
  std::string architecture;
  std::int32_t n_vocab = 0, n_embd = 0, n_layers = 0;
  std::int32_t n_ctx_train = 0;       ///< the longest context the model was trained on
  std::int32_t n_ctx = 0;             ///< the context asked for
  std::int32_t n_predict_layers = 0;  ///< blocks behind the layers that predict later tokens; not used
  NormKind norm = NormKind::rms;
  float norm_eps = 1e-5f;
  Activation activation = Activation::silu;
  std::vector<LayerSpec> layers;
  std::vector<RopeSpec> ropes;
  bool mrope = false;            ///< positions have several axes; an image advances by max(rows, columns)
  bool parallel = false;         ///< attention and feed-forward block read the same x (GPT-J)
  float embedding_scale = 1.0f;  ///< token embeddings times this
  float attention_scale = 0.0f;  ///< 0: 1/sqrt(key_dim)
  float attention_softcap = 0.0f, logit_softcap = 0.0f;
  float residual_scale = 1.0f, logit_scale = 1.0f;
  float qkv_clamp = 0.0f;              ///< q, k and v within -this .. this; 0: as they are
  bool rotated_before_norm = false;    ///< q and k are rotated first, then normed
  bool normed_values = false;          ///< the heads of v are RMS-normed, without weights
  float attention_temperature = 0.0f;  ///< q at position p times 1 + this * ln(1 + floor((p + offset) / context))
  std::int32_t temperature_context = 0, temperature_offset = 0;
  std::int32_t n_experts = 0, n_experts_used = 0;
  Gating gating = Gating::softmax;
  bool normalised_experts = true;  ///< the weights of a token's experts sum to 1
  float expert_scale = 1.0f;       ///< and are multiplied by this
  /// The experts stand in groups; only those of the best groups may be used (arXiv:2412.19437). 0: no groups.
  std::int32_t n_expert_groups = 0, n_expert_groups_used = 0;
  bool weighed_before_experts = false;  ///< an expert's weight multiplies its input instead of its output
  std::int32_t n_ff_shared = 0;         ///< width of the expert that every token uses besides; 0: none
  /// An embedding row carries n_embd more columns for each of the first layers, added to what they put out.
  std::int32_t n_deepstack = 0;
  bool tied_output = false;
  bool image_block_sees_itself = false;  ///< attention over an image chunk is not causal (gemma3)
};

}  // namespace mtmd::decoder
