#include "encoders/projector/products.h"

#include <fmt/core.h>

#include "engine/tensor/precision.h"

namespace mtmd::encoders {

std::string describe_products(const gguf::File& file) {
  if (file.precision() == Precision::f32) return "products in f32, as asked";
  if (file.precision() == Precision::bf16) return "products in bf16, as asked";
  int n = 0, fitting = 0;
  for (const gguf::TensorInfo& t : file.tensors()) {
    if (t.shape.size() < 2 || (t.type != DType::F16 && t.type != DType::BF16)) continue;
    const std::int64_t cols = t.shape.back();
    ++n, fitting += seems_to_fit_bf16({t.type, t.data.data(), t.n_values() / cols, cols});
  }
  if (n == 0) return "products as its weights' types have them";
  if (fitting == n) return fmt::format("products in bf16 where that is faster: the weights of all {} matrices in half precision fit", n);
  return fmt::format("products in bf16 where that is faster for {} of {} matrices in half precision, whose weights fit", fitting, n);
}

}  // namespace mtmd::encoders
