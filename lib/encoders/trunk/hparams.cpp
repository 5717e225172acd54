#include "encoders/trunk/hparams.h"

#include <cmath>
#include <vector>

#include "engine/base/error.h"

namespace mtmd::encoders {
namespace {

constexpr std::int64_t kMostRows = 1 << 22;  ///< of a matrix: many times what any model has, and products stay in range

std::int32_t checked(const gguf::Metadata& metadata, std::string_view key, std::int64_t value, std::int32_t low,
                     std::int32_t high) {
  if (value < low || value > high) {
    fail(ErrorCategory::model, "{}: {} is {}, expected {} to {}", metadata.file(), key, value, low, high);
  }
  return static_cast<std::int32_t>(value);
}

std::array<float, 3> three(const gguf::Metadata& metadata, std::string_view key) {
  const auto values = metadata.require<std::vector<float>>(key);
  if (values.size() != 3) {
    fail(ErrorCategory::model, "{}: {} has {} values, expected 3 (red, green, blue)", metadata.file(), key,
         values.size());
  }
  for (float v : values) {
    if (!std::isfinite(v)) fail(ErrorCategory::model, "{}: {} holds a value that is not finite", metadata.file(), key);
  }
  return {values[0], values[1], values[2]};
}

/// `side`: "clip.vision." or "clip.audio."
void read_trunk(TrunkHparams& h, const gguf::Metadata& metadata, const std::string& side) {
  h.n_embd = require_in(metadata, side + "embedding_length", 1, 1 << 16);
  h.n_layers = require_in(metadata, side + "block_count", 1, 1024);
  h.n_heads = require_in(metadata, side + "attention.head_count", 1, 1024);
  h.eps = metadata.require<float>(side + "attention.layer_norm_epsilon");
  if (!(h.eps >= 0.0f && h.eps < 1.0f)) {
    fail(ErrorCategory::model, "{}: {}attention.layer_norm_epsilon is {}, expected 0 to 1", metadata.file(), side,
         h.eps);
  }
  if (h.n_embd % h.n_heads != 0) {
    fail(ErrorCategory::model, "{}: {}embedding_length {} is no multiple of {}attention.head_count {}", metadata.file(),
         side, h.n_embd, side, h.n_heads);
  }
}

}  // namespace

std::int32_t require_in(const gguf::Metadata& metadata, std::string_view key, std::int32_t low, std::int32_t high) {
  return checked(metadata, key, metadata.require<std::int64_t>(key), low, high);
}

std::int32_t in_range_or(const gguf::Metadata& metadata, std::string_view key, std::int32_t low, std::int32_t high,
                         std::int32_t otherwise) {
  const auto value = metadata.get<std::int64_t>(key);
  return value ? checked(metadata, key, *value, low, high) : otherwise;
}

std::int64_t matrix_rows(const gguf::Weights& weights, std::string_view name) {
  const gguf::TensorInfo* tensor = weights.find(name);
  const std::string& file = weights.file().metadata().file();
  if (tensor == nullptr) fail(ErrorCategory::model, "{}: no tensor '{}'", file, name);
  if (tensor->shape.size() != 2) {
    fail(ErrorCategory::model, "{}: {} has {} dimensions, expected 2", file, name, tensor->shape.size());
  }
  if (tensor->shape[0] > kMostRows) {
    fail(ErrorCategory::model, "{}: {} has {} rows, expected at most {}", file, name, tensor->shape[0], kMostRows);
  }
  return tensor->shape[0];
}

VisionHparams read_vision_hparams(const gguf::Metadata& metadata) {
  VisionHparams h;
  read_trunk(h, metadata, "clip.vision.");
  h.image_size = require_in(metadata, "clip.vision.image_size", 1, 1 << 12);
  h.patch_size = require_in(metadata, "clip.vision.patch_size", 1, 1 << 8);
  if (h.patch_size > h.image_size) {
    fail(ErrorCategory::model, "{}: clip.vision.patch_size {} exceeds clip.vision.image_size {}", metadata.file(),
         h.patch_size, h.image_size);
  }
  h.mean = three(metadata, "clip.vision.image_mean");
  h.std = three(metadata, "clip.vision.image_std");
  for (float v : h.std) {
    if (!(v > 0.0f)) fail(ErrorCategory::model, "{}: clip.vision.image_std holds {}, expected > 0", metadata.file(), v);
  }
  if (metadata.get_or<bool>("clip.use_gelu", false)) {
    h.activation = Activation::gelu_tanh;
  } else if (metadata.get_or<bool>("clip.use_silu", false)) {
    h.activation = Activation::silu;
  }
  return h;
}

AudioHparams read_audio_hparams(const gguf::Metadata& metadata) {
  AudioHparams h;
  read_trunk(h, metadata, "clip.audio.");
  h.n_mel = require_in(metadata, "clip.audio.num_mel_bins", 1, 1 << 12);
  return h;
}

}  // namespace mtmd::encoders
