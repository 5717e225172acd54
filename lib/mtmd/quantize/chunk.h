// Private to this folder: some rows of one tensor from one type to others.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "mtmd/quantize/plan.h"
#include "mtmd/quantize/source.h"

namespace mtmd::quantize {

/// Rows [first, first + count) of a tensor.
struct Rows {
  std::int64_t first = 0, count = 0;
};

/// One worker's memory.
class ChunkCoder {
 public:
  /// Reads the rows' source bytes.
  void read(const Source& source, const PlannedTensor& t, Rows rows);
  /// The rows as the target stores them; valid until the next call. Throws Error(model) naming tensor and row for
  /// values that are not finite or too large for the type.
  std::span<const std::byte> encode(const PlannedTensor& t, Rows rows, bool best, const std::string& file);
  std::size_t memory() const noexcept;

 private:
  void decode(const PlannedTensor& t, Rows rows, const std::string& file);

  std::vector<std::byte> source_, blocks_;
  std::vector<float> values_;
  bool decoded_ = false;
  const PlannedTensor* encoded_ = nullptr;  ///< what blocks_ holds
};

/// Bytes that a worker needs for `values` values of the widest tensors.
std::uint64_t chunk_memory(std::uint64_t values) noexcept;

}  // namespace mtmd::quantize
