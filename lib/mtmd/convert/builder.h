// Private to this folder: a GGUF file in the making.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/gguf/writer.h"
#include "mtmd/convert/checkpoint.h"
#include "mtmd/convert/config.h"
#include "mtmd/convert/convert.h"
#include "mtmd/convert/matrix.h"

namespace mtmd::convert {

class Builder {
 public:
  /// `prefix` stands before the keys of put(): "llama" or "clip.vision".
  Builder(const Checkpoint& checkpoint, OutputType type, std::string prefix);

  // Metadata.
  template <class T>
  void put(std::string_view key, T value) {
    writer.set(prefix_ + "." + std::string(key), value);
  }

  // Tensors. `shape` is what the model's configuration asks for; Error(model) names the tensor that has another.
  using Shape = std::vector<std::int64_t>;
  void add(std::string name, Matrix m);         ///< vectors in F32, the rest in the type asked for
  void add_exact(std::string name, Matrix m);   ///< in F32
  void add_kernel(std::string name, Matrix m);  ///< of a convolution: F16 or F32, never BF16
  Matrix read(const std::string& stored_name, const Shape& shape) const;
  void copy(const std::string& name, const std::string& stored_name, const Shape& shape);
  /// NAME.weight [out, in], and NAME.bias [out] when the checkpoint has one.
  void linear(const std::string& name, const std::string& stored_name, std::int64_t out, std::int64_t in);
  /// NAME.weight [n] and, when there is one, NAME.bias.
  void norm(const std::string& name, const std::string& stored_name, std::int64_t n);
  /// Q, K and V stacked in one matrix, taken apart: rows q, k, k.
  void split_qkv(const std::string& name, const std::string& stored_name, std::int64_t q, std::int64_t k,
                 std::int64_t in);

  Written write(const std::filesystem::path& path, const Options& options);

  const Checkpoint& checkpoint;
  gguf::Writer writer;
  std::vector<std::string> warnings;

 private:
  void add_as(std::string name, DType type, Matrix m);
  std::string prefix_;
  DType type_;
  std::uint64_t n_tensors_ = 0, total_bytes_ = 0;
  std::uint64_t done_bytes_ = 0;
  const Options* options_ = nullptr;  ///< while writing
};

}  // namespace mtmd::convert
