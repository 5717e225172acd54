// Comparisons of a media case with its recording.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "mtmd/conformance/conformance.h"
#include "mtmd/conformance/media_recording.h"
#include "mtmd/prompt.h"

namespace mtmd::conformance {

/// How far results may be from the recorded ones (README, "Tolerances" and "Where this project differs by design").
struct Gates {
  double pre = 1e-6;            ///< preprocessed values
  bool pre_levels = false;      ///< `pre` counts levels of 8 bits, and the mean must stay below a tenth of one
  double mel = 2e-4;            ///< values of spectrograms
  double embd = 2e-3;           ///< relative L2 over a chunk
  double one_minus_cos = 1e-5;  ///< per token
  double logits = 0.1;
  double margin = 0.2;  ///< greedy tokens are compared up to the first step that was closer than this
};

Gates gates_for(const std::string& folder);
/// Our JPEG decoder differs from the reference's by up to 3 levels.
Gates loosened_for_jpeg(Gates gates);
/// Of spectrograms of this type: natural logarithms of small values differ more.
double mel_tolerance(std::string_view type);

void compare_chunks(Result& result, const Chunks& got, const Prompt& prompt, const Recording& want);
/// Preprocessed values of all chunks of a case. Cubic resizing may land on the other side of a near-tie: one level in
/// at most one value of 2000 (README, "Corrections and small print").
class PixelComparison {
 public:
  /// `std`: of the normalisation, to turn differences into levels.
  PixelComparison(const Gates& gates, std::vector<float> std) : gates_(gates), std_(std::move(std)) {}
  /// `want`: all frames of `got`, one after the other.
  void add(const encoders::Input& got, std::span<const float> want);
  void judge(Result& result) const;

 private:
  Gates gates_;
  std::vector<float> std_;
  double most_ = 0, sum_ = 0;
  std::size_t n_ = 0, near_ties_ = 0;
};

/// Rows of one chunk; keeps the worst of several calls.
void compare_embeddings(Result& result, std::span<const float> got, std::span<const float> want, std::size_t width,
                        const Gates& gates);
void compare_logits(Result& result, std::span<const float> got, std::span<const float> want, const Gates& gates);

}  // namespace mtmd::conformance
