// Hyper-parameters that every encoder of pictures (clip.vision.*) or sound (clip.audio.*) has, range-checked.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/device/device.h"
#include "engine/gguf/gguf.h"
#include "engine/gguf/weights.h"

namespace mtmd::encoders {

/// Of the transformer: n_embd is a multiple of n_heads.
struct TrunkHparams {
  std::int32_t n_embd = 0, n_layers = 0, n_heads = 0;
  float eps = 0.0f;  ///< of all norms unless a projector says otherwise
};

struct VisionHparams : TrunkHparams {
  std::int32_t image_size = 0, patch_size = 0;     ///< pixels
  std::array<float, 3> mean{}, std{};              ///< of pixel values in 0..1
  Activation activation = Activation::gelu_quick;  ///< clip.use_gelu: tanh-GELU, clip.use_silu: SiLU, else quick-GELU
};

/// Throws Error(model) naming the file, the key, what was found and what is possible.
VisionHparams read_vision_hparams(const gguf::Metadata& metadata);

struct AudioHparams : TrunkHparams {
  std::int32_t n_mel = 0;  ///< bands of the spectrogram, or values of a frame
};
AudioHparams read_audio_hparams(const gguf::Metadata& metadata);

/// An integer that must lie in [low, high].
std::int32_t require_in(const gguf::Metadata& metadata, std::string_view key, std::int32_t low, std::int32_t high);
std::int32_t in_range_or(const gguf::Metadata& metadata, std::string_view key, std::int32_t low, std::int32_t high,
                         std::int32_t otherwise);

/// Rows of a matrix that the file is free to choose (the hidden width of a feed-forward net, the width of the
/// embeddings): at most 2^22. Throws Error(model) when the tensor is missing or is not such a matrix.
std::int64_t matrix_rows(const gguf::Weights& weights, std::string_view name);

}  // namespace mtmd::encoders
