// The router of a mixture of experts.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/tensor/tensor.h"

namespace mtmd::decoder {

/// Mixtral's (arXiv:2401.04088): softmax over all experts, the `n_used` most likely ones (the lower index among
/// equals), their probabilities renormalised to sum 1 and multiplied by `scale`. logits: [tokens, experts]; results:
/// [tokens, n_used].
void route(Tensor logits, std::int32_t n_used, float scale, std::vector<std::int32_t>& experts,
           std::vector<float>& weights);

}  // namespace mtmd::decoder
