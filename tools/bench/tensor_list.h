// Names and shapes of a model that is to be made up.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/gguf/writer.h"
#include "engine/tensor/dtype.h"

namespace mtmd::bench {

struct MadeTensor {
  std::string name;
  DType type = DType::F32;
  std::vector<std::int64_t> shape;  ///< outermost first
  float mean = 0, scale = 1;        ///< of its values
};

struct MadeModel {
  gguf::Writer writer;  ///< the metadata
  std::vector<MadeTensor> tensors;

  void matrix(std::string name, std::vector<std::int64_t> shape, DType type, float gain = 1) {
    double inputs = 1;
    for (std::size_t i = 1; i < shape.size(); ++i) inputs *= static_cast<double>(shape[i]);
    tensors.push_back({std::move(name), type, std::move(shape), 0, gain / static_cast<float>(std::sqrt(inputs))});
  }
  void norm(std::string name, std::int64_t n) { tensors.push_back({std::move(name), DType::F32, {n}, 1, 0.1f}); }
  void bias(std::string name, std::int64_t n) { tensors.push_back({std::move(name), DType::F32, {n}, 0, 0.1f}); }
};

/// What describes a decoder of the llama family.
struct TextShape {
  std::string_view arch;
  std::uint32_t n_embd, n_layer, n_head, n_head_kv, head_dim, n_ff, n_vocab, n_ctx;
  float rope_base;
  bool qkv_bias = false, rope_factors = false, qk_norm = false, post_norms = false;
  std::vector<std::int32_t> sections = {};
  std::uint32_t sliding_window = 0;
};
MadeModel made_text(const TextShape& shape);

struct EncoderShape {
  std::string_view projector;
  std::uint32_t n_embd, n_layer, n_head, n_ff, n_text;
  std::uint32_t image_size = 0, patch_size = 0, scale = 0;  ///< pictures
  std::uint32_t n_mel = 0, stack = 0, hidden = 0;           ///< sound
  std::uint32_t longest = 0;  ///< side of the picture that is cut into tiles of image_size; 0: four of them
};
MadeModel made_encoder(const EncoderShape& shape, DType type);

}  // namespace mtmd::bench
