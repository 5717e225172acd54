// What a person wants to know about a model file, gathered from its metadata and tensor table (`mtmd inspect`).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/gguf/gguf.h"

namespace mtmd::gguf {

struct Summary {
  /// An encoder of an mmproj file.
  struct Encoder {
    std::string modality;   ///< "vision" or "audio"
    std::string projector;  ///< clip.projector_type, e.g. "qwen2vl_merger"; empty when the file does not say
    std::optional<std::uint64_t> layers, width, output_width;       ///< output_width: clip.*.projection_dim
    std::optional<std::uint64_t> image_size, patch_size, mel_bins;  ///< pixels, pixels, bands
  };
  struct TypeShare {
    DType type{};
    std::uint64_t n_tensors = 0, n_values = 0, n_bytes = 0;
  };

  std::string architecture, name, description, license, size_label, kind;  ///< kind: general.type; empty when missing
  std::uint32_t version = 0, alignment = 0;
  std::size_t n_files = 0;
  std::uint64_t file_bytes = 0, tensor_bytes = 0, n_keys = 0, n_tensors = 0;
  std::uint64_t n_parameters = 0;  ///< values in all tensors
  double bits_per_weight = 0;      ///< of the tensor data, metadata not counted
  std::vector<TypeShare> types;    ///< by bytes, largest first

  std::optional<std::uint64_t> context_length, width, layers, heads, kv_heads, experts, experts_used, vocabulary;
  std::string tokenizer, pre_tokenizer;  ///< tokenizer.ggml.model and .pre
  bool has_chat_template = false;
  std::vector<std::string> chat_template_names;  ///< of the additional templates
  std::vector<std::string> modalities;           ///< "text", "vision", "audio", in this order
  std::vector<Encoder> encoders;                 ///< of an mmproj file
};

/// Never throws for odd metadata: a key of the wrong type counts as missing.
Summary summarize(const File& file);

}  // namespace mtmd::gguf
