#include "mtmd/quality/evaluator.h"

namespace mtmd::quality {

Evaluator::Evaluator(const gguf::File& model, Device& device, Windows windows, const ReaderOptions& options)
    : windows_(std::move(windows)),
      device_(device, model),
      reader_(model, device_, options),
      pool_(device.info().threads) {
  for (std::int32_t w = 0; w < windows_.size(); ++w)
    reader_.read(
        windows_.input(w), windows_.first_scored(), false,
        [&](Tensor logits, std::int32_t) { base_.insert(base_.end(), logits.data, logits.data + logits.size()); }, {});
}

DivergenceReport Evaluator::measure() {
  Divergence result;
  std::vector<TokenDivergence> tokens;
  const float* base = base_.data();
  for (std::int32_t w = 0; w < windows_.size(); ++w) {
    const auto original = windows_.original(w);
    const auto score = [&](Tensor logits, std::int32_t first) {
      tokens.resize(static_cast<std::size_t>(logits.rows));
      const auto n = static_cast<std::size_t>(logits.cols);
      pool_.parallel_for(logits.rows, [&](std::int64_t r) {
        tokens[static_cast<std::size_t>(r)] =
            divergence({logits.row(r), n}, std::span<const float>(base + r * logits.cols, n),
                       original[static_cast<std::size_t>(first + r) + 1]);
      });
      for (const TokenDivergence& t : tokens) result.add(t);
      base += logits.size();
    };
    reader_.read(windows_.input(w), windows_.first_scored(), false, score, {});
  }
  return result.report();
}

}  // namespace mtmd::quality
