#include "encoders/trunk/patches.h"

#include <cassert>
#include <cstring>

#include "engine/quant/quant.h"

namespace mtmd::encoders {

PatchEmbedding::PatchEmbedding(gguf::Weights& weights, Device& device, int n_embd, int patch_size, int n_kernels)
    : device_(&device), patch_size_(patch_size), bias_(weights.vector_if("v.patch_embd.bias", n_embd)) {
  for (int i = 0; i < n_kernels; ++i) {
    const Vector kernel =
        weights.values(i == 0 ? "v.patch_embd.weight" : "v.patch_embd.weight.1", {n_embd, 3, patch_size, patch_size});
    std::vector<float> rounded(kernel.begin(), kernel.end());
    for (float& v : rounded) v = quant::f16_to_f32(quant::f32_to_f16(v));
    own_.emplace_back(device, rounded, n_embd, std::int64_t{3} * patch_size * patch_size);
    kernels_.push_back(own_.back().weight());
  }
}

PatchEmbedding PatchEmbedding::as_matrix(gguf::Weights& weights, Device& device, int n_embd, int patch_size,
                                         PixelOrder order) {
  constexpr std::string_view kName = "v.patch_embd.weight";
  const std::int64_t area = std::int64_t{patch_size} * patch_size;
  PatchEmbedding p;
  p.device_ = &device, p.patch_size_ = patch_size, p.round_f16_ = false;
  p.bias_ = weights.vector_if("v.patch_embd.bias", n_embd);
  if (order == PixelOrder::channel_first) {  // as unfold() makes patches
    p.kernels_.push_back(weights.matrix(kName, n_embd, 3 * area));
    return p;
  }
  const Vector matrix = weights.values(kName, {n_embd, 3 * area});
  std::vector<float> kernel(matrix.size());
  for (std::int64_t i = 0; i < n_embd * area; ++i) {
    for (std::int64_t c = 0; c < 3; ++c) {
      kernel[static_cast<std::size_t>((i / area * 3 + c) * area + i % area)] =
          matrix[static_cast<std::size_t>(3 * i + c)];
    }
  }
  p.own_.emplace_back(device, kernel, n_embd, 3 * area);
  p.kernels_.push_back(p.own_.back().weight());
  return p;
}

void PatchEmbedding::run(Workspace& ws, Tensor y, std::span<const image::Planes> frames) const {
  assert(frames.size() == 1 || frames.size() == kernels_.size());
  const Workspace::Scope scope(ws);
  const image::Planes& first = frames.front();
  const Unfold2d how{first.height, first.width, 3, patch_size_, patch_size_, patch_size_, patch_size_, 0, 0};
  const Tensor pixels = ws.tensor(std::int64_t{first.height} * first.width, 3);
  const Tensor patches = ws.tensor(y.rows, std::int64_t{3} * patch_size_ * patch_size_);
  for (std::size_t i = 0; i < kernels_.size(); ++i) {
    if (i < frames.size()) {
      assert(frames[i].width == first.width && frames[i].height == first.height);
      std::memcpy(pixels.data, frames[i].rgb.data(), frames[i].rgb.size() * sizeof(float));
      device_->unfold(patches, pixels, how, round_f16_);
    }
    device_->matmul(y, kernels_[i], patches, {.bias = i == 0 ? bias_ : Vector{}, .accumulate = i > 0});
  }
}

}  // namespace mtmd::encoders
