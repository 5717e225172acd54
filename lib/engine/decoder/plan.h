// A batch made ready for the cache: where each row is stored, what it sees, and where the batch may be cut.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "engine/decoder/decoder.h"

namespace mtmd::decoder {

/// Rows [begin, end) of a batch, computed at once.
struct Ubatch {
  std::int64_t begin = 0, end = 0;
};

/// Kept between calls so that its vectors keep their memory.
class Plan {
 public:
  /// Appends the batch to the cache. Throws what Cache::append throws and Error(internal) for a batch that is not
  /// sound; the cache is then as before.
  void append(const Batch& batch, kv::Cache& cache);
  /// Takes the last append back.
  void undo(kv::Cache& cache) const;
  /// Cuts the batch into pieces of `n_ubatch` rows, more where an image block would be split.
  void cut(const Batch& batch, std::int32_t n_ubatch);

  std::vector<std::int64_t> cache_rows;  ///< per batch row
  std::vector<std::int32_t> index;       ///< per batch row: its place in its sequence
  std::vector<std::int32_t> visible;     ///< per batch row: it sees its sequence's places [.., visible)
  std::vector<Ubatch> ubatches;
  std::int64_t n_wanted = 0;  ///< rows whose logits are asked for

 private:
  std::vector<std::pair<kv::SequenceId, std::int32_t>> before_;  // lengths of the sequences touched
};

}  // namespace mtmd::decoder
