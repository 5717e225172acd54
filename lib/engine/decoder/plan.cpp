#include "engine/decoder/plan.h"

#include <algorithm>

#include "engine/base/error.h"

namespace mtmd::decoder {
namespace {

void check(const Batch& b) {
  const auto rows = static_cast<std::size_t>(b.rows());
  if (b.positions.size() != rows || b.sequences.size() != rows || b.see_until.size() != rows ||
      b.want_logits.size() != rows)
    fail(ErrorCategory::internal, "batch: {} tokens, {} positions, {} sequences, {} see_until, {} want_logits", rows,
         b.positions.size(), b.sequences.size(), b.see_until.size(), b.want_logits.size());
  if (rows > INT32_MAX) fail(ErrorCategory::internal, "batch: {} rows", rows);
  for (std::size_t i = 0; i < rows; ++i)
    if (b.see_until[i] <= static_cast<std::int64_t>(i) || b.see_until[i] > b.rows())
      fail(ErrorCategory::internal, "batch: row {} of {} sees until {}", i, rows, b.see_until[i]);
}

}  // namespace

void Plan::append(const Batch& b, kv::Cache& cache) {
  check(b);
  cache_rows.clear();
  index.clear();
  before_.clear();
  try {
    for (std::int64_t i = 0, end = 0; i < b.rows(); i = end) {
      const kv::SequenceId id = b.sequences[i];
      while (end < b.rows() && b.sequences[end] == id) ++end;
      const std::int32_t length = cache.length(id);
      if (std::none_of(before_.begin(), before_.end(), [&](const auto& s) { return s.first == id; })) {
        before_.emplace_back(id, length);
        cache.checkpoint(id);
      }
      cache.append(id, static_cast<std::int32_t>(end - i), cache_rows);
      for (std::int64_t j = i; j < end; ++j) index.push_back(length + static_cast<std::int32_t>(j - i));
    }
  } catch (...) {
    undo(cache);
    throw;
  }
  visible.resize(index.size());
  for (std::int64_t i = 0; i < b.rows(); ++i) {
    std::int64_t last = b.see_until[i] - 1;  // the last visible row of the same sequence; row i itself at the latest
    while (b.sequences[last] != b.sequences[i]) --last;
    visible[i] = index[last] + 1;
  }
  n_wanted = std::count(b.want_logits.begin(), b.want_logits.end(), true);
}

void Plan::undo(kv::Cache& cache) const {
  for (const auto& [id, length] : before_)
    if (cache.length(id) > length) cache.truncate(id, length);
}

void Plan::cut(const Batch& b, std::int32_t n_ubatch) {
  ubatches.clear();
  Ubatch u;
  std::int64_t reach = 0;  // no row before i sees further than this
  for (std::int64_t i = 0; i < b.rows(); ++i) {
    const bool may_cut = i > u.begin && reach <= i;
    if (may_cut) u.end = i;
    // The row would be one too many: end at the last place where a cut is allowed, if there is one.
    if (i - u.begin >= n_ubatch && u.end > u.begin) {
      ubatches.push_back(u);
      u = {u.end, u.end};
    }
    reach = std::max<std::int64_t>(reach, b.see_until[i]);
  }
  if (b.rows() > u.begin) ubatches.push_back({u.begin, b.rows()});
}

}  // namespace mtmd::decoder
