// The transformer of vision encoders (Dosovitskiy et al. 2021, arXiv:2010.11929) and of Whisper: one forward pass for
// all, driven by a VitSpec. What surrounds it (patches, positions, projection) belongs to the projector types.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "encoders/trunk/clamps.h"
#include "engine/device/device.h"
#include "engine/device/rope_table.h"
#include "engine/gguf/weights.h"

namespace mtmd::encoders {

enum class Norm { layer, rms };

struct VitSpec {
  std::string_view prefix = "v.";  ///< of the tensors' names
  std::int32_t n_embd = 0, n_heads = 0, n_layers = 0;
  std::int32_t n_kv_heads = 0;  ///< 0: as many as n_heads, which is a multiple of it
  float eps = 1e-6f;
  Norm norm = Norm::layer;
  Activation activation = Activation::gelu_quick;
  bool gated = false;            ///< ffn = down(act(gate x) * up x)
  bool norm_after = false;       ///< x += norm(attn(x)), x += norm(ffn(x)) instead of normed inputs
  bool norm_values = false;      ///< v is RMS-normed per head, without weights
  float attention_scale = 0.0f;  ///< of q k; 0: 1 / sqrt(head_dim)
  bool swapped_ffn = false;      ///< files of the older naming, where ffn_down is the first matrix, may occur
  std::int32_t n_skipped = 0;    ///< last layers that the file holds but nobody runs
};

class Vit {
 public:
  Vit() = default;
  /// Fetches PREFIXblk.*, and PREFIXpre_ln / PREFIXpost_ln where the file has them.
  Vit(gguf::Weights& weights, Device& device, const VitSpec& spec);

  /// What a pass needs to know besides the rows themselves.
  struct Pass {
    /// Per row, the rows it sees; `windows` serves the layers that `windowed` names (may be empty).
    std::span<const KeyRange> ranges, windows = {};
    std::function<bool(int)> windowed = nullptr;
    const RopeTable* rope = nullptr;  ///< of q and k; none: nullptr
    RopePairs pairs = RopePairs::halves;
    std::function<void(Tensor)> rotate = nullptr;  ///< instead of `rope`: q, then k [rows, heads * head_dim], in place
    std::function<void(int, Tensor)> after_layer = nullptr;  ///< e.g. deepstack
  };
  /// x: [rows, n_embd], in place: pre_ln, the layers, post_ln.
  void run(Workspace& ws, Tensor x, const Pass& pass) const;

  /// The parts of run(), for encoders that make fewer rows of many between two layers: pre_ln; layers [first, end);
  /// post_ln.
  void begin(Tensor x) const;
  void run_layers(Workspace& ws, Tensor x, const Pass& pass, int first, int end) const;
  void end(Tensor x) const;
  int n_layers() const noexcept { return static_cast<int>(layers_.size()); }  ///< those that run

  void norm(Tensor y, Tensor x, Vector w, Vector b) const;
  const VitSpec& spec() const noexcept { return spec_; }

 private:
  struct Layer {
    Vector ln1, ln1_bias, ln2, ln2_bias;    // [n_embd]
    Vector ls1, ls2;                        // [n_embd] layer scales, optional
    Vector q_norm, k_norm;                  // [head_dim] per head, optional
    Weight q, k, v, o;                      // [n_embd, n_embd]; k, v: [n_kv_heads * head_dim, n_embd]
    Vector q_bias, k_bias, v_bias, o_bias;  // as many values as rows, optional
    Weight up, gate, down;                  // [n_ff, n_embd], [n_ff, n_embd], [n_embd, n_ff]
    Vector up_bias, gate_bias, down_bias;   // optional
    Vector attn_post_norm, ffn_post_norm;   // [n_embd] of what is added to the rows, optional
    Precision attention = Precision::f32;
    bool clamped = false;  // any of these:
    Clamps q_clamps, k_clamps, v_clamps, o_clamps, up_clamps, gate_clamps, down_clamps;
  };
  Layer load_layer(gguf::Weights& weights, const std::string& prefix) const;
  void load_ffn(gguf::Weights& weights, const std::string& prefix, Layer& layer) const;
  static void load_clamps(gguf::Weights& weights, const std::string& prefix, Layer& layer);
  void attention(Workspace& ws, Tensor x, const Layer& layer, const Pass& pass, int index) const;
  void project(Workspace& ws, Tensor q, Tensor k, Tensor v, const Layer& layer, Tensor x) const;
  void expand_clamped(Workspace& ws, Tensor hidden, const Layer& layer, Tensor x) const;
  void feed_forward(Workspace& ws, Tensor x, const Layer& layer) const;
  struct Residual {
    Vector scale;       // [n_embd], optional
    Vector norm, bias;  // of the product; empty: none
  };
  /// `own`: norms the input of the part, or its output; `post`: its output, beside that.
  Residual residual(Vector scale, Vector own, Vector bias, Vector post) const noexcept {
    return spec_.norm_after ? Residual{scale, own, bias} : Residual{scale, post, {}};
  }
  /// x += scale * norm(y) of what product(y, false) leaves in y. Where nothing stands between, product(x, true) adds to
  /// x, if it can (`adds`).
  template <class F>
  void add_residual(Workspace& ws, Tensor x, const Residual& how, bool adds, const F& product) const;
  /// The same of w y + bias.
  void add_product(Workspace& ws, Tensor x, const Weight& w, Vector bias, const Residual& how, Tensor y,
                   const Clamps& clamps) const;

  Device* device_ = nullptr;
  VitSpec spec_;
  Vector pre_ln_, pre_ln_bias_, post_ln_, post_ln_bias_;
  std::vector<Layer> layers_;
};

/// Rows of several pictures one after the other, `n` each: every row sees its own picture.
std::vector<KeyRange> own_picture(std::int64_t n_pictures, std::int64_t n);

}  // namespace mtmd::encoders
