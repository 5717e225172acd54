#include "mtmd/quality/type_search.h"

#include <algorithm>
#include <cmath>

#include "engine/base/error.h"
#include "mtmd/quality/knapsack.h"

namespace mtmd::quality {
namespace {

void tell(const OnTensor& on_tensor, std::size_t done, std::size_t total, std::string_view tensor) {
  if (on_tensor && !on_tensor(done, total, tensor)) fail(ErrorCategory::interrupted, "interrupted at {}", tensor);
}

/// What a tensor's cost is when it stays as good as exact: never zero, or the order of candidates would not matter.
constexpr double kLeastGain = 1e-9;

}  // namespace

TypeSearch::TypeSearch(std::vector<OpenTensor> open, std::span<const DType> types, std::int64_t sample,
                       ThreadPool& pool, const OnTensor& on_tensor) {
  for (OpenTensor& t : open) {
    tell(on_tensor, tensors_.size(), open.size(), t.tensor->name);
    Tensor entry{t, sweep(t, types, sample, pool)};
    if (entry.candidates.empty())
      fail(ErrorCategory::usage, "{}: none of the candidate types fits rows of {} values", t.tensor->name, t.columns());
    tensors_.push_back(std::move(entry));
  }
}

void TypeSearch::weigh(Evaluator& evaluator, double bits, ThreadPool& pool, const OnTensor& on_tensor) {
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    Tensor& t = tensors_[i];
    tell(on_tensor, i, tensors_.size(), t.open.tensor->name);
    const auto off = [&](const Candidate& c) {
      const double own = 8.0 * static_cast<double>(c.bytes) / static_cast<double>(t.open.tensor->n_values());
      return std::abs(own - bits) + (c.error > 0 ? 0 : 100);  // without an error there is nothing to divide by
    };
    const Candidate& probe = *std::ranges::min_element(t.candidates, {}, off);
    evaluator.device().clear();
    evaluator.device().set(*t.open.tensor, {probe.type, encode(t.open, probe.type, pool)});
    const double kld = evaluator.measure().kld.value;
    t.gain = probe.error > 0 ? std::max(kld, kLeastGain) / probe.error : kLeastGain;
  }
  evaluator.device().clear();
}

TypeSearch::Types TypeSearch::choose(std::uint64_t budget, bool weighed) const {
  std::vector<std::vector<Alternative>> items;
  for (const Tensor& t : tensors_) {
    auto& item = items.emplace_back();
    for (const Candidate& c : t.candidates) item.push_back({c.bytes, weighed ? t.gain * c.error : c.error});
  }
  const auto chosen = cheapest(items, budget);
  if (!chosen)
    fail(ErrorCategory::usage, "{} bytes are too few for the {} tensors: their smallest types take {}", budget,
         tensors_.size(), least_bytes());
  Types types;
  for (std::size_t i = 0; i < tensors_.size(); ++i)
    types.emplace(tensors_[i].open.tensor->name, tensors_[i].candidates[(*chosen)[i]].type);
  return types;
}

double TypeSearch::predicted(const Types& types) const {
  double sum = 0;
  for (const Tensor& t : tensors_)
    for (const Candidate& c : t.candidates)
      if (const auto it = types.find(t.open.tensor->name); it != types.end() && it->second == c.type)
        sum += t.gain * c.error;
  return sum;
}

std::uint64_t TypeSearch::bytes(const Types& types) const {
  std::uint64_t sum = 0;
  for (const Tensor& t : tensors_)
    if (const auto it = types.find(t.open.tensor->name); it != types.end())
      sum += row_bytes(it->second, t.open.tensor->n_values());
  return sum;
}

std::uint64_t TypeSearch::least_bytes() const {
  std::uint64_t sum = 0;
  for (const Tensor& t : tensors_) sum += t.candidates.front().bytes;
  return sum;
}

DivergenceReport evaluate(Evaluator& evaluator, std::span<const OpenTensor> open, const TypeSearch::Types& types,
                          ThreadPool& pool) {
  evaluator.device().clear();
  for (const OpenTensor& t : open)
    if (const auto it = types.find(t.tensor->name); it != types.end() && it->second != t.tensor->type)
      evaluator.device().set(*t.tensor, {it->second, encode(t, it->second, pool)});
  DivergenceReport report = evaluator.measure();
  evaluator.device().clear();
  return report;
}

}  // namespace mtmd::quality
