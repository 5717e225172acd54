// Pictures and recordings, stage by stage: decode, resize or mel, encode, prefill, generate.
#pragma once

#include <functional>
#include <vector>

#include "bench/measure.h"
#include "bench/ranges.h"
#include "bench/text_bench.h"

namespace mtmd::bench {

struct MediaJob {
  const gguf::File* text = nullptr;     ///< null: the encoder alone
  gguf::File* encoder = nullptr;        ///< `cosine` changes its precision meanwhile
  std::string name;                     ///< of the model, for reports
  std::vector<Size> pictures;
  std::vector<std::int32_t> seconds;    ///< of recordings
  std::int32_t generate = 32;           ///< tokens of an answer; 0: no answer
  bool cosine = false;                  ///< also encode in f32, and report the lowest cosine of a token to it
};

/// Throws Error(usage) when the model lacks an encoder for what is asked.
std::vector<Result> bench_media(const MediaJob& job, const TextOptions& options, const Plan& plan,
                                const std::function<void(const Result&)>& progress);

}  // namespace mtmd::bench
