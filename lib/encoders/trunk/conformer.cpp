#include "encoders/trunk/conformer.h"

#include "encoders/trunk/hparams.h"

#include "engine/base/error.h"

namespace mtmd::encoders {
namespace {

/// Rows of the widest matrices at once, so that they do not grow with the recording.
constexpr std::int64_t kFeedForwardRows = 2048;

}  // namespace

RowNorm::RowNorm(gguf::Weights& weights, const std::string& name, std::int64_t n, Norm kind, float eps)
    : kind_(kind), eps_(eps), weight_(weights.vector(name + ".weight", n)) {
  if (kind == Norm::layer) bias_ = weights.vector(name + ".bias", n);
}

void RowNorm::run(Device& device, Tensor y, Tensor x) const {
  if (kind_ == Norm::layer) {
    device.layer_norm(y, x, weight_, bias_, eps_);
  } else {
    device.rms_norm(y, x, weight_, eps_);
  }
}

Projection::Projection(gguf::Weights& weights, const std::string& name, std::int64_t out, std::int64_t in)
    : clamps_(weights, name) {
  if (out == 0) out = matrix_rows(weights, name + ".weight");
  weight_ = weights.matrix(name + ".weight", out, in);
  bias_ = weights.vector_if(name + ".bias", out);
}

void Projection::run(Device& device, Workspace& ws, Tensor y, Tensor x, Activation activation) const {
  if (!clamps_) {
    device.matmul(y, weight_, x, {.bias = bias_, .activation = activation});
    return;
  }
  clamps_.matmul(device, ws, y, weight_, x, {.bias = bias_});
  if (activation != Activation::none) device.activate(y, y, activation);
}

HalfStep::HalfStep(gguf::Weights& weights, const std::string& prefix, const std::string& suffix,
                   const ConformerSpec& spec)
    : norm_(weights, prefix + "ffn_norm" + suffix, spec.n_embd, spec.norm, spec.eps),
      up_(weights, prefix + "ffn_up" + suffix, 0, spec.n_embd),
      down_(weights, prefix + "ffn_down" + suffix, spec.n_embd, up_.out()),
      post_(spec.post_norms) {
  if (post_) post_norm_ = RowNorm(weights, prefix + "ffn_post_norm" + suffix, spec.n_embd, spec.norm, spec.eps);
}

void HalfStep::run(Device& device, Workspace& ws, Tensor x) const {
  for (std::int64_t begin = 0; begin < x.rows; begin += kFeedForwardRows) {
    const Workspace::Scope scope(ws);
    const Tensor part = x.rows_at(begin, std::min(kFeedForwardRows, x.rows - begin));
    const Tensor y = ws.tensor(part.rows, part.cols), hidden = ws.tensor(part.rows, up_.out());
    norm_.run(device, y, part);
    up_.run(device, ws, hidden, y, Activation::silu);
    down_.run(device, ws, y, hidden);
    if (post_) post_norm_.run(device, y, y);
    device.scale(y, y, 0.5f);
    device.add(part, part, y);
  }
}

ConvModule::ConvModule(gguf::Weights& weights, Device& device, const std::string& prefix, const ConformerSpec& spec,
                       const ConvModuleSpec& conv)
    : norm_(weights, prefix + conv.norm, spec.n_embd, spec.norm, spec.eps),
      folded_(conv.folded),
      in_(weights, prefix + "conv_pw1", 0, spec.n_embd) {
  if (in_.out() % 2 != 0) {
    fail(ErrorCategory::model, "{}: {}conv_pw1.weight has {} rows, expected an even number",
         weights.file().metadata().file(), prefix, in_.out());
  }
  const std::int64_t channels = in_.out() / 2;
  if (const std::string name = prefix + conv.inner_norm; folded_) {
    weight_ = Table(device, weights.vector(name + ".weight", channels), 1, channels);
    bias_ = Table(device, weights.vector(name + ".bias", channels), 1, channels);
  } else {
    inner_norm_ = RowNorm(weights, name, channels, spec.norm, spec.eps);
  }
  depthwise_ =
      Depthwise(weights.values(prefix + "conv_dw.weight", {channels, conv.taps}),
                weights.vector_if(prefix + "conv_dw.bias", channels),
                {.channels = static_cast<std::int32_t>(channels), .kernel_h = conv.taps, .before_h = conv.before});
  out_ = Projection(weights, prefix + "conv_pw2", spec.n_embd, channels);
}

void ConvModule::run(Device& device, Workspace& ws, Tensor x) const {
  const Workspace::Scope scope(ws);
  const std::int64_t channels = in_.out() / 2;
  const Tensor y = ws.tensor(x.rows, x.cols), both = ws.tensor(x.rows, 2 * channels);
  const Tensor values = both.cols_at(0, channels), gates = both.cols_at(channels, channels);
  norm_.run(device, y, x);
  in_.run(device, ws, both, y);
  device.activate(gates, gates, Activation::sigmoid);
  device.multiply(values, values, gates);
  depthwise_.run(gates, values);  // nobody needs them any more
  if (folded_) {
    device.multiply(gates, gates, weight_.tensor());
    device.add(gates, gates, bias_.tensor());
  } else {
    inner_norm_.run(device, gates, gates);
  }
  device.activate(gates, gates, Activation::silu);
  out_.run(device, ws, y, gates);
  device.add(x, x, y);
}

ConformerBlock::ConformerBlock(gguf::Weights& weights, Device& device, const std::string& prefix,
                               const ConformerSpec& spec, const ConvModuleSpec& conv)
    : first_(weights, prefix, "", spec),
      second_(weights, prefix, "_1", spec),
      conv_(weights, device, prefix, spec, conv),
      post_(spec.post_norms) {
  const std::int64_t n = spec.n_embd;
  const auto norm = [&](const char* name) { return RowNorm(weights, prefix + name, n, spec.norm, spec.eps); };
  const auto square = [&](const char* name) { return Projection(weights, prefix + name, n, n); };
  attention_norm_ = norm(spec.attention_norm), norm_ = norm("ln2");
  if (post_) attention_post_norm_ = norm("attn_post_norm");
  q_ = square("attn_q"), k_ = square("attn_k"), v_ = square("attn_v"), o_ = square("attn_out");
}

void ConformerBlock::run(Device& device, Workspace& ws, Tensor x, const Attend& attend) const {
  first_.run(device, ws, x);
  attention(device, ws, x, attend);
  conv_.run(device, ws, x);
  second_.run(device, ws, x);
  norm_.run(device, x, x);
}

void ConformerBlock::attention(Device& device, Workspace& ws, Tensor x, const Attend& attend) const {
  const Workspace::Scope scope(ws);
  const Tensor y = ws.tensor(x.rows, x.cols), q = ws.tensor(x.rows, x.cols), k = ws.tensor(x.rows, x.cols),
               v = ws.tensor(x.rows, x.cols);
  attention_norm_.run(device, y, x);
  q_.run(device, ws, q, y), k_.run(device, ws, k, y), v_.run(device, ws, v, y);
  attend(y, q, k, v);
  o_.run(device, ws, q, y);
  if (post_) attention_post_norm_.run(device, q, q);
  device.add(x, x, q);
}

}  // namespace mtmd::encoders
