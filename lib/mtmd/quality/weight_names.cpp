#include "mtmd/quality/weight_names.h"

#include <algorithm>
#include <functional>

namespace mtmd::quality {

WeightNames::WeightNames(const gguf::File& file) {
  for (const gguf::TensorInfo& t : file.tensors()) by_address_.push_back(&t);
  std::ranges::sort(by_address_, std::less<>(), [](const gguf::TensorInfo* t) { return t->data.data(); });
}

WeightNames::Place WeightNames::find(const Weight& w) const noexcept {
  const auto after = std::ranges::upper_bound(by_address_, w.data, std::less<>(),
                                              [](const gguf::TensorInfo* t) { return t->data.data(); });
  if (after == by_address_.begin()) return {};
  const gguf::TensorInfo* t = *(after - 1);
  const auto offset = static_cast<std::size_t>(w.data - t->data.data());
  if (offset >= t->data.size() || t->type != w.type) return {};
  return {t, static_cast<std::int64_t>(offset / w.row_bytes())};
}

}  // namespace mtmd::quality
