#include "mtmd/quality/evaluator.h"

namespace mtmd::quality {

Evaluator::Evaluator(const gguf::File& model, Device& device, Windows windows, std::vector<Passage> passages,
                     const ReaderOptions& options)
    : windows_(std::move(windows)),
      passages_(std::move(passages)),
      options_(options),
      device_(device, model),
      reader_(model, device_, options),
      pool_(device.info().threads) {
  read([&](Tensor logits, std::span<const Token>) {
    base_.insert(base_.end(), logits.data, logits.data + logits.size());
  });
}

void Evaluator::read(const Score& score) {
  for (std::int32_t w = 0; w < windows_.size(); ++w) {
    const auto original = windows_.original(w);
    const auto on_logits = [&](Tensor logits, std::int32_t first) {
      score(logits, original.subspan(static_cast<std::size_t>(first) + 1, static_cast<std::size_t>(logits.rows)));
    };
    reader_.read(windows_.input(w), windows_.first_scored(), false, on_logits, {});
  }
  for (const Passage& p : passages_)
    read_passage(reader_.decoder(), device_, p, options_, false, {}, [&](Tensor logits, std::size_t first) {
      score(logits, std::span(p.answer).subspan(first, static_cast<std::size_t>(logits.rows)));
    });
}

DivergenceReport Evaluator::measure() {
  Divergence result;
  std::vector<TokenDivergence> tokens;
  const float* base = base_.data();
  read([&](Tensor logits, std::span<const Token> next) {
    tokens.resize(static_cast<std::size_t>(logits.rows));
    const auto n = static_cast<std::size_t>(logits.cols);
    pool_.parallel_for(logits.rows, [&](std::int64_t r) {
      const auto at = static_cast<std::size_t>(r);
      tokens[at] = divergence({logits.row(r), n}, std::span<const float>(base + r * logits.cols, n), next[at]);
    });
    for (const TokenDivergence& t : tokens) result.add(t);
    base += logits.size();
  });
  return result.report();
}

}  // namespace mtmd::quality
