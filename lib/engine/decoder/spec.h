// What an architecture file says about a model: facts only, in the paper's terms. `mtmd inspect` prints it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/device/device.h"
#include "engine/device/rope_table.h"

namespace mtmd::decoder {

/// Facts of one layer; most models have the same for all.
struct LayerSpec {
  std::int32_t n_heads = 0, n_kv_heads = 0, key_dim = 0, value_dim = 0;
  std::int32_t n_ff = 0;    ///< width of the feed-forward block, of one expert when `moe`
  std::int32_t window = 0;  ///< sliding window in tokens, itself included; 0: full
  std::int32_t rope = 0;    ///< index into DecoderSpec::ropes; -1: no rotary embedding
  bool moe = false;
};

struct DecoderSpec {
  std::string architecture;
  std::int32_t n_vocab = 0, n_embd = 0, n_layers = 0;
  std::int32_t n_ctx_train = 0;       ///< the longest context the model was trained on
  std::int32_t n_ctx = 0;             ///< the context asked for
  std::int32_t n_predict_layers = 0;  ///< blocks behind the layers that predict later tokens; not used
  float norm_eps = 1e-5f;
  Activation activation = Activation::silu;
  std::vector<LayerSpec> layers;
  std::vector<RopeSpec> ropes;
  bool mrope = false;            ///< positions have several axes; an image advances by max(rows, columns)
  float embedding_scale = 1.0f;  ///< token embeddings times this
  float attention_scale = 0.0f;  ///< 0: 1/sqrt(key_dim)
  float attention_softcap = 0.0f, logit_softcap = 0.0f;
  float residual_scale = 1.0f, logit_scale = 1.0f;
  /// Q at position p times 1 + this * ln(1 + floor(p / temperature_context)); 0: off.
  float attention_temperature = 0.0f;
  std::int32_t temperature_context = 0;
  std::int32_t n_experts = 0, n_experts_used = 0;
  /// An embedding row carries n_embd more columns for each of the first layers, added to what they put out.
  std::int32_t n_deepstack = 0;
  bool tied_output = false;
  bool image_block_sees_itself = false;  ///< attention over an image chunk is not causal (gemma3)
};

}  // namespace mtmd::decoder
