// From a weight that an op is called with back to the tensor of the file it is part of.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/gguf/gguf.h"

namespace mtmd::quality {

class WeightNames {
 public:
  explicit WeightNames(const gguf::File& file);  ///< which must outlive this object

  struct Place {
    const gguf::TensorInfo* tensor = nullptr;  ///< null: memory of something else
    std::int64_t row = 0;                      ///< of the tensor's values seen as one matrix [.., last dimension]
  };
  Place find(const Weight& w) const noexcept;

 private:
  std::vector<const gguf::TensorInfo*> by_address_;
};

}  // namespace mtmd::quality
