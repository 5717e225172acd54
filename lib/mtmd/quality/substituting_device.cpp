#include "mtmd/quality/substituting_device.h"

namespace mtmd::quality {

Weight SubstitutingDevice::replaced(const Weight& w) const noexcept {
  if (!w || substitutes_.empty()) return w;
  const auto [tensor, row] = names_.find(w);
  const auto it = tensor ? substitutes_.find(tensor) : substitutes_.end();
  if (it == substitutes_.end()) return w;
  Weight other = w;
  other.type = it->second.type;
  other.data = it->second.bytes.data() + static_cast<std::size_t>(row) * other.row_bytes();
  return other;
}

void SubstitutingDevice::do_matmul(std::span<const Product> products, Tensor x) {
  std::vector<Product> other(products.begin(), products.end());
  for (Product& p : other) p.w = replaced(p.w);
  inner().matmul(other, x);
}

void SubstitutingDevice::do_gated(Tensor y, const Weight& gate, const Weight& up, Tensor x, Activation act,
                                  Vector gate_bias, Vector up_bias) {
  inner().gated(y, replaced(gate), replaced(up), x, act, gate_bias, up_bias);
}

void SubstitutingDevice::do_moe(Tensor y, const MoeWeights& w, const MoeRouting& routing, Tensor x) {
  MoeWeights other = w;
  for (Weight* part : {&other.gate, &other.up, &other.down, &other.gate_up}) *part = replaced(*part);
  inner().moe(y, other, routing, x);
}

void SubstitutingDevice::do_get_rows(Tensor y, const Weight& w, std::span<const std::int32_t> ids) {
  inner().get_rows(y, replaced(w), ids);
}

}  // namespace mtmd::quality
