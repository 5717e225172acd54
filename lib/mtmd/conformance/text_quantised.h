// Recorded quantisations (X-kq-TYPE.golden.gguf): what `quantize` must make of X-kq.gguf.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "engine/gguf/gguf.h"

namespace mtmd::conformance {

/// Types and CRC-32s of the tensors of a recorded quantised model.
struct QuantisedRecording {
  std::string type;  ///< as `quantize` takes it
  bool imatrix = false;
  std::vector<std::string> names, types;
  std::vector<std::uint32_t> crc32;
};

/// Nothing when the golden is not about a quantised model; throws Error for damaged values.
std::optional<QuantisedRecording> read_quantised_recording(const std::filesystem::path& golden);

/// Quantises the model that the golden started from. Nothing when that model is not beside it.
std::optional<std::vector<std::byte>> quantise_like(const std::filesystem::path& golden, const QuantisedRecording& r);

/// How a model compares with the recording.
struct QuantisedDifference {
  std::string wrong_types;  ///< "tensor: found, expected" of the first; empty when all agree
  std::string wrong_bytes;  ///< of tensors whose encoding has to be exact
  std::size_t n_identical = 0, n_tensors = 0;
};
QuantisedDifference compare_quantised(const gguf::File& model, const QuantisedRecording& r);

}  // namespace mtmd::conformance
