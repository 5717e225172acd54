// What the tests of products share: weights of every type, and each type on each instruction set.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "engine/device/cpu/dispatch.h"
#include "engine/device/cpu/matmul_acts.h"
#include "engine/device/device.h"
#include "engine/quant/quant.h"

namespace mtmd::test {

// Q8_1 has no integer kernel: it stands for what is decoded to f32.
inline constexpr DType kTypes[] = {DType::F32,     DType::F16,    DType::BF16,  DType::Q8_0,   DType::Q4_0,
                                   DType::Q4_1,    DType::Q5_0,   DType::Q5_1,  DType::Q2_K,   DType::Q3_K,
                                   DType::Q4_K,    DType::Q5_K,   DType::Q6_K,  DType::IQ4_NL, DType::IQ4_XS,
                                   DType::MXFP4,   DType::NVFP4,  DType::IQ3_S, DType::IQ2_S,  DType::IQ3_XXS,
                                   DType::IQ2_XXS, DType::IQ2_XS, DType::IQ1_S, DType::IQ1_M,  DType::TQ1_0,
                                   DType::TQ2_0,   DType::Q1_0,   DType::Q2_0,  DType::Q8_1};

inline std::vector<float> gaussian(std::int64_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> v(static_cast<std::size_t>(n));
  for (float& x : v) x = normal(random);
  return v;
}

/// Random weights: every bit pattern of a block, scales of ordinary size.
struct Weights {
  std::vector<std::byte> bytes;
  Weight w;

  Weights(DType type, std::int64_t rows, std::int64_t cols, unsigned seed, std::int64_t experts = 1) {
    w = {type, nullptr, rows, cols, experts};
    bytes.resize(w.bytes());
    w.data = bytes.data();
    std::mt19937 random(seed);
    if (type == DType::F32 || type == DType::F16 || type == DType::BF16) {
      const std::vector<float> values = gaussian(rows * cols * experts, seed);
      for (std::size_t i = 0; i < values.size(); ++i) {
        if (type == DType::F32) std::memcpy(bytes.data() + 4 * i, &values[i], 4);
        const std::uint16_t half = type == DType::F16 ? quant::f32_to_f16(values[i]) : quant::f32_to_bf16(values[i]);
        if (type != DType::F32) std::memcpy(bytes.data() + 2 * i, &half, 2);
      }
      return;
    }
    for (std::byte& b : bytes) b = static_cast<std::byte>(random());
    std::uniform_real_distribution<float> scale(-0.02f, 0.02f);
    for (std::size_t at = 0; at < bytes.size(); at += info(type).block_bytes) {
      for (const std::int16_t offset : {quant::find(type)->d_at, quant::find(type)->dmin_at}) {
        const std::uint16_t half = quant::f32_to_f16(scale(random));
        if (offset >= 0) std::memcpy(bytes.data() + at + static_cast<std::size_t>(offset), &half, 2);
        if (type == DType::IQ1_M && offset < 0)  // spread over the top nibbles of four words
          for (std::size_t k = 0; k < 4; ++k) {
            std::byte& top = bytes[at + 49 + 2 * k];
            top = (top & std::byte{15}) | static_cast<std::byte>((half >> 4 * k & 15) << 4);
          }
      }
      if (type == DType::MXFP4) bytes[at] = static_cast<std::byte>(118 + random() % 8);
    }
  }
};

inline bool has_int_kernel(DType type) {
  return cpu::runnable_kernels().front().matmul->formats[static_cast<int>(type)].group > 0;
}

/// How a product with n tokens is computed.
inline cpu::Form form_of(const std::string& isa, DType type, std::int64_t n) {
  static constexpr std::byte kZeros[1024] = {};
  return cpu::way_of(*cpu::select_kernels(isa).matmul, {type, kZeros, 1, 256, 1}, n).form;
}

inline std::unique_ptr<Device> cpu_device(std::string_view isa, int threads = 2) {
  return make_device("cpu", {.threads = threads, .isa = std::string(isa)});
}

inline std::vector<std::string> isas() {
  std::vector<std::string> names;
  for (const cpu::Kernels& k : cpu::runnable_kernels()) names.emplace_back(k.name);
  return names;
}

class EveryTypeAndIsa : public testing::TestWithParam<std::tuple<std::string, DType>> {
 protected:
  std::string isa = std::get<0>(GetParam());
  DType type = std::get<1>(GetParam());
};

inline std::string type_name(const testing::TestParamInfo<std::tuple<std::string, DType>>& p) {
  return std::get<0>(p.param) + "_" + std::string(name(std::get<1>(p.param)));
}

/// Where many tokens take tiles of bf16.
inline std::vector<std::tuple<std::string, DType>> tiled() {
  std::vector<std::tuple<std::string, DType>> pairs;
  for (const std::string& isa : isas())
    for (const DType type : kTypes)
      if (form_of(isa, type, cpu::kManyTokens) == cpu::Form::tile_groups) pairs.emplace_back(isa, type);
  return pairs;
}

}  // namespace mtmd::test
