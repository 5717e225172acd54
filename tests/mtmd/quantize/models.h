// Small random models in memory, and folders that go away.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/gguf/gguf.h"

namespace mtmd::quantize::test {

/// How a model is shaped; the names are those of the architecture's tensors.
struct Shape {
  std::string architecture = "llama";
  std::int64_t n_layer = 2, n_head = 4, n_head_kv = 2, n_expert = 0;
  std::int64_t width = 256, ff = 256, vocab = 64;
  bool tied = false, fused_qkv = false, qk_norm = false, post_norms = false, rope_factors = false;
};

struct Named {
  std::string name;
  std::vector<std::int64_t> shape;
};
/// Every tensor of such a model, in the order of a converter (not of the output).
std::vector<Named> tensors_of(const Shape& shape);

/// A GGUF file of f16 matrices and f32 vectors with gaussian values.
std::vector<std::byte> random_model(const Shape& shape, unsigned seed = 1);
void write_model(const std::filesystem::path& path, const Shape& shape, unsigned seed = 1);

class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }
  std::vector<std::string> names() const;  ///< of what is in it, sorted

 private:
  std::filesystem::path path_;
};

std::string contents(const std::filesystem::path& file);

}  // namespace mtmd::quantize::test
