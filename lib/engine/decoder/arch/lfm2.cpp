// LFM2 (https://www.liquid.ai/blog/liquid-foundation-models-v2-our-second-series-of-generative-ai-models): most layers
// mix tokens by a short gated convolution, some by attention with normed heads. head_count_kv is 0 where there is a
// convolution. The cache keeps what the convolution reads, token by token: truncating and forking cost nothing.
#include "engine/decoder/pass.h"

namespace mtmd::decoder::arch {
namespace {

struct ShortConv final : OwnWeights {
  Weight in, out;  ///< [3 d, d]: the gates of input and output, and the input; [d, d]
  Vector kernel;   ///< [d, taps]
};

/// y = out(c * conv(b * x)), with (b, c, x) = in(h)
void short_conv(Pass& pass, std::size_t layer, Tensor& x, Tensor h) {
  const auto& w = own<ShortConv>(pass, layer);
  const std::int64_t n = h.rows, d = h.cols;
  const Tensor bcx = pass.ws.tensor(n, 3 * d), bx = pass.ws.tensor(n, d);
  pass.device.matmul(bcx, w.in, h);
  pass.device.multiply(bx, bcx.cols_at(0, d), bcx.cols_at(2 * d, d));
  pass.store(layer, bx, Tensor(nullptr, n, 0));
  Tensor c = bcx.cols_at(d, d);
  pass.keep(layer, x, c);
  if (x.rows == 0) return;
  const Tensor y = pass.ws.tensor(x.rows, d);
  pass.device.causal_conv(y, pass.cache.layer(layer), pass.look(layer), w.kernel);
  pass.device.multiply(y, y, c);
  pass.add_residual(x, w.out, {}, {}, y);
}

DecoderSpec describe(const Facts& f) {
  DecoderSpec s = transformer(f, RopePairs::halves, NormKind::rms, 0);
  for (LayerSpec& l : s.layers)
    if (l.n_kv_heads == 0) l.state_cols = s.n_embd;
  return s;
}

void load(Model& m, gguf::Weights& weights) {
  const std::int32_t taps = Facts(weights.file(), m.spec.n_ctx).integer("shortconv.l_cache", 1, 64);
  const std::int64_t d = m.spec.n_embd;
  embeddings(m, weights, "token_embd_norm");
  for (const Layer& l : layers(m, weights)) {
    norms(l);
    if (l.spec.state_cols > 0) {
      auto own = std::make_unique<ShortConv>();
      own->in = l.matrix("shortconv.in_proj.weight", 3 * d, d);
      own->out = l.matrix("shortconv.out_proj.weight", d, d);
      own->kernel = weights.values(l.name("shortconv.conv.weight"), {d, taps});
      l.w.own = std::move(own);
      l.w.mix = short_conv;
    } else {
      attention(l, Bias::none, Bias::none);
      head_norms(l);
    }
    feed_forward(l, Bias::none);
  }
}

}  // namespace

extern const Architecture lfm2{"lfm2", describe, load};

}  // namespace mtmd::decoder::arch
