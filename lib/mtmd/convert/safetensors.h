// One safetensors file: a JSON table of names, types, shapes and places, then the data.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "engine/base/mapped_file.h"
#include "engine/tensor/dtype.h"

namespace mtmd::convert {

struct StoredTensor {
  std::string name;
  DType type{};  ///< F32, F16, BF16 or F64
  std::vector<std::int64_t> shape;
  std::span<const std::byte> data;
};

class Safetensors {
 public:
  /// Checks that every tensor lies inside the file and has the size that its shape asks for. Tensors of integers
  /// (masks, position ids) are left out. Throws Error(input) or Error(model).
  explicit Safetensors(const std::filesystem::path& path);
  const std::vector<StoredTensor>& tensors() const noexcept { return tensors_; }

 private:
  MappedFile file_;
  std::vector<StoredTensor> tensors_;
};

}  // namespace mtmd::convert
