// Hugging Face checkpoints (safetensors, config.json, tokenizer.json) as GGUF files.
// Formats: https://huggingface.co/docs/safetensors and https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace mtmd::convert {

/// Type of the matrices; vectors and what must be exact stay F32. `automatic`: BF16 when the checkpoint is, else F16.
enum class OutputType { automatic, f32, f16, bf16 };

struct Options {
  OutputType type = OutputType::automatic;
  std::string pre_tokenizer;  ///< tokenizer.ggml.pre when tokenizer.json holds an expression that is not known
  std::string name;           ///< general.name; empty: the folder's
  /// Called with bytes written and in all; false cancels (Error(interrupted), no file is left).
  std::function<bool(std::uint64_t done, std::uint64_t total)> progress;
};

struct Written {
  std::uint64_t n_tensors = 0, n_bytes = 0;  ///< of tensor data
};

/// A folder with config.json, tokenizer.json and *.safetensors (one, or several with an index).
class Converter {
 public:
  /// Reads the configuration and the headers. Throws Error(input) for files that cannot be read and Error(model) for
  /// those that are damaged or of an architecture that is not known (the message lists those that are).
  Converter(const std::filesystem::path& folder, Options options);
  ~Converter();

  std::string_view architecture() const noexcept;  ///< GGUF's general.architecture
  std::string_view projector() const noexcept;     ///< clip.projector_type; empty: the model has no vision part
  /// The language model with its tokenizer. Throws Error(model) for missing or wrongly shaped tensors, for tensors that
  /// nothing reads, and for a tokenizer that cannot be expressed.
  Written write_model(const std::filesystem::path& path);
  /// The vision part (mmproj). Throws Error(usage) when there is none.
  Written write_mmproj(const std::filesystem::path& path);
  /// What could not be carried over but does not change results in ordinary use.
  const std::vector<std::string>& warnings() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Names of the supported classes (config.json's "architectures").
std::vector<std::string_view> supported_classes();

}  // namespace mtmd::convert
