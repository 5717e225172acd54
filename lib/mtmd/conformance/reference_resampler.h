// Sound brought to another rate exactly as the recorded results did. People's recordings go through libsoxr instead.
#pragma once

#include <span>
#include <vector>

namespace mtmd::conformance {

/// miniaudio's linear resampler in f32: a Butterworth low-pass of order 4 at half the lower rate, before the
/// interpolation when the rate falls and behind it when it rises. Ends with the last output whose inputs are there.
std::vector<float> reference_resample(std::span<const float> samples, int from, int to);

}  // namespace mtmd::conformance
