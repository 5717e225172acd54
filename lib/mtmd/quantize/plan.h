// What a quantised file will look like: every tensor with its type and place, the metadata, the sizes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "engine/gguf/gguf.h"
#include "mtmd/quality/imatrix.h"
#include "mtmd/quantize/recipe.h"

namespace mtmd::quantize {

/// Weights of an importance matrix as the encoders take them, and what the metadata say about it.
struct ImportanceWeights {
  std::map<std::string, std::vector<float>, std::less<>> weights;  ///< by tensor: [matrices, columns]
  std::string file, dataset;
  std::uint32_t chunks = 0;
  std::string digest;  ///< SHA-256 of names and weights

  bool empty() const noexcept { return weights.empty(); }
};

/// Names hold one of `include` (when there are any) and none of `exclude`. Throws Error(usage) when nothing is left.
ImportanceWeights importance_weights(const quality::ImportanceMatrix& matrix, const std::filesystem::path& file,
                                     std::span<const std::string> include = {},
                                     std::span<const std::string> exclude = {});

/// A metadata value to set, as `--override-kv KEY=TYPE:VALUE` gives it.
struct Override {
  std::string key;
  std::variant<std::int64_t, double, bool, std::string> value;
};
/// TYPE: int, float, bool, str. Throws Error(usage).
Override parse_override(std::string_view text);

struct PlanOptions {
  RecipeOptions recipe;
  const ImportanceWeights* importance = nullptr;  ///< outlives the plan
  std::vector<Override> overrides = {};
  std::vector<std::int64_t> prune_layers = {};  ///< left out; those behind move up
  bool allow_requantize = false;
  bool keep_split = false;       ///< as many parts as the source
  bool best = false;             ///< encoders search longer
  bool draft = false;            ///< only to be looked at: a missing importance matrix is a warning
  bool provenance = true;        ///< source hash and recipe go into the metadata
  std::string program = "mtmd";  ///< with its version, for the provenance
};

struct PlannedTensor {
  const gguf::TensorInfo* source = nullptr;
  std::string name;
  Choice choice;
  std::span<const float> importance = {};  ///< [matrices, columns], or empty
  std::size_t part = 0;
  std::uint64_t offset = 0, bytes = 0;  ///< within the part's file

  std::int64_t columns() const noexcept { return source->shape.back(); }
  std::int64_t rows() const noexcept { return source->n_values() / columns(); }
  /// Rows of one matrix: importance changes with the expert.
  std::int64_t rows_per_matrix() const noexcept;
  bool copied() const noexcept { return choice.type == source->type; }
};

struct Plan {
  struct Part {
    std::vector<std::byte> header;  ///< hashes of the source are placeholders in it
    std::uint64_t bytes = 0;        ///< of the whole file
  };
  const FileType* type = nullptr;
  bool best = false;
  std::vector<PlannedTensor> tensors;  ///< in output order
  std::vector<Part> parts;
  std::vector<std::string> warnings;
  std::uint64_t source_bytes = 0, bytes = 0, n_values = 0;  ///< tensor data; values in all tensors
  std::uint64_t n_converted = 0, n_fallback = 0;
  std::string identity;  ///< equal plans for an equal source have equal identities: a stopped job may go on

  double bits_per_weight() const noexcept {
    return n_values ? 8.0 * static_cast<double>(bytes) / static_cast<double>(n_values) : 0;
  }
  std::uint64_t file_bytes() const noexcept;
};

/// `file` outlives the plan. Throws Error(usage) for what the options ask in vain (an importance matrix is missing,
/// the source is quantised already), Error(input) for an importance matrix of another model, Error(model) for tensors
/// that cannot be converted.
Plan make_plan(const gguf::File& file, const PlanOptions& options);

/// Where the 64 hexadecimal digits of the source's hashes go: offset within the header, index of the source part.
std::vector<std::pair<std::size_t, std::size_t>> hash_places(std::span<const std::byte> header, std::size_t n_parts);

}  // namespace mtmd::quantize
