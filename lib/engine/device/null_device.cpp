#include "engine/device/null_device.h"

#include <sys/mman.h>

#include <algorithm>

#include "engine/base/error.h"

namespace mtmd {
namespace {

class CountingDevice final : public NullDevice {
 public:
  DeviceInfo info() const override { return {"null", "computes nothing", 1}; }
  std::size_t packed_bytes() const noexcept override { return packed_bytes_; }

  std::shared_ptr<std::byte[]> allocate(std::size_t bytes) override {
    if (bytes == 0) bytes = 1;
    void* p = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) fail(ErrorCategory::resource, "no address space for {} bytes", bytes);
    return {static_cast<std::byte*>(p), [bytes](std::byte* data) { ::munmap(data, bytes); }};
  }

 protected:
  void do_matmul(std::span<const Product>, Tensor x) override { pack(x); }
  void do_gated(Tensor, const Weight&, const Weight&, Tensor x, Activation, Vector, Vector) override { pack(x); }
  void do_moe(Tensor, const MoeWeights&, const MoeRouting&, Tensor) override {}
  void do_get_rows(Tensor, const Weight&, std::span<const std::int32_t>) override {}
  void do_rms_norm(Tensor, Tensor, Vector, float) override {}
  void do_layer_norm(Tensor, Tensor, Vector, Vector, float) override {}
  void do_add(Tensor, Tensor, Tensor) override {}
  void do_multiply(Tensor, Tensor, Tensor) override {}
  void do_scale(Tensor, Tensor, float) override {}
  void do_activate(Tensor, Tensor, Activation) override {}
  void do_softcap(Tensor, Tensor, float) override {}
  void do_clamp(Tensor, Tensor, float, float) override {}
  void do_copy(Tensor, Tensor) override {}
  void do_rope(Tensor, std::int32_t, const RopeTable&, RopePairs) override {}
  void do_attention(Tensor, Tensor, Tensor, Tensor, std::span<const KeyRange>, const AttentionOptions&) override {}
  void do_attention(Tensor, Tensor, const KvLayer&, std::span<const PagedQuery>, const AttentionOptions&) override {}
  void do_kv_store(const KvLayer&, Tensor, Tensor, std::span<const std::int64_t>) override {}
  void do_causal_conv(Tensor, const KvLayer&, std::span<const PagedQuery>, Vector) override {}
  void do_delta_rule(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, const DeltaHeads&) override {}
  void do_unfold(Tensor, Tensor, const Unfold2d&, bool) override {}
  void do_average_pool(Tensor, Tensor, std::int32_t, std::int32_t, std::int32_t) override {}

 private:
  void pack(Tensor x) noexcept {
    packed_bytes_ = std::max(packed_bytes_, static_cast<std::size_t>(x.size()) * sizeof(float));
  }
  std::size_t packed_bytes_ = 0;
};

}  // namespace

std::unique_ptr<NullDevice> make_null_device() { return std::make_unique<CountingDevice>(); }

}  // namespace mtmd
