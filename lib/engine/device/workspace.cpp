#include <algorithm>
#include <limits>

#include "engine/base/checked.h"
#include "engine/base/error.h"
#include "engine/device/device.h"

namespace mtmd {
namespace {
constexpr std::size_t kAlignment = 64;  // a cache line, and the widest vector
constexpr std::size_t kSmallestChunk = 1u << 20;
}  // namespace

Tensor Workspace::tensor(std::int64_t rows, std::int64_t cols) {
  if (rows < 0 || cols < 0) fail(ErrorCategory::internal, "workspace: a tensor of [{}, {}]", rows, cols);
  const auto values = checked_mul(rows, cols);
  if (!values || *values > std::numeric_limits<std::int64_t>::max() / 8)
    fail(ErrorCategory::resource, "workspace: a tensor of [{}, {}] does not fit into memory", rows, cols);
  const std::size_t bytes = round_up(static_cast<std::size_t>(*values) * sizeof(float), kAlignment);
  // Chunks stay where they are: tensors handed out earlier keep pointing into them.
  while (chunk_ < chunks_.size() && used_ + bytes > chunks_[chunk_].bytes) ++chunk_, used_ = 0;
  if (chunk_ == chunks_.size()) {
    std::size_t total = 0;
    for (const Chunk& c : chunks_) total += c.bytes;
    // Growing by half of what is there keeps the number of chunks small.
    const std::size_t size = round_up(std::max({bytes, kSmallestChunk, total / 2}), kAlignment);
    chunks_.push_back({device_.allocate(size), size});
    used_ = 0;
  }
  auto* data = reinterpret_cast<float*>(chunks_[chunk_].memory.get() + used_);
  used_ += bytes;
  std::size_t in_use = used_;
  for (std::size_t i = 0; i < chunk_; ++i) in_use += chunks_[i].bytes;
  peak_ = std::max(peak_, in_use);
  return {data, rows, cols};
}

void Workspace::reserve(std::size_t bytes) {
  reset();
  if (chunks_.size() == 1 && chunks_[0].bytes >= bytes) return;
  chunks_.clear();
  const std::size_t size = round_up(bytes, kAlignment);
  chunks_.push_back({device_.allocate(size), size});
}

void Workspace::reset() noexcept {
  chunk_ = used_ = 0;
  if (chunks_.size() <= 1) return;
  // One chunk as large as all of them, so that the next pass runs without gaps; taken on demand.
  std::size_t total = 0;
  for (const Chunk& c : chunks_) total += c.bytes;
  chunks_.clear();
  try {
    chunks_.push_back({device_.allocate(total), total});
  } catch (...) {
    chunks_.clear();  // the next tensor() asks again, and reports it
  }
}

}  // namespace mtmd
