// Models of well-known shapes with random weights, for measuring without a file.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/gguf/gguf.h"

namespace mtmd::bench {

/// A GGUF file that exists in memory only.
class MemoryFile {
 public:
  MemoryFile(int fd, gguf::File file) : fd_(fd), file_(std::move(file)) {}
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  gguf::File& file() noexcept { return file_; }

 private:
  int fd_;
  gguf::File file_;
};

struct RandomModel {
  std::string name;                      ///< e.g. "llama-3.2-1b Q4_K_M"
  std::unique_ptr<MemoryFile> text, encoder;  ///< either may be null
};

/// `shape`: one of shape_names(); `type`: a name of `mtmd quantize`. Tensors get the types that `mtmd quantize` would
/// choose without an importance matrix; encoders have no recipe: their matrices are F32, F16, BF16 or Q8_0 when that is
/// the type, else F16. Throws Error(usage) for an unknown name, Error(resource) when memory is short.
RandomModel random_model(std::string_view shape, std::string_view type);
std::span<const std::string_view> shape_names() noexcept;

}  // namespace mtmd::bench
