// How long a job will take, from a sample of the model's own values.
#pragma once

#include <map>
#include <span>

#include "mtmd/quantize/plan.h"

namespace mtmd::quantize {

/// Seconds of encoding on `threads` threads (0: one per core): every type that occurs is tried on a few rows for some
/// milliseconds. A disk that is slower than the encoders is not in it.
double estimate_seconds(const gguf::File& file, std::span<const Plan* const> plans, int threads);

}  // namespace mtmd::quantize
