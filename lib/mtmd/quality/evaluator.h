// How far a model with some of its weights replaced is from itself, on a text.
#pragma once

#include <memory>

#include "mtmd/quality/passage.h"
#include "mtmd/quality/statistics.h"
#include "mtmd/quality/substituting_device.h"
#include "mtmd/quality/windows.h"

namespace mtmd::quality {

class Evaluator {
 public:
  /// Reads texts and passages once with the model's own weights and keeps the logits of what is scored: n_vocab floats
  /// per token of the windows' second halves and of the answers. File and device outlive the evaluator.
  Evaluator(const gguf::File& model, Device& device, Windows windows, std::vector<Passage> passages,
            const ReaderOptions& options);

  SubstitutingDevice& device() noexcept { return device_; }
  /// With the substitutes that are set now.
  DivergenceReport measure();

 private:
  /// score(logits [rows, n_vocab], the tokens that follow each row)
  using Score = std::function<void(Tensor logits, std::span<const Token> next)>;
  void read(const Score& score);

  Windows windows_;
  std::vector<Passage> passages_;
  ReaderOptions options_;
  SubstitutingDevice device_;
  WindowReader reader_;
  ThreadPool pool_;
  std::vector<float> base_;
};

}  // namespace mtmd::quality
