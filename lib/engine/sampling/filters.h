// The truncating filters of the sampling chain. Each works on candidates in a fixed order of its own making, so that
// the result does not depend on the standard library's algorithms.
#pragma once

#include <cstdint>
#include <vector>

namespace mtmd::sampling {

struct Candidate {
  std::int32_t token;
  float logit;    ///< finite or -infinity
  double weight;  ///< exp(logit - largest logit); scratch of the filters
};
using Candidates = std::vector<Candidate>;

/// e^x for x <= 0 from additions and multiplications only: the same bits on every machine. Relative error below 1e-15.
double exp_negative(double x) noexcept;

/// All of these keep at least one candidate.
/// The k likeliest, best first, equal logits by token.
void keep_top_k(Candidates& candidates, std::size_t k);
/// The likeliest ones, best first, until their probabilities reach p (Holtzman et al. 2019, arXiv:1904.09751).
void keep_top_p(Candidates& candidates, double p);
/// Those at least `share` times as likely as the likeliest (arXiv:2407.01082); order unchanged.
void keep_min_p(Candidates& candidates, double share);
/// Those whose surprise is closest to the entropy, until their probabilities exceed p (Meister et al. 2022,
/// arXiv:2202.00666).
void keep_typical(Candidates& candidates, double p);

/// The candidate at `u` in [0, 1) of the cumulative distribution of softmax(logit / temperature).
std::int32_t pick(Candidates& candidates, double temperature, double u);

}  // namespace mtmd::sampling
