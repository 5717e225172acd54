// Single kernels against what the machine can do.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "bench/measure.h"
#include "engine/device/device.h"

namespace mtmd::bench {

struct OpLimits {
  double memory = 0, int8 = 0, bf16 = 0, f32 = 0;  ///< per second; two operations per multiply-add
};
OpLimits measure_op_limits(int threads, const std::string& isa);

struct OpOptions {
  int threads = 0;
  std::string isa;
  std::vector<DType> types;            ///< of matrix products
  std::vector<std::int32_t> tokens;    ///< of matrix products
  std::int64_t rows = 2048, cols = 2048;
};

/// Matrix products of every type and number of tokens; attention of prompts, of one token and of encoders; norms, rotary
/// embeddings, activations, table look-ups. Each is measured on so much data that caches do not help where a model
/// would not find it there either.
std::vector<Result> bench_ops(const OpOptions& options, const Plan& plan, const OpLimits& limits,
                              const std::function<void(const Result&)>& progress);

}  // namespace mtmd::bench
