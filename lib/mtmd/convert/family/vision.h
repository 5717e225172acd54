// Private to this folder: what the vision parts have in common.
#pragma once

#include "mtmd/convert/family/family.h"

namespace mtmd::convert {

struct VisionShape {
  std::int64_t n_embd = 0, n_layers = 0, n_heads = 0, n_ff = 0, patch = 0, image = 0;
  std::int64_t side() const { return image / patch; }
};

/// The keys that every encoder has. `width`: the key that holds the width of the encoder.
VisionShape put_vision(Builder& b, const Config& c, const Source& s, const std::string& width, double default_eps);
/// clip.use_gelu or clip.use_silu, by the name of the transformers library.
void put_activation(Builder& b, const std::string& name);

}  // namespace mtmd::convert
