// What conformers (Gulati et al. 2020, arXiv:2005.08100) share around their attention: the two half steps of
// feed-forward and the convolution module. How distances enter the attention: relative.h.
#pragma once

#include <functional>
#include <string>

#include "encoders/trunk/clamps.h"
#include "encoders/trunk/depthwise.h"
#include "encoders/trunk/rows.h"
#include "encoders/trunk/vit.h"

namespace mtmd::encoders {

struct ConformerSpec {
  std::int32_t n_embd = 0;
  float eps = 0.0f;
  Norm norm = Norm::layer;  ///< layer: with bias; rms: without
  bool post_norms = false;  ///< half steps and attention norm what they add, too
  const char* attention_norm = "ln1";
};

/// A norm over rows: `name`.weight, and .bias for Norm::layer.
class RowNorm {
 public:
  RowNorm() = default;
  RowNorm(gguf::Weights& weights, const std::string& name, std::int64_t n, Norm kind, float eps);
  void run(Device& device, Tensor y, Tensor x) const;

 private:
  Norm kind_ = Norm::layer;
  float eps_ = 0.0f;
  Vector weight_, bias_;
};

/// A matrix with its bias and clamps, where the file has them.
class Projection {
 public:
  Projection() = default;
  /// out 0: the file's choice.
  Projection(gguf::Weights& weights, const std::string& name, std::int64_t out, std::int64_t in);
  std::int64_t out() const noexcept { return weight_.rows; }
  /// y: [n, out()], x: [n, in]
  void run(Device& device, Workspace& ws, Tensor y, Tensor x, Activation activation = Activation::none) const;

 private:
  Weight weight_;
  Vector bias_;
  Clamps clamps_;
};

/// Half a step of feed-forward: x += norm(down(silu(up(norm(x))))) / 2.
class HalfStep {
 public:
  HalfStep() = default;
  /// `prefix`ffn_{norm, up, down, post_norm}`suffix`
  HalfStep(gguf::Weights& weights, const std::string& prefix, const std::string& suffix, const ConformerSpec& spec);
  void run(Device& device, Workspace& ws, Tensor x) const;

 private:
  RowNorm norm_, post_norm_;
  Projection up_, down_;
  bool post_ = false;
};

struct ConvModuleSpec {
  const char* norm = "norm_conv";        ///< of the input
  const char* inner_norm = "conv_norm";  ///< behind the depthwise convolution
  bool folded = true;                    ///< the inner norm is a batch norm as its converter left it: weight x + bias
  std::int32_t taps = 0, before = 0;     ///< of the kernel, and how many of them look back
};

/// x += pw2(silu(norm(depthwise(glu(pw1(norm(x)))))))
class ConvModule {
 public:
  ConvModule() = default;
  /// `prefix`conv_{pw1, dw, pw2} and the norms; pw1 has twice as many rows as dw has channels.
  ConvModule(gguf::Weights& weights, Device& device, const std::string& prefix, const ConformerSpec& spec,
             const ConvModuleSpec& conv);
  void run(Device& device, Workspace& ws, Tensor x) const;

 private:
  RowNorm norm_, inner_norm_;
  bool folded_ = false;
  Table weight_, bias_;  // [1, channels] of a folded norm
  Projection in_, out_;
  Depthwise depthwise_;
};

/// x = norm(second(conv(attention(first(x))))), each but the norm adding to x.
class ConformerBlock {
 public:
  ConformerBlock() = default;
  /// Beside the tensors of its parts: `prefix`attn_{q, k, v, out}, the norm in front of them, attn_post_norm, ln2.
  ConformerBlock(gguf::Weights& weights, Device& device, const std::string& prefix, const ConformerSpec& spec,
                 const ConvModuleSpec& conv);
  /// attend(y, q, k, v): all [rows, n_embd]; may overwrite q, k, v.
  using Attend = std::function<void(Tensor y, Tensor q, Tensor k, Tensor v)>;
  void run(Device& device, Workspace& ws, Tensor x, const Attend& attend) const;

 private:
  void attention(Device& device, Workspace& ws, Tensor x, const Attend& attend) const;

  HalfStep first_, second_;
  RowNorm attention_norm_, attention_post_norm_, norm_;
  Projection q_, k_, v_, o_;
  ConvModule conv_;
  bool post_ = false;
};

}  // namespace mtmd::encoders
