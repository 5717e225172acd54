// The half of a layer that treats each token by itself: a feed-forward block, or a mixture of experts.
#include "engine/decoder/pass.h"

namespace mtmd::decoder {
namespace {

/// The experts of a token that weigh their inputs: one product per choice, its input scaled.
void weighed_experts(Pass& pass, const MoeWeights& w, Tensor y, Tensor h) {
  const std::int32_t n_used = pass.spec.n_experts_used;
  const Tensor scaled = pass.ws.tensor(h.rows, h.cols);
  PassMemory& m = pass.memory;
  m.one_choice.resize(static_cast<std::size_t>(h.rows));
  m.one_weight.assign(static_cast<std::size_t>(h.rows), 1.0f);
  for (std::int32_t j = 0; j < n_used; ++j) {
    for (std::int64_t t = 0; t < h.rows; ++t) {
      m.one_choice[t] = m.routed.experts[t * n_used + j];
      pass.device.scale(scaled.rows_at(t, 1), h.rows_at(t, 1), m.routed.weights[t * n_used + j]);
    }
    pass.device.moe(y, w, {1, m.one_choice, m.one_weight}, scaled);
  }
}

/// The expert that every token uses; some models weigh it by the sigmoid of a score of its own.
void add_shared(Pass& pass, const LayerWeights& w, Tensor y, Tensor h) {
  Device& device = pass.device;
  const Tensor g = pass.ws.tensor(h.rows, pass.spec.n_ff_shared);
  if (!w.shared_router) {
    const FeedForward block{w.shared_gate, w.shared_up, w.shared_down, pass.spec.activation};
    return device.feed_forward(y, block, h, g, {.accumulate = true});
  }
  device.gated(g, w.shared_gate, w.shared_up, h, pass.spec.activation);
  const Tensor score = pass.ws.tensor(h.rows, 1);
  device.matmul(score, w.shared_router, h, {.activation = Activation::sigmoid});
  for (std::int64_t t = 0; t < h.rows; ++t) device.scale(g.rows_at(t, 1), g.rows_at(t, 1), score.row(t)[0]);
  device.matmul(y, w.shared_down, g, {.accumulate = true});
}

}  // namespace

void feed_forward_block(Pass& pass, std::size_t layer, Tensor& x, Tensor h) {
  const LayerSpec& s = pass.spec.layers[layer];
  const LayerWeights& w = pass.model.layers[layer];
  if (s.moe) {
    if (w.post_ffn_norm.empty() && pass.spec.residual_scale == 1.0f) return add_experts(pass, layer, x, h, h);
    const Tensor y = pass.zeros(x.rows, x.cols);
    add_experts(pass, layer, y, h, h);
    return pass.add_residual(x, w.post_ffn_norm, y);
  }
  const FeedForward block{w.gate, w.up, w.down, pass.spec.activation, w.gate_bias, w.up_bias};
  const Tensor hidden = pass.ws.tensor(x.rows, s.n_ff);
  pass.add_residual(x, w.post_ffn_norm, [&](Tensor y, bool accumulate) {
    pass.device.feed_forward(y, block, h, hidden, {.bias = w.down_bias, .accumulate = accumulate});
  });
}

void add_experts(Pass& pass, std::size_t layer, Tensor y, Tensor h, Tensor router_input) {
  const DecoderSpec& spec = pass.spec;
  const LayerWeights& w = pass.model.layers[layer];
  const Tensor scores = pass.ws.tensor(h.rows, spec.n_experts);
  pass.device.matmul(scores, w.router, router_input, {.bias = w.router_bias});
  Routed& routed = pass.memory.routed;
  route(scores, spec, w.selection_bias, routed);
  if (!w.expert_scales.empty())
    for (std::size_t i = 0; i < routed.experts.size(); ++i) routed.weights[i] *= w.expert_scales[routed.experts[i]];
  if (spec.weighed_before_experts)
    weighed_experts(pass, w.experts, y, h);
  else
    pass.device.moe(y, w.experts, {spec.n_experts_used, routed.experts, routed.weights}, h);
  if (w.shared_up) add_shared(pass, w, y, h);
}

}  // namespace mtmd::decoder
