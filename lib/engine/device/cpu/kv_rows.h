// Where keys and values lie: f32 matrices, or a paged cache of any type; handed out as f32 rows of one head.
#pragma once

#include <span>

#include "engine/device/cpu/op_kernels.h"
#include "engine/device/device.h"

namespace mtmd::cpu {

/// n rows of f32, `stride` floats apart.
struct Rows {
  const float* data;
  std::int64_t stride;
};

/// One side (keys or values) of what a query looks at.
class KvSide {
 public:
  KvSide(Tensor rows, std::int64_t head_dim)
      : data_(reinterpret_cast<const std::byte*>(rows.data)),
        row_bytes_(static_cast<std::size_t>(rows.stride) * sizeof(float)),
        head_dim_(head_dim) {}
  KvSide(DType type, const std::byte* data, std::int64_t cols, std::int64_t head_dim, std::int32_t block_tokens,
         std::span<const std::int32_t> blocks)
      : type_(type),
        data_(data),
        row_bytes_(mtmd::row_bytes(type, cols)),
        head_dim_(head_dim),
        block_tokens_(block_tokens),
        blocks_(blocks) {}

  std::int64_t head_dim() const noexcept { return head_dim_; }

  /// Positions [first, first + n) of a kv head: in place where they can be used so, else converted into `scratch`
  /// [n, head_dim].
  Rows rows(const OpKernels& ops, std::int64_t head, std::int64_t first, std::int64_t n, float* scratch) const;

  /// Half-precision rows as they lie in the cache, or null for other types: head 0 of position `first`; `n` becomes the
  /// number of positions from there on, at most what it was, whose rows lie half_stride() apart.
  const std::uint16_t* half_rows(std::int64_t first, std::int64_t& n) const noexcept;
  std::int64_t half_stride() const noexcept { return static_cast<std::int64_t>(row_bytes_ / sizeof(std::uint16_t)); }

  /// The same positions of all heads into `out` [n_heads, n, head_dim], reading memory in the order in which it lies.
  /// Always a copy: rows of a head that are a power of two apart would throw each other out of the cache.
  void convert(const OpKernels& ops, std::int64_t n_heads, std::int64_t first, std::int64_t n, float* out) const;

 private:
  const std::byte* row(std::int64_t position) const noexcept;
  void convert_head(const OpKernels& ops, const std::byte* row, std::int64_t head, float* out) const;

  DType type_ = DType::F32;
  const std::byte* data_ = nullptr;
  std::size_t row_bytes_ = 0;
  std::int64_t head_dim_ = 0;
  std::int32_t block_tokens_ = 0;  ///< 0: not paged
  std::span<const std::int32_t> blocks_;
};

}  // namespace mtmd::cpu
