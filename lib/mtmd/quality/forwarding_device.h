// A device that hands every op to another one: the base of devices that watch a model at work, or change its weights.
#pragma once

#include <memory>
#include <span>

#include "engine/device/device.h"

namespace mtmd::quality {

/// Derived classes override the ops that interest them. An op added to Device needs its line here,
/// but for those that Device itself makes of others (feed_forward): their parts come by.
class ForwardingDevice : public Device {
 public:
  explicit ForwardingDevice(Device& inner) noexcept : inner_(inner) {}  ///< which must outlive this one

  DeviceInfo info() const override { return inner_.info(); }
  std::shared_ptr<std::byte[]> allocate(std::size_t bytes) override { return inner_.allocate(bytes); }

 protected:
  Device& inner() const noexcept { return inner_; }

  void do_matmul(std::span<const Product> products, Tensor x) override { inner_.matmul(products, x); }
  void do_gated(Tensor y, const Weight& gate, const Weight& up, Tensor x, Activation act, Vector gate_bias,
                Vector up_bias) override {
    inner_.gated(y, gate, up, x, act, gate_bias, up_bias);
  }
  void do_moe(Tensor y, const MoeWeights& w, const MoeRouting& routing, Tensor x) override {
    inner_.moe(y, w, routing, x);
  }
  void do_get_rows(Tensor y, const Weight& w, std::span<const std::int32_t> ids) override {
    inner_.get_rows(y, w, ids);
  }
  void do_rms_norm(Tensor y, Tensor x, Vector w, float eps) override { inner_.rms_norm(y, x, w, eps); }
  void do_layer_norm(Tensor y, Tensor x, Vector w, Vector b, float eps) override { inner_.layer_norm(y, x, w, b, eps); }
  void do_add(Tensor y, Tensor a, Tensor b) override { inner_.add(y, a, b); }
  void do_multiply(Tensor y, Tensor a, Tensor b) override { inner_.multiply(y, a, b); }
  void do_scale(Tensor y, Tensor x, float factor) override { inner_.scale(y, x, factor); }
  void do_activate(Tensor y, Tensor x, Activation act) override { inner_.activate(y, x, act); }
  void do_softcap(Tensor y, Tensor x, float cap) override { inner_.softcap(y, x, cap); }
  void do_clamp(Tensor y, Tensor x, float low, float high) override { inner_.clamp(y, x, low, high); }
  void do_copy(Tensor y, Tensor x) override { inner_.copy(y, x); }
  void do_rope(Tensor x, std::int32_t head_dim, const RopeTable& table, RopePairs pairs) override {
    inner_.rope(x, head_dim, table, pairs);
  }
  void do_attention(Tensor y, Tensor q, Tensor k, Tensor v, std::span<const KeyRange> ranges,
                    const AttentionOptions& options) override {
    inner_.attention(y, q, k, v, ranges, options);
  }
  void do_attention(Tensor y, Tensor q, const KvLayer& kv, std::span<const PagedQuery> queries,
                    const AttentionOptions& options) override {
    inner_.attention(y, q, kv, queries, options);
  }
  void do_kv_store(const KvLayer& kv, Tensor k, Tensor v, std::span<const std::int64_t> rows) override {
    inner_.kv_store(kv, k, v, rows);
  }
  void do_causal_conv(Tensor y, const KvLayer& kv, std::span<const PagedQuery> queries, Vector kernel) override {
    inner_.causal_conv(y, kv, queries, kernel);
  }
  void do_delta_rule(Tensor y, Tensor q, Tensor k, Tensor v, Tensor decay, Tensor beta, Tensor state,
                     const DeltaHeads& heads) override {
    inner_.delta_rule(y, q, k, v, decay, beta, state, heads);
  }
  void do_unfold(Tensor y, Tensor x, const Unfold2d& how, bool round_f16) override {
    inner_.unfold(y, x, how, round_f16);
  }
  void do_average_pool(Tensor y, Tensor x, std::int32_t height, std::int32_t width, std::int32_t s) override {
    inner_.average_pool(y, x, height, width, s);
  }

 private:
  Device& inner_;
};

}  // namespace mtmd::quality
