#include "mtmd/quality/imatrix.h"

#include <algorithm>
#include <cmath>

#include "engine/base/error.h"

namespace mtmd::quality {
namespace {

bool in_a_block(std::string_view name) { return name.starts_with("blk.") && name.ends_with(".weight"); }

/// Kernels of short convolutions are matrices by shape but are not multiplied with activations.
bool is_matrix(const gguf::TensorInfo& t) {
  return t.shape.size() >= 2 && t.shape.back() > 1 && t.n_values() / t.shape.back() > 1 &&
         t.name.find("conv.weight") == t.name.npos;
}

/// Older files of mixtures have one count for all experts: it counts for each.
Importance with_matrices(const Importance& e, std::size_t n) {
  if (e.counts.size() == n || e.counts.size() != 1 || e.sums.size() % n != 0) return e;
  Importance wide = e;
  wide.counts.assign(n, e.counts[0]);
  return wide;
}

void add(Importance& to, const Importance& from) {
  for (std::size_t i = 0; i < to.sums.size(); ++i) to.sums[i] += from.sums[i];
  for (std::size_t i = 0; i < to.counts.size(); ++i) to.counts[i] += from.counts[i];
}

}  // namespace

std::vector<float> Importance::weights() const {
  std::vector<float> w(sums.size());
  const auto cols = static_cast<std::size_t>(columns());
  for (std::size_t m = 0; m < counts.size(); ++m)
    for (std::size_t i = m * cols; i < (m + 1) * cols; ++i) w[i] = counts[m] > 0.0f ? sums[i] / counts[m] : 1.0f;
  return w;
}

const Importance* ImportanceMatrix::find(std::string_view tensor) const {
  const auto it = entries.find(tensor);
  return it == entries.end() ? nullptr : &it->second;
}

void ImportanceMatrix::merge(const ImportanceMatrix& other) {
  auto merged = entries;
  for (const auto& [name, theirs] : other.entries) {
    const auto [it, is_new] = merged.try_emplace(name, theirs);
    if (is_new) continue;
    Importance& ours = it->second;
    const std::size_t n = std::max(ours.counts.size(), theirs.counts.size());
    ours = with_matrices(ours, n);
    const Importance wide = with_matrices(theirs, n);
    if (ours.sums.size() != wide.sums.size() || ours.counts.size() != wide.counts.size())
      fail(ErrorCategory::input,
           "importance matrices cannot be merged: {} has {} values in {} matrices in one and {} in {} in the other; "
           "they were made from different models",
           name, ours.sums.size(), ours.counts.size(), wide.sums.size(), wide.counts.size());
    add(ours, wide);
  }
  entries = std::move(merged);
  for (const std::string& d : other.datasets)
    if (std::ranges::find(datasets, d) == datasets.end()) datasets.push_back(d);
  chunk_count += other.chunk_count;
  if (chunk_size == 0) chunk_size = other.chunk_size;
}

Coverage coverage(const ImportanceMatrix& matrix, const gguf::File& model) {
  Coverage c;
  for (const auto& [name, e] : matrix.entries) {
    const gguf::TensorInfo* t = model.find(name);
    if (!t) {
      c.unknown.push_back(name);
      continue;
    }
    const std::int64_t experts = t->shape.size() > 2 ? t->shape[0] : 1;
    const std::int64_t expected = t->shape.back() * experts;
    if (std::ssize(e.sums) != expected || (e.matrices() != 1 && e.matrices() != experts)) {
      c.misfits.push_back({name, std::ssize(e.sums), expected});
      continue;
    }
    c.covered += in_a_block(name);
    Coverage::Blank blank{name, {}, e.matrices()};
    for (std::int64_t i = 0; i < e.matrices(); ++i)
      if (!(e.counts[static_cast<std::size_t>(i)] > 0.0f)) blank.experts.push_back(i);
    if (!blank.experts.empty()) c.blanks.push_back(std::move(blank));
  }
  for (const gguf::TensorInfo& t : model.tensors())
    if (in_a_block(t.name) && is_matrix(t) && !matrix.find(t.name)) c.missing.emplace_back(t.name);
  return c;
}

void require_fit(const Coverage& c, std::string_view imatrix_file, std::string_view model_file) {
  if (!c.misfits.empty())
    fail(ErrorCategory::input,
         "{}: its entry {} has {} values, the tensor in {} takes {} ({} such entries): it was made from another model",
         imatrix_file, c.misfits[0].tensor, c.misfits[0].found, model_file, c.misfits[0].expected, c.misfits.size());
  if (!c.unknown.empty())
    fail(ErrorCategory::input, "{}: {} has no tensor {} ({} such entries): it was made from another model",
         imatrix_file, model_file, c.unknown[0], c.unknown.size());
  if (c.covered == 0)
    fail(ErrorCategory::input, "{}: holds nothing about any of the {} weight matrices in the blocks of {}",
         imatrix_file, c.missing.size(), model_file);
}

}  // namespace mtmd::quality
