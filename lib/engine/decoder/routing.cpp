#include "engine/decoder/routing.h"

#include <algorithm>
#include <cmath>

namespace mtmd::decoder {
namespace {

bool contains(const std::int32_t* first, std::int32_t n, std::int32_t e) {
  return std::find(first, first + n, e) != first + n;
}

}  // namespace

void route(Tensor logits, std::int32_t n_used, float scale, std::vector<std::int32_t>& experts,
           std::vector<float>& weights) {
  experts.resize(static_cast<std::size_t>(logits.rows * n_used));
  weights.resize(experts.size());
  for (std::int64_t t = 0; t < logits.rows; ++t) {
    const float* row = logits.row(t);
    std::int32_t* chosen = experts.data() + t * n_used;
    float* weight = weights.data() + t * n_used;
    for (std::int32_t j = 0; j < n_used; ++j) {
      std::int32_t best = -1;  // also with NaNs everywhere some expert is chosen; the NaN shows in the result
      for (std::int32_t e = 0; e < logits.cols; ++e)
        if ((best < 0 || row[e] > row[best]) && !contains(chosen, j, e)) best = e;
      chosen[j] = best;
    }
    // The softmax's own denominator cancels in the renormalisation.
    float sum = 0.0f;
    for (std::int32_t j = 0; j < n_used; ++j) sum += weight[j] = std::exp(row[chosen[j]] - row[chosen[0]]);
    for (std::int32_t j = 0; j < n_used; ++j) weight[j] *= scale / sum;
  }
}

}  // namespace mtmd::decoder
