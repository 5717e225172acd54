// The router of a mixture of experts.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/decoder/spec.h"
#include "engine/tensor/tensor.h"

namespace mtmd::decoder {

/// Which experts the tokens use and how much each counts; kept between calls for its memory.
struct Routed {
  std::vector<std::int32_t> experts;  ///< [tokens, n_experts_used]
  std::vector<float> weights;         ///< the same
  std::vector<float> order;           ///< of one token: what its experts are sorted by
};

/// From the scores [tokens, n_experts], which are overwritten: probabilities by `spec.gating`; the n_experts_used best
/// experts (the lower index among equals) by probability plus `selection_bias` (empty: none), within the best groups
/// where there are groups, a group being as good as its best two together (arXiv:2412.19437); their probabilities,
/// normalised to sum 1 if the spec says so, times expert_scale. Softmax and normalised is Mixtral's router
/// (arXiv:2401.04088).
void route(Tensor scores, const DecoderSpec& spec, Vector selection_bias, Routed& routed);

}  // namespace mtmd::decoder
