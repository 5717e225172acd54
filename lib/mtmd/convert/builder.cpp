#include "mtmd/convert/builder.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "engine/base/error.h"
#include "engine/quant/quant.h"

namespace mtmd::convert {
namespace {

constexpr std::int64_t kPieceValues = 1 << 20;  // written at once

DType resolve(OutputType type, const Checkpoint& checkpoint) {
  switch (type) {
    case OutputType::f32:
      return DType::F32;
    case OutputType::f16:
      return DType::F16;
    case OutputType::bf16:
      return DType::BF16;
    case OutputType::automatic:
      break;
  }
  return checkpoint.common_type() == DType::BF16 ? DType::BF16 : DType::F16;
}

std::size_t encode(DType type, const float* values, std::int64_t n, std::byte* out) {
  for (std::int64_t i = 0; i < n; ++i) {
    if (type == DType::F32) {
      reinterpret_cast<float*>(out)[i] = values[i];
    } else {
      const std::uint16_t bits = type == DType::F16 ? quant::f32_to_f16(values[i]) : quant::f32_to_bf16(values[i]);
      reinterpret_cast<std::uint16_t*>(out)[i] = bits;
    }
  }
  return row_bytes(type, n);
}

}  // namespace

Builder::Builder(const Checkpoint& from, OutputType type, std::string prefix)
    : checkpoint(from), prefix_(std::move(prefix)), type_(resolve(type, from)) {}

void Builder::add(std::string name, Matrix m) {
  const bool vector = m.shape.size() < 2;
  add_as(std::move(name), vector ? DType::F32 : type_, std::move(m));
}

void Builder::add_exact(std::string name, Matrix m) { add_as(std::move(name), DType::F32, std::move(m)); }

void Builder::add_kernel(std::string name, Matrix m) {
  add_as(std::move(name), type_ == DType::F32 ? DType::F32 : DType::F16, std::move(m));
}

void Builder::add_as(std::string name, DType type, Matrix m) {
  const std::int64_t rows = m.n_rows(), cols = m.cols();
  const std::uint64_t bytes = row_bytes(type, rows * cols);
  ++n_tensors_;
  total_bytes_ += bytes;
  writer.add_tensor(std::move(name), type, m.shape, [this, type, rows, cols, m](const gguf::Writer::Sink& sink) {
    const std::int64_t at_once = std::max<std::int64_t>(1, kPieceValues / cols);
    std::vector<float> values(static_cast<std::size_t>(std::min(at_once, rows) * cols));
    std::vector<std::byte> encoded(row_bytes(type, std::ssize(values)));
    for (std::int64_t begin = 0; begin < rows; begin += at_once) {
      const std::int64_t n = std::min(at_once, rows - begin);
      for (std::int64_t r = 0; r < n; ++r) m.row(begin + r, values.data() + r * cols);
      const std::size_t size = encode(type, values.data(), n * cols, encoded.data());
      sink(std::span(encoded).first(size));
      done_bytes_ += size;
      if (options_ && options_->progress && !options_->progress(done_bytes_, total_bytes_))
        fail(ErrorCategory::interrupted, "interrupted");
    }
  });
}

Matrix Builder::read(const std::string& stored_name, const Shape& shape) const {
  const StoredTensor& t = checkpoint.require(stored_name);
  if (t.shape != shape)
    fail(ErrorCategory::model, "{}: tensor '{}' has the shape [{}], config.json asks for [{}]", checkpoint.folder(),
         stored_name, fmt::join(t.shape, ", "), fmt::join(shape, ", "));
  return stored(t);
}

void Builder::copy(const std::string& name, const std::string& stored_name, const Shape& shape) {
  add(name, read(stored_name, shape));
}

void Builder::linear(const std::string& name, const std::string& stored_name, std::int64_t out, std::int64_t in) {
  copy(name + ".weight", stored_name + ".weight", {out, in});
  if (checkpoint.has(stored_name + ".bias")) copy(name + ".bias", stored_name + ".bias", {out});
}

void Builder::norm(const std::string& name, const std::string& stored_name, std::int64_t n) {
  copy(name + ".weight", stored_name + ".weight", {n});
  if (checkpoint.has(stored_name + ".bias")) copy(name + ".bias", stored_name + ".bias", {n});
}

void Builder::split_qkv(const std::string& name, const std::string& stored_name, std::int64_t q, std::int64_t k,
                        std::int64_t in) {
  const std::int64_t sizes[] = {q, k, k};
  const char* parts[] = {"attn_q", "attn_k", "attn_v"};
  std::int64_t begin = 0;
  for (int i = 0; i < 3; ++i) {
    add(name + parts[i] + ".weight", rows_of(read(stored_name + ".weight", {q + 2 * k, in}), begin, sizes[i]));
    if (checkpoint.has(stored_name + ".bias"))
      add(name + parts[i] + ".bias", rows_of(read(stored_name + ".bias", {q + 2 * k}), begin, sizes[i]));
    begin += sizes[i];
  }
}

Written Builder::write(const std::filesystem::path& path, const Options& options) {
  options_ = &options;
  done_bytes_ = 0;
  writer.write(path);
  options_ = nullptr;
  return {n_tensors_, total_bytes_};
}

}  // namespace mtmd::convert
