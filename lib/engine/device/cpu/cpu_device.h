// The fast device: kernels compiled per instruction set (dispatch.h), run on a thread pool. Work is cut into chunks
// that do not depend on the number of threads, so results do not either. The ops are spread over files: matmul*.cpp
// (products, get_rows), elementwise.cpp (norms to rope), attention*.cpp, kv_store.cpp, pictures.cpp.
#pragma once

#include "engine/base/thread_pool.h"
#include "engine/device/cpu/dispatch.h"
#include "engine/device/cpu/op_kernels.h"
#include "engine/device/device.h"

namespace mtmd {

class CpuDevice final : public Device {
 public:
  /// Throws Error(usage) for an instruction set that the machine lacks, Error(resource) without threads.
  explicit CpuDevice(const DeviceOptions& options);

  DeviceInfo info() const override;
  std::shared_ptr<std::byte[]> allocate(std::size_t bytes) override;

 protected:
  void do_matmul(std::span<const Product> products, Tensor x) override;
  void do_gated(Tensor y, const Weight& gate, const Weight& up, Tensor x, Activation act, Vector gate_bias,
                Vector up_bias) override;
  void do_feed_forward(Tensor y, const FeedForward& w, Tensor x, Tensor hidden, const MatmulOptions& options) override;
  void do_moe(Tensor y, const MoeWeights& w, const MoeRouting& routing, Tensor x) override;
  void do_get_rows(Tensor y, const Weight& w, std::span<const std::int32_t> ids) override;
  void do_rms_norm(Tensor y, Tensor x, Vector w, float eps) override;
  void do_layer_norm(Tensor y, Tensor x, Vector w, Vector b, float eps) override;
  void do_add(Tensor y, Tensor a, Tensor b) override;
  void do_multiply(Tensor y, Tensor a, Tensor b) override;
  void do_scale(Tensor y, Tensor x, float factor) override;
  void do_activate(Tensor y, Tensor x, Activation act) override;
  void do_softcap(Tensor y, Tensor x, float cap) override;
  void do_clamp(Tensor y, Tensor x, float low, float high) override;
  void do_copy(Tensor y, Tensor x) override;
  void do_rope(Tensor x, std::int32_t head_dim, const RopeTable& table, RopePairs pairs) override;
  void do_attention(Tensor y, Tensor q, Tensor k, Tensor v, std::span<const KeyRange> ranges,
                    const AttentionOptions& options) override;
  void do_attention(Tensor y, Tensor q, const KvLayer& kv, std::span<const PagedQuery> queries,
                    const AttentionOptions& options) override;
  void do_kv_store(const KvLayer& kv, Tensor k, Tensor v, std::span<const std::int64_t> rows) override;
  void do_causal_conv(Tensor y, const KvLayer& kv, std::span<const PagedQuery> queries, Vector kernel) override;
  void do_delta_rule(Tensor y, Tensor q, Tensor k, Tensor v, Tensor decay, Tensor beta, Tensor state,
                     const DeltaHeads& heads) override;
  void do_unfold(Tensor y, Tensor x, const Unfold2d& how, bool round_f16) override;
  void do_average_pool(Tensor y, Tensor x, std::int32_t height, std::int32_t width, std::int32_t s) override;

 private:
  const cpu::OpKernels& ops() const noexcept { return *kernels_.ops; }
  /// body(first row, one past the last) over rows of `cols` values each, in pieces worth a thread's while.
  template <class F>
  void for_rows(std::int64_t rows, std::int64_t cols, F&& body) {
    constexpr std::int64_t kValues = 1 << 14;
    pool_.parallel_ranges(rows, kValues / (cols > 0 ? cols : 1), body);
  }
  template <class F>
  void map(Tensor y, Tensor x, F&& row_kernel);
  template <class F>
  void map2(Tensor y, Tensor a, Tensor b, F&& row_kernel);

  const cpu::Kernels& kernels_;
  ThreadPool pool_;
};

}  // namespace mtmd
