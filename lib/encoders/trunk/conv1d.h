// Convolutions over time.
#pragma once

#include <string>

#include "encoders/audio/mel.h"
#include "encoders/trunk/rows.h"
#include "engine/gguf/weights.h"

namespace mtmd::encoders {

/// A kernel of three taps with zero padding of one row on both sides.
/// `name`.weight [out, in, 3], `name`.bias [out] or [out, 1]. Inputs and kernels are rounded to f16 as in the
/// reference's convolutions; sums are f32.
class Conv1d {
 public:
  static constexpr int kTaps = 3;

  Conv1d() = default;
  /// Throws Error(model) for a missing or wrongly shaped kernel.
  Conv1d(gguf::Weights& weights, Device& device, const std::string& name, int in, int out, int stride);

  /// Rows that come out of so many that go in.
  std::int64_t length(std::int64_t n) const noexcept { return (n + 2 - kTaps) / stride_ + 1; }
  /// x: [n, in] -> y: [length(n), out]
  void run(Workspace& ws, Tensor y, Tensor x, Activation activation) const;

 private:
  Device* device_ = nullptr;
  int in_ = 0, stride_ = 1;
  Table rounded_;  // keeps what kernel_ views unless that is the file's own
  Weight kernel_;  // [out, in * kTaps]
  Vector bias_;    // [out], optional
};

/// Frames of a spectrogram as rows: y [frames, bands].
void frames_as_rows(Tensor y, const audio::Mel& mel);

}  // namespace mtmd::encoders
