// Reads every tensor of a model file and reports what cannot be right (`mtmd verify`).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "engine/gguf/gguf.h"

namespace mtmd::gguf {

/// One thing that is wrong. `row` counts rows over all leading dimensions, `block` blocks within the row (values within
/// the row for types without blocks); both are -1 when the finding is about the file or the tensor as a whole.
struct Finding {
  std::string tensor;  ///< empty: about the file
  std::int64_t row = -1, block = -1;
  std::string what;  ///< "the block scale d is NaN", "value 17 is inf", …
};

struct Verification {
  std::vector<Finding> findings;   ///< in file order; at most Options::max_per_tensor for each tensor
  std::uint64_t n_bad_blocks = 0;  ///< all of them, listed or not
  std::uint64_t n_tensors = 0, n_values = 0, n_bytes = 0;  ///< read
  bool complete = true;                                    ///< false when cancelled
  bool sound() const noexcept { return findings.empty() && complete; }
};

struct VerifyOptions {
  std::size_t max_per_tensor = 4;
  unsigned n_threads = 1;
  /// Called from one thread at a time with the tensor bytes done and the total; false cancels.
  std::function<bool(std::uint64_t done, std::uint64_t total)> progress = {};
};

/// NaN and infinite values, NaN and infinite block scales. Memory use does not depend on the size of the tensors.
Verification verify(const File& file, const VerifyOptions& options = {});

/// The same for a path; a file that is truncated or damaged so that it cannot be opened as a model is a finding, not an
/// exception. Throws Error(input) when it cannot be read at all.
Verification verify(const std::filesystem::path& path, const VerifyOptions& options = {});

}  // namespace mtmd::gguf
