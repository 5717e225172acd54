// New keys and values into the paged cache.
#include <cstring>

#include "engine/device/cpu/cpu_device.h"
#include "engine/quant/quant.h"

namespace mtmd {
namespace {

void store_row(const cpu::OpKernels& ops, DType type, std::byte* to, const float* from, std::int64_t n) {
  if (n == 0) return;  // a cache without values has no memory for them
  switch (type) {
    case DType::F32:
      std::memcpy(to, from, static_cast<std::size_t>(n) * sizeof(float));
      break;
    case DType::F16:
      ops.f32_to_f16(reinterpret_cast<std::uint16_t*>(to), from, n);
      break;
    default:
      quant::find(type)->encode(from, to, n, nullptr, quant::Effort::standard);
  }
}

}  // namespace

void CpuDevice::do_kv_store(const KvLayer& kv, Tensor k, Tensor v, std::span<const std::int64_t> rows) {
  const std::size_t k_bytes = row_bytes(kv.type, kv.key_cols), v_bytes = row_bytes(kv.type, kv.value_cols);
  for_rows(k.rows, k.cols + v.cols, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const auto row = static_cast<std::size_t>(rows[i]);
      store_row(ops(), kv.type, kv.k + row * k_bytes, k.row(i), k.cols);
      store_row(ops(), kv.type, kv.v + row * v_bytes, v.row(i), v.cols);
    }
  });
}

}  // namespace mtmd
