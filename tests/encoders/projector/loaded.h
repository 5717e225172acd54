// What tests of projectors share: a projector on a small file, pictures, encoding.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "encoders/projector/projector.h"
#include "encoders/projector/tiny_mmproj.h"
#include "engine/base/error.h"

namespace mtmd::encoders::testing {

/// A projector and the bytes it views.
struct Loaded {
  std::unique_ptr<Device> device = make_device("cpu");
  std::vector<std::byte> bytes;
  std::unique_ptr<gguf::File> file;
  std::unique_ptr<Projector> projector;

  explicit Loaded(const TinyMmproj& mmproj, Precision precision = Precision::bf16_exact) : bytes(mmproj.bytes()) {
    file = std::make_unique<gguf::File>(gguf::File::from_memory(bytes, "tiny.gguf"));
    file->set_precision(precision);
    projector = load_projector(*file, *device);
  }
  explicit Loaded(std::string_view type, const TinyShape& shape = {}, Precision precision = Precision::bf16_exact)
      : Loaded(TinyMmproj(type, shape), precision) {}
};

inline image::Image noise(image::Size size, std::uint32_t seed = 1) {
  image::Image image{size.width, size.height, std::vector<std::uint8_t>(std::size_t{3} * size.width * size.height)};
  for (std::uint8_t& v : image.rgb) v = static_cast<std::uint8_t>((seed = seed * 1664525 + 1013904223) >> 24);
  return image;
}

inline std::vector<float> encode(const Loaded& loaded, std::span<const Input* const> inputs,
                                 std::size_t* peak = nullptr) {
  Workspace ws(*loaded.device);
  const Tensor y = loaded.projector->encode(inputs, ws);
  std::vector<float> values;
  for (std::int64_t i = 0; i < y.rows; ++i) values.insert(values.end(), y.row(i), y.row(i) + y.cols);
  if (peak != nullptr) *peak = ws.peak_bytes();
  return values;
}

inline double relative_l2(std::span<const float> a, std::span<const float> b) {
  double error = 0, size = 0;
  for (std::size_t i = 0; i < b.size(); ++i) error += std::pow(a[i] - b[i], 2), size += std::pow(b[i], 2);
  return std::sqrt(error / size);
}

/// What loading a damaged file says; nothing when it loads.
inline std::string message_of(const TinyMmproj& mmproj) {
  try {
    Loaded loaded(mmproj);
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), ErrorCategory::model);
    return e.what();
  }
  return "";
}

}  // namespace mtmd::encoders::testing
