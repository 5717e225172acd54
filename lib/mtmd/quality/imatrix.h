// Importance matrices: for every weight matrix, how large the values of each input column are. Files of llama-imatrix:
// the GGUF form (general.type = "imatrix") and the older .dat form, both read by their content.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/gguf/gguf.h"

namespace mtmd::quality {

/// What one weight tensor was multiplied with. A mixture's tensor has one matrix per expert.
struct Importance {
  std::vector<float> sums;    ///< [matrices, columns]: squares of the inputs, added up over the rows seen
  std::vector<float> counts;  ///< [matrices]: rows seen

  std::int64_t matrices() const noexcept { return std::ssize(counts); }
  std::int64_t columns() const noexcept { return counts.empty() ? 0 : std::ssize(sums) / matrices(); }
  /// [matrices, columns]: mean squares, what the quantisers take; 1 for a matrix that saw nothing.
  std::vector<float> weights() const;
};

struct ImportanceMatrix {
  std::map<std::string, Importance, std::less<>> entries;  ///< by the weight tensor's name
  std::vector<std::string> datasets;                       ///< what was read, in order
  std::uint32_t chunk_count = 0;                           ///< chunks read so far
  std::uint32_t chunk_size = 0;                            ///< tokens per chunk

  const Importance* find(std::string_view tensor) const;
  /// Adds another's sums, counts, chunks and data sets. Throws Error(input), naming the tensor, when sizes differ;
  /// nothing is changed then.
  void merge(const ImportanceMatrix& other);
};

enum class ImatrixForm { gguf, dat };

/// Throws Error(input) for what is no importance matrix, is damaged, or holds values that are no sums of squares (NaN,
/// negative). The .dat form does not know its chunk size: `dat_chunk_size` is assumed, which changes no weights().
ImportanceMatrix read_imatrix(const std::filesystem::path& path, std::uint32_t dat_chunk_size = 512);
/// Appears complete or not at all. In the .dat form experts that saw nothing get the value 1, as there. Throws
/// Error(output).
void write_imatrix(const std::filesystem::path& path, const ImportanceMatrix& matrix, ImatrixForm form);

/// How an importance matrix fits a model.
struct Coverage {
  struct Misfit {
    std::string tensor;
    std::int64_t found = 0, expected = 0;  ///< values
  };
  struct Blank {
    std::string tensor;
    std::vector<std::int64_t> experts;  ///< never chosen
    std::int64_t n_experts = 0;
  };
  std::int64_t covered = 0;          ///< weight matrices of the model's blocks that have values
  std::vector<std::string> missing;  ///< … that have none
  std::vector<std::string> unknown;  ///< entries the model has no tensor for
  std::vector<Misfit> misfits;       ///< entries of another size: a matrix of another model
  std::vector<Blank> blanks;         ///< mixtures with experts without data

  /// Every entry belongs to the model, and there is at least one.
  bool fits() const noexcept { return covered > 0 && misfits.empty() && unknown.empty(); }
};
Coverage coverage(const ImportanceMatrix& matrix, const gguf::File& model);
/// Throws Error(input) naming both files and the first tensors that do not belong, unless the matrix fits the model.
void require_fit(const Coverage& c, std::string_view imatrix_file, std::string_view model_file);

}  // namespace mtmd::quality
