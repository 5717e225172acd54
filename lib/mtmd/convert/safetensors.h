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

/// The tensors in these bytes, which the views refer to; `file` is for messages. Checks that every tensor lies inside and
/// has the size that its shape asks for. Tensors of integers (masks, position ids) are left out. Throws Error(model).
std::vector<StoredTensor> parse_safetensors(std::span<const std::byte> bytes, const std::string& file);

class Safetensors {
 public:
  /// Throws Error(input) or Error(model).
  explicit Safetensors(const std::filesystem::path& path);
  const std::vector<StoredTensor>& tensors() const noexcept { return tensors_; }

 private:
  MappedFile file_;
  std::vector<StoredTensor> tensors_;
};

}  // namespace mtmd::convert
