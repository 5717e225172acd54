#include "mtmd/convert/family/vision.h"

#include "engine/base/error.h"

namespace mtmd::convert {
namespace {

constexpr std::int64_t kMost = 1 << 16;

void put_three(Builder& b, const Source& s, const std::string& key) {
  const auto values = s.preprocessor.numbers(key);
  if (values.size() != 3) s.preprocessor.reject(key, "three numbers");
  const std::vector<float> three(values.begin(), values.end());
  b.put(key, std::span<const float>(three));
}

}  // namespace

VisionShape put_vision(Builder& b, const Config& c, const Source& s, const std::string& width, double default_eps) {
  VisionShape n;
  n.n_embd = c.integer(width, 1, kMost);
  n.n_layers = c.integer(c.has("depth") ? "depth" : "num_hidden_layers", 1, 1024);
  n.n_heads = c.integer(c.has("num_heads") ? "num_heads" : "num_attention_heads", 1, 1024);
  if (n.n_embd % n.n_heads != 0) c.reject(width, fmt::format("a multiple of the {} heads", n.n_heads));
  n.patch = c.integer("patch_size", 1, 256);
  // Models for pictures of any size do not name one; the value is then of no consequence.
  n.image = c.integer_or("image_size", n.patch, 4096, 40 * n.patch);
  n.n_ff = c.has("intermediate_size")
               ? c.integer("intermediate_size", 1, kMost)
               : static_cast<std::int64_t>(static_cast<double>(n.n_embd) * c.number_or("mlp_ratio", 4.0));
  b.put("embedding_length", static_cast<std::uint32_t>(n.n_embd));
  b.put("block_count", static_cast<std::uint32_t>(n.n_layers));
  b.put("attention.head_count", static_cast<std::uint32_t>(n.n_heads));
  b.put("feed_forward_length", static_cast<std::uint32_t>(n.n_ff));
  b.put("patch_size", static_cast<std::uint32_t>(n.patch));
  b.put("image_size", static_cast<std::uint32_t>(n.image));
  b.put("projection_dim", static_cast<std::uint32_t>(text_width(s)));
  b.put("attention.layer_norm_epsilon", static_cast<float>(c.number_or("layer_norm_eps", default_eps)));
  put_three(b, s, "image_mean");
  put_three(b, s, "image_std");
  return n;
}

void put_activation(Builder& b, const std::string& name) {
  if (name == "quick_gelu") return;
  const bool gelu = name == "gelu" || name == "gelu_pytorch_tanh" || name == "gelu_new";
  if (!gelu && name != "silu")
    fail(ErrorCategory::model,
         "{}: activation '{}' of the vision part is not supported; supported: quick_gelu, gelu, "
         "gelu_pytorch_tanh, silu",
         b.checkpoint.folder(), name);
  b.writer.set(gelu ? "clip.use_gelu" : "clip.use_silu", true);
}

}  // namespace mtmd::convert
