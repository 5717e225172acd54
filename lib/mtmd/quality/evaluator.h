// How far a model with some of its weights replaced is from itself, on a text.
#pragma once

#include <memory>

#include "mtmd/quality/statistics.h"
#include "mtmd/quality/substituting_device.h"
#include "mtmd/quality/windows.h"

namespace mtmd::quality {

class Evaluator {
 public:
  /// Reads the windows once with the model's own weights and keeps the logits of what is scored: windows x n_scored x
  /// n_vocab floats. File and device outlive the evaluator.
  Evaluator(const gguf::File& model, Device& device, Windows windows, const ReaderOptions& options);

  SubstitutingDevice& device() noexcept { return device_; }
  /// With the substitutes that are set now.
  DivergenceReport measure();

 private:
  Windows windows_;
  SubstitutingDevice device_;
  WindowReader reader_;
  ThreadPool pool_;
  std::vector<float> base_;
};

}  // namespace mtmd::quality
