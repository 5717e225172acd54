#include "engine/device/cpu/kv_rows.h"

#include <algorithm>
#include <cstring>

namespace mtmd::cpu {

const std::byte* KvSide::row(std::int64_t position) const noexcept {
  if (block_tokens_ > 0)
    position = std::int64_t{blocks_[position / block_tokens_]} * block_tokens_ + position % block_tokens_;
  return data_ + static_cast<std::size_t>(position) * row_bytes_;
}

void KvSide::convert_head(const OpKernels& ops, const std::byte* row, std::int64_t head, float* out) const {
  if (type_ == DType::Q8_0)
    ops.q8_0_to_f32(out, row, head * head_dim_, head_dim_);
  else if (type_ == DType::F16)
    ops.f16_to_f32(out, reinterpret_cast<const std::uint16_t*>(row) + head * head_dim_, head_dim_);
  else
    std::memcpy(out, reinterpret_cast<const float*>(row) + head * head_dim_,
                static_cast<std::size_t>(head_dim_) * sizeof(float));
}

Rows KvSide::rows(const OpKernels& ops, std::int64_t head, std::int64_t first, std::int64_t n, float* scratch) const {
  const bool in_one_piece = block_tokens_ == 0 || first / block_tokens_ == (first + n - 1) / block_tokens_;
  if (type_ == DType::F32 && in_one_piece)
    return {reinterpret_cast<const float*>(row(first)) + head * head_dim_,
            static_cast<std::int64_t>(row_bytes_ / sizeof(float))};
  for (std::int64_t i = 0; i < n; ++i) convert_head(ops, row(first + i), head, scratch + i * head_dim_);
  return {scratch, head_dim_};
}

const std::uint16_t* KvSide::half_rows(std::int64_t first, std::int64_t& n) const noexcept {
  if (type_ != DType::F16) return nullptr;
  if (block_tokens_ > 0) n = std::min(n, block_tokens_ - first % block_tokens_);
  return reinterpret_cast<const std::uint16_t*>(row(first));
}

void KvSide::convert(const OpKernels& ops, std::int64_t n_heads, std::int64_t first, std::int64_t n, float* out) const {
  for (std::int64_t i = 0; i < n; ++i) {
    const std::byte* from = row(first + i);
    for (std::int64_t head = 0; head < n_heads; ++head) convert_head(ops, from, head, out + (head * n + i) * head_dim_);
  }
}

}  // namespace mtmd::cpu
