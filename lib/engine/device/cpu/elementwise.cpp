// Norms, activations, arithmetic and rotations: rows of kernels spread over the pool.
#include <cstring>

#include "engine/device/cpu/cpu_device.h"

namespace mtmd {
namespace {

/// Null for none.
const float* data(Vector v) { return v.empty() ? nullptr : v.data(); }

}  // namespace

/// row_kernel(y, x, n) over every row; tensors without gaps are one long row, cut evenly.
template <class F>
void CpuDevice::map(Tensor y, Tensor x, F&& row_kernel) {
  if (y.contiguous() && x.contiguous()) {
    for_rows(y.size(), 1,
             [&](std::int64_t begin, std::int64_t end) { row_kernel(y.data + begin, x.data + begin, end - begin); });
    return;
  }
  for_rows(y.rows, y.cols, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) row_kernel(y.row(r), x.row(r), y.cols);
  });
}

/// row_kernel(y, a, b, n); b may be one row for all.
template <class F>
void CpuDevice::map2(Tensor y, Tensor a, Tensor b, F&& row_kernel) {
  if (y.rows == b.rows && y.contiguous() && a.contiguous() && b.contiguous()) {
    for_rows(y.size(), 1, [&](std::int64_t begin, std::int64_t end) {
      row_kernel(y.data + begin, a.data + begin, b.data + begin, end - begin);
    });
    return;
  }
  for_rows(y.rows, y.cols, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) row_kernel(y.row(r), a.row(r), b.row(b.rows == 1 ? 0 : r), y.cols);
  });
}

void CpuDevice::do_rms_norm(Tensor y, Tensor x, Vector w, float eps) {
  for_rows(x.rows, x.cols, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) ops().rms_norm(y.row(r), x.row(r), data(w), x.cols, eps);
  });
}

void CpuDevice::do_layer_norm(Tensor y, Tensor x, Vector w, Vector b, float eps) {
  for_rows(x.rows, x.cols, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) ops().layer_norm(y.row(r), x.row(r), data(w), data(b), x.cols, eps);
  });
}

void CpuDevice::do_add(Tensor y, Tensor a, Tensor b) { map2(y, a, b, ops().add); }

void CpuDevice::do_multiply(Tensor y, Tensor a, Tensor b) { map2(y, a, b, ops().multiply); }

void CpuDevice::do_scale(Tensor y, Tensor x, float factor) {
  map(y, x, [&](float* to, const float* from, std::int64_t n) { ops().scale(to, from, factor, n); });
}

void CpuDevice::do_activate(Tensor y, Tensor x, Activation act) { map(y, x, ops().activate[static_cast<int>(act)]); }

void CpuDevice::do_softcap(Tensor y, Tensor x, float cap) {
  map(y, x, [&](float* to, const float* from, std::int64_t n) { ops().softcap(to, from, cap, n); });
}

void CpuDevice::do_clamp(Tensor y, Tensor x, float low, float high) {
  map(y, x, [&](float* to, const float* from, std::int64_t n) { ops().clamp(to, from, low, high, n); });
}

void CpuDevice::do_copy(Tensor y, Tensor x) {
  map(y, x, [](float* to, const float* from, std::int64_t n) {
    std::memmove(to, from, static_cast<std::size_t>(n) * sizeof(float));
  });
}

void CpuDevice::do_rope(Tensor x, std::int32_t head_dim, const RopeTable& table, RopePairs pairs) {
  const auto rotate = pairs == RopePairs::adjacent ? ops().rope_adjacent : ops().rope_halves;
  for_rows(x.rows, x.cols, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t)
      rotate(x.row(t), x.cols / head_dim, head_dim, &table.cos[t * table.pairs], &table.sin[t * table.pairs],
             table.pairs);
  });
}

}  // namespace mtmd
